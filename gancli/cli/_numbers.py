"""What `gancli sample` and `gancli interpolate` do with a model of numbers: plots and tables instead of images."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.cli._images import count_of, save_frames
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.files import check_file
from gancli.latents import Inputs, Seeds, batches, seeds_text

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.synthetic import Formula
    from gancli.model import Model

POINTS = 1_000
"""Samples in a plot of points by default: 64 would not show the distribution."""


def refuse_options(model: Model, **options: object) -> None:
    """Refuse options that only images have.

    Raises:
        UsageError: one was given; the message names the first.
    """
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{name} {value} is for images, and '{model.name}' makes numbers",
                "name a .png for the plot, or --csv FILE for the numbers" if name == "out" else f"leave out --{name}",
            )


def default_seeds(model: Model) -> Seeds:
    """The seeds that a plot shows by default."""
    return range(POINTS if model.shape[-1] == 2 else 64)


def sample(model: Model, chosen: Seeds, out: Path | None, table: Path | None, batch: int, as_json: bool) -> None:
    """A plot of the samples of seeds, their numbers as CSV, or both; the table ``-`` is standard output."""
    from gancli.rendering.images import save_grid
    from gancli.rendering.numbers import Plot, save_csv, write_csv

    formula, piped = _formula(model), table == Path("-")
    if piped and as_json:
        raise UsageError("--csv - and --json both print", "name a file for the CSV")
    if table is not None and not piped:
        check_file(table)
    pieces = (model.latent.from_seeds(chosen[start : start + batch]) for start in range(0, len(chosen), batch))
    with counting("samples", len(chosen)) as progress:
        rows = _rows(model, pieces, progress)
    if piped:
        write_csv(sys.stdout, formula.columns, chosen, rows)
    elif table is not None:
        save_csv(table, formula.columns, chosen, rows)
    if out is not None:
        save_grid(Plot(formula).picture(rows)[None], out, scale=1, gap=0)
    if as_json:
        facts = {"model": model.name, "seeds": seeds_text(chosen), "samples": len(chosen)}
        print(json.dumps(facts | {"out": str(out) if out else None, "csv": str(table) if table else None}))
        return
    say(f"{count_of(len(chosen), 'sample')} of {model.name}")
    for path in (out, None if piped else table):
        if path is not None:
            print(path)


def save_walk(
    model: Model, paths: Sequence[Inputs], target: Path, fps: float | None, batch: int, progress: Callable[[int], None]
) -> None:
    """Walks through the latent space: an animation of the curves, or all of them in one plot.

    Args:
        model: of numbers.
        paths: inputs along each walk.
        target: an animation, or a .png.
        fps: frames per second; None for a .png.
        batch: samples computed at once.
        progress: called with the number of samples just made.
    """
    import torch

    from gancli.rendering.images import save_grid
    from gancli.rendering.numbers import Plot

    plot = Plot(_formula(model))
    walks = torch.stack([_rows(model, batches(walk, batch), progress) for walk in paths])
    if fps is None:
        save_grid(plot.picture(walks.flatten(0, 1))[None], target, scale=1, gap=0)
        return
    # A single point shows little: each frame also draws the way to it.
    first = (lambda frame: 0) if plot.points else (lambda frame: frame)
    frames = (plot.picture(walks[:, first(frame) : frame + 1].flatten(0, 1)) for frame in range(walks.shape[1]))
    save_frames(frames, target, fps)


def _formula(model: Model) -> Formula:
    from gancli.data.synthetic import FORMULAS

    formula = FORMULAS.get(model.data_name or "")
    if formula is None or formula.width != model.shape[-1]:
        raise UsageError(
            f"'{model.name}' makes numbers of '{model.data_name}', and no formula is known by that name",
            "gancli.load(MODEL).sample(seeds) gives them in Python",
        )
    return formula


def _rows(model: Model, pieces: Iterable[Inputs], progress: Callable[[int], None]) -> Tensor:
    """All rows, float32 (N, width)."""
    import torch

    made = []
    for piece in pieces:
        made.append(model.generate(piece).flatten(1))
        progress(len(made[-1]))
    return torch.cat(made)
