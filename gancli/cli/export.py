"""``gancli export``: a model as a file that runs without gancli."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gancli import files
from gancli.cli import _options
from gancli.cli._imports import import_quickly
from gancli.cli.terminal.console import say
from gancli.errors import UsageError, printable
from gancli.exporting import FORMATS, Format, check_installed
from gancli.rendering.layout import file_stem


def export(
    to: Annotated[
        Format,
        typer.Option(help="An ONNX graph, a program of torch.export that runs in PyTorch, or a page in one file."),
    ],
    model: _options.ModelOrNewest = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write. Default: MODEL.onnx, MODEL.pt2 or MODEL.html."),
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="The translation of target to source, of a CycleGAN.")] = False,
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="FILE.tgz", help="For a page: npm's package onnxruntime-web. Default: npm downloads it."),
    ] = None,
    as_json: _options.AsJson = False,
) -> None:
    """Write a model as a file that runs without gancli.

    The file is run on 64 seeds, and kept only if it gives the model's images. It contains what is needed to use it:
    names of classes, how latents are drawn, the licence of the data, gancli's version.

    A page opens in a browser by double click, without a network, and makes the image of any seed.

    \b
    Examples:
      gancli export dcgan/mnist --to onnx
      gancli export cgan/mnist --to torch --out digits.pt2
      gancli export cyclegan/mnist --to onnx --back --out back.onnx
      gancli export quick/mnist --to html --out digits.html
    """
    if out is not None and out.suffix.lower() != FORMATS[to]:
        raise UsageError(
            f"--out '{out}' does not end in '{FORMATS[to]}', as --to {to} writes",
            f"for example: --out {out.stem or 'model'}{FORMATS[to]}",
        )
    if runtime is not None and to != "html":
        raise UsageError(
            f"--runtime '{runtime}' is for a page, and --to is {to}", "leave out --runtime, or use --to html"
        )
    check_installed(to)
    if out is not None:
        files.check_file(out)
    import_quickly("gancli.model", "torch._dynamo")
    from gancli import exporting
    from gancli import model as models

    loaded = models.load(model, device="cpu")
    path = out or Path(f"{file_stem(loaded.name)}{'-back' if back else ''}{FORMATS[to]}")
    exported = exporting.export(loaded, path, to, network="back" if back else None, runtime=runtime)
    if as_json:
        print(json.dumps({"out": str(path), "difference": exported.difference, **exported.metadata}))
        return
    say(
        f"{loaded.name} exported; its {'numbers' if loaded.numbers else 'images'} of {len(exporting.SEEDS)} "
        f"{'sources' if loaded.takes == 'source' else 'seeds'} differ by at most {exported.difference:.1g}"
    )
    print(printable(str(path)))
