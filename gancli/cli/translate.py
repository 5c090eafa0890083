"""``gancli translate``: images into others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli._imports import import_quickly
from gancli.cli._outputs import check_inputs_stay, fitted, picture_or_folder
from gancli.cli.sample import Batch, Device
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import progress_bar
from gancli.rendering.layout import file_stem

if TYPE_CHECKING:
    from gancli.editing.translation import Translation

LISTED = 5
"""Files left out that are named one by one."""


def translate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A zoo name such as pix2pix-gray/cifar10, a run folder, or a .safetensors file."
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES", help="Images, folders or zips of them, or a data set (its test split)."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|FILE.png",
            help="A folder for one PNG of each result; a .png for one picture of sources and results, side by side. "
            "MODEL-translated/ unless given.",
            show_default=False,
        ),
    ] = None,
    degrade: Annotated[
        bool,
        typer.Option(
            "--degrade",
            help="The images are whole: spoil them first as the model was taught; of files of two halves, take the "
            "source's.",
        ),
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(metavar="IMAGES", help="Where the true images lie, of the same names.", show_default=False),
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="The other way, with a model that knows both.")] = False,
    n: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="The first N images; all unless given.")
    ] = None,
    device: Device = "auto",
    batch: Batch = 256,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data sets are looked for first.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make images from images: remove a mosaic, fill a hole, give colours, change the style.

    Images of another size are brought to the model's, and a note says so. Where the true images are known, PSNR says
    how near it comes.

    \b
    Examples:
      gancli translate pix2pix-gray/cifar10 photos/ --out coloured/
      gancli translate pix2pix-mosaic/cifar10 photo.jpg --degrade --out repaired.png
      gancli translate pix2pix/mnist mnist -n 16 --degrade --out digits.png
      gancli translate cyclegan/mnist mnist --back --out inverted/
      gancli translate runs/of-halves pairs/ --degrade --out made/
    """
    one = out is not None and picture_or_folder(out)

    import_quickly("gancli.model")
    from gancli import model as models
    from gancli.editing import translation

    subject = models.load(model, device=device)
    path = Path(out) if out else Path(f"{file_stem(subject.name)}-translated")
    check_inputs_stay(path, one, images, *([target] if target is not None else []))
    with progress_bar() as progress:
        made = translation.translate(
            subject,
            images,
            spoil=degrade,
            target=target,
            network="back" if back else None,
            count=n,
            batch=batch,
            data_dir=data_dir,
            progress=progress,
        )
    _save(made, path, one)
    if made.changed:
        say(fitted(made.changed, subject.shape))
    for left in made.skipped[:LISTED]:
        say(f"left out {left.name}: {left.reason}")
    if len(made.skipped) > LISTED:
        say(f"left out {len(made.skipped) - LISTED:,} more")
    count, near = len(made.names), made.psnr
    mean = sum(near.values()) / len(near) if near else None
    if as_json:
        each = {name: round(value, 3) for name, value in near.items()}
        left_out = {left.name: left.reason for left in made.skipped}
        facts = {"model": subject.name, "out": str(path), "images": count, "psnr": mean, "each": each}
        print(json.dumps({**facts, "left_out": left_out}))
        return
    told = "" if mean is None else f", PSNR {mean:.2f} dB on average"
    told += f" of the {len(near):,} with a true image" if near and len(near) < count else ""
    say(f"{count:,} image{'s' * (count != 1)} by {subject.name}{told}")
    print(path)


def _save(made: Translation, path: Path, one: bool) -> None:
    """One PNG a result into a folder, or sources and results in one picture."""
    import torch

    from gancli import files
    from gancli.rendering.images import encode_png, save_grid

    if one:
        pairs = torch.stack([made.sources, made.results], 1).flatten(0, 1)
        # Pairs stay together: an even number of columns.
        save_grid(pairs, path, columns=2 * max(1, round((len(made.names) / 2) ** 0.5)))
        return
    for name, image in zip(made.names, made.results, strict=True):
        with files.whole(path / f"{name}.png") as temporary:
            temporary.write_bytes(encode_png(image))
