"""What the commands do with a model of numbers: plots and tables in the place of images."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.files import check_file

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.latents import Inputs, Seeds
    from gancli.model import Model

POINTS = 1_000
"""Samples in a plot of points unless asked otherwise: 64 would not show where a generator goes."""


def refuse_options(model: Model, **options: Any) -> None:
    """Make sure that options which only images have were not given.

    Raises:
        UsageError: naming the first one.
    """
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{name} {value} is for images, and '{model.name}' makes numbers",
                "name a .png for the plot, or --csv FILE for the numbers" if name == "out" else f"leave out --{name}",
            )


def usual(model: Model) -> Seeds:
    """The seeds that a plot shows unless asked otherwise."""
    from gancli.latents import parse_seeds

    return parse_seeds(f"0-{POINTS - 1}" if model.shape[-1] == 2 else "0-63")


def sample(model: Model, chosen: Seeds, out: Path | None, table: Path | None, batch: int, as_json: bool) -> None:
    """A plot of the samples of seeds, their numbers as CSV, or both; the table ``-`` is the standard output."""
    from gancli.rendering.images import save_grid
    from gancli.rendering.numbers import Plot, save_csv, write_csv

    formula, piped = _formula(model), table == Path("-")
    if piped and as_json:
        raise UsageError("--csv - and --json both print", "name a file for the CSV")
    if table is not None and not piped:
        check_file(table)
    with counting("samples", len(chosen)) as progress:
        rows = _rows(model, _pieces(model, chosen, batch), progress)
    if piped:
        write_csv(sys.stdout, formula.columns, chosen, rows)
    elif table is not None:
        save_csv(table, formula.columns, chosen, rows)
    if out is not None:
        save_grid(Plot(formula).picture(rows)[None], out, scale=1, gap=0)
    made = [path for path in (out, table) if path is not None and not piped]
    if as_json:
        facts = {"model": model.name, "seeds": str(chosen), "samples": len(chosen)}
        print(json.dumps(facts | {"out": str(out) if out else None, "csv": str(table) if table else None}))
        return
    say(f"{len(chosen):,} sample{'s' * (len(chosen) != 1)} of {model.name}")
    for path in made:
        print(path)


def save_walk(
    model: Model, paths: Sequence[Inputs], target: Path, fps: float | None, batch: int, progress: Callable[[int], None]
) -> None:
    """Walks through the latent space: an animation of the curves, or all of them in one plot.

    Args:
        model: of numbers.
        paths: inputs along each walk.
        target: an animation, or a .png.
        fps: frames a second; None for a .png.
        batch: samples computed at once.
        progress: told how many were made.
    """
    import torch

    from gancli.latents import batches
    from gancli.rendering.animation import save_animation
    from gancli.rendering.images import save_grid
    from gancli.rendering.numbers import Plot

    formula = _formula(model)
    plot = Plot(formula)
    walks = torch.stack([_rows(model, batches(walk, batch), progress) for walk in paths])
    if fps is None:
        save_grid(plot.picture(walks.flatten(0, 1))[None], target, scale=1, gap=0)
        return
    # A point says little alone: it draws its way behind it.
    first = (lambda frame: 0) if plot.points else (lambda frame: frame)
    frames = (plot.picture(walks[:, first(frame) : frame + 1].flatten(0, 1)) for frame in range(walks.shape[1]))
    shown = save_animation(frames, target, fps=fps)
    if shown != fps:
        say(f"note: a GIF shows at most {shown:g} frames a second, not {fps:g}")


def _formula(model: Model) -> Any:
    from gancli.data.synthetic import FORMULAS

    formula = FORMULAS.get(model.data_name or "")
    if formula is None or formula.width != model.shape[-1]:
        raise UsageError(
            f"'{model.name}' makes numbers of '{model.data_name}', and no formula is known by that name",
            "gancli.load(MODEL).sample(seeds) gives them in Python",
        )
    return formula


def _pieces(model: Model, seeds: Seeds, batch: int) -> Any:
    return (model.latent.from_seeds(seeds[start : start + batch]) for start in range(0, len(seeds), batch))


def _rows(model: Model, pieces: Any, progress: Callable[[int], None]) -> Tensor:
    """All rows, float32 (N, width)."""
    import torch

    made = []
    for piece in pieces:
        made.append(model.generate(piece).flatten(1))
        progress(len(made[-1]))
    return torch.cat(made)
