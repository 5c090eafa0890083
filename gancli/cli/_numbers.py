"""What `gancli sample` and `gancli interpolate` do with a model of numbers: plots and tables instead of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gancli import files
from gancli.cli._images import BATCH, count_of, generate, report
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.latents import Inputs, Seeds, batches, seeds_text
from gancli.latents.conditions import Request

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


def sample(model: Model, chosen: Seeds, out: Path | None, table: Path | None, as_json: bool) -> None:
    """A plot of the samples of seeds, their numbers as CSV, or both; the table ``-`` is standard output."""
    from gancli.rendering.numbers import Plot, to_csv

    formula, piped = formula_of(model), table == Path("-")
    if piped and as_json:
        raise UsageError("--csv - and --json both print", "name a file for the CSV")
    if table is not None and not piped:
        files.check_file(table)
    with counting("samples", len(chosen)) as progress:
        rows = generate(model, Request(chosen).inputs(model.latent), progress)
    if table is not None:
        text = to_csv(formula.columns, chosen, rows)
        if piped:
            print(text, end="")
        else:
            with files.atomic(table) as temporary:
                temporary.write_text(text)
    if out is not None:
        Plot(formula).save(rows, out)
    text, csv = f"{count_of(len(chosen), 'sample')} of {model.name}", str(table) if table else None
    report(as_json, model, out, text, seeds=seeds_text(chosen), samples=len(chosen), csv=csv)
    if csv and not piped and not as_json:
        print(csv)


def save(model: Model, inputs: Iterable[Inputs], path: Path, progress: Callable[[int], None]) -> None:
    """One plot of all samples of inputs that come in batches."""
    from gancli.rendering.numbers import Plot

    Plot(formula_of(model)).save(generate(model, inputs, progress), path)


def frames(model: Model, walk: Inputs, progress: Callable[[int], None]) -> Iterator[Tensor]:
    """Plots of a walk through the latent space, uint8 (C, H, W)."""
    from gancli.rendering.numbers import Plot

    plot = Plot(formula_of(model))
    rows = generate(model, batches(walk, BATCH), progress)
    for frame in range(len(rows)):
        # A single point shows little: each frame also draws the way to it.
        yield plot.picture(rows[frame if plot.curve else 0 : frame + 1])


def formula_of(model: Model) -> Formula:
    """The formula of a model's data, or the CSV of its run's.

    Raises:
        UsageError: there is none of that name.
    """
    from gancli import recipe
    from gancli.data import loading
    from gancli.zoo import catalogue

    name = model.data_name or ""
    if run := catalogue.run_recipe(model.path):  # it has the path of its data, which a model does not contain
        name = recipe.parse(recipe.read(run), components=False).data.name
    formula = loading.formula_of(name)
    if formula is None or formula.width != model.shape[-1]:
        raise UsageError(
            f"'{model.name}' makes numbers of '{model.data_name}', and no formula is known by that name",
            "gancli.load(MODEL).sample(seeds) gives them in Python",
        )
    return formula
