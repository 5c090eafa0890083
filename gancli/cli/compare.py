"""``gancli compare``: runs beside each other."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gancli.cli import _options
from gancli.cli.terminal.console import print_json
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.runs.comparing import Compared, Comparison

WIDTH, NAME = 80, 30
"""Columns of a line, and of the first one."""

SHARES = (0.25, 0.5, 1.0)
"""Of the equal budget, at which curves are shown in the terminal."""

SEEDS, COLUMNS = 24, 6
"""Samples of each run in a report."""


def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders, tags, or parts of names.")],
    by: Annotated[
        Literal["images", "seconds", "rounds"], typer.Option(help="The budget that is equal in curves.")
    ] = "images",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write one page with curves and samples inside.")
    ] = None,
    as_json: _options.AsJson = False,
) -> None:
    """Compare runs: recipes, curves, figures, samples.

    Recipes show what differs, curves end where all runs have used the same budget, samples are of the same seeds.

    \b
    Examples:
      gancli compare mine other
      gancli compare mine other --by seconds --out report.html
    """
    from gancli.files import check_folder
    from gancli.runs import comparing
    from gancli.zoo import catalogue

    if out is not None:
        if out.suffix != ".html":
            raise UsageError(f"--out '{out}' is not the name of a page", "end it in .html")
        check_folder(out.parent)
    found = comparing.compare([catalogue.run_named(name) for name in names], by)
    if as_json:
        print_json(found.to_dict())
    else:
        show(found)
    if out is not None:
        _write(found, out)
        if not as_json:
            print(f"{out}  the same with plots and samples")


def show(found: Comparison) -> None:
    """Print a comparison in lines of 80 columns."""
    for number, run in enumerate(found.runs, 1):
        print(f"{number}  {run.label}: {_what(run)}")
    print("\nrecipes")
    _rows(
        [(name, [_value(value) for value in values]) for name, values in found.differences] or [("no difference", [])]
    )
    print(f"\ncurves at {', '.join(f'{100 * share:.0f} %' for share in SHARES)} of {found.until:,.0f} {found.by}")
    _rows([(metric, [_at(curve, found.until) for curve in found.curves(metric)]) for metric in found.metrics])
    if found.figures:
        print("\nfigures by one protocol")
        _rows([(_title(name, row), [_figure(name, result) for result in row]) for name, row in found.figures])
    if found.left_out:
        names = " ".join(str(run.listed.folder) for run in found.runs)
        words = f"no figures that compare: {', '.join(found.left_out)}; `gancli evaluate {names}` evaluates all alike"
        print(textwrap.fill(words, WIDTH, break_on_hyphens=False, break_long_words=False))  # to copy the command


def _what(run: Compared) -> str:
    rounds = "?" if run.listed.rounds is None else f"{run.listed.rounds:,}"
    return f"{run.listed.model} on {run.listed.data}, {rounds} rounds, {run.listed.state}"


def _rows(rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    """A name and a cell for each run, in columns where they fit, else below each other."""
    for name, cells in rows:
        width = (WIDTH - NAME) // max(1, len(cells))
        if all(len(cell) < width for cell in cells) and len(name) < NAME:
            print(f"  {name:<{NAME - 2}}" + "".join(f"{cell:<{width}}" for cell in cells).rstrip())
            continue
        print(f"  {name}")
        for number, cell in enumerate(cells, 1):
            print(textwrap.shorten(f"{number}  {cell}", WIDTH, initial_indent="    ", placeholder=" …"))


def _value(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, int | float) for each in value):
        return "x".join(f"{each:g}" for each in value)
    return "-" if value is None else str(value)


def _at(curve: Sequence[tuple[float, float]], until: float) -> str:
    """The value that is nearest to each share of the budget."""
    if not curve:
        return "-"
    nearest = [min(curve, key=lambda point: abs(point[0] - share * until))[1] for share in SHARES]
    return " ".join(f"{value:.3g}" for value in nearest)


def _title(name: str, row: Sequence[Mapping[str, Any] | None]) -> str:
    from gancli.evaluation.scores import number, title

    floors = [result["floor"] for result in row if result and result.get("floor") is not None]
    return title(name) + (f" (real data {number(name, floors[0])})" if floors else "")


def _figure(name: str, result: Mapping[str, Any] | None) -> str:
    from gancli.evaluation.scores import number

    if result is None:
        return "-"
    interval = result.get("interval")
    between = f" [{number(name, interval[0])}, {number(name, interval[1])}]" if interval else ""
    return number(name, result["value"]) + between


def _best(row: Sequence[Mapping[str, Any] | None]) -> int | None:
    """The column of the best result; None where none is better than the others."""
    values = {at: result["value"] for at, result in enumerate(row) if result}
    better = next((result.get("better") for result in row if result), None)
    if len(set(values.values())) < 2 or better not in ("lower", "higher"):
        return None
    return (min if better == "lower" else max)(values, key=lambda at: values[at])


def _write(found: Comparison, out: Path) -> None:
    """The page, written whole or not at all."""
    from gancli.files import atomic
    from gancli.rendering import report

    labels = [run.label for run in found.runs]
    heads = [report.labelled(label, number) for number, label in enumerate(labels)]
    facts = [
        ("model", [run.listed.model for run in found.runs]),
        ("data", [run.listed.data for run in found.runs]),
        ("rounds", ["?" if run.listed.rounds is None else f"{run.listed.rounds:,}" for run in found.runs]),
        ("state", [run.listed.state for run in found.runs]),
        ("findings", ["; ".join(run.listed.findings) or "none" for run in found.runs]),
    ]
    parts = [report.table(heads, facts), report.heading("Recipes", "Only what differs.")]
    parts.append(report.table(heads, [(name, [_value(each) for each in row]) for name, row in found.differences]))
    if found.figures:
        parts.append(report.heading("Figures", "By one protocol on the same data; the best in bold."))
        rows = [(_title(name, row), [_figure(name, result) for result in row]) for name, row in found.figures]
        parts.append(report.table(heads, rows, [_best(row) for _, row in found.figures]))
    parts.append(report.heading("Samples", f"Of the seeds 0 to {SEEDS - 1}."))
    parts.append(
        report.grid([report.picture(_samples(run), head) for run, head in zip(found.runs, heads, strict=True)])
    )
    parts.append(report.heading("Curves", f"Up to {found.until:,.0f} {found.by}, which all runs have used."))
    plots = [report.plot(metric, found.curves(metric), labels, found.by) for metric in found.metrics]
    parts.append(report.grid([each for each in plots if each]))
    with atomic(out) as temporary:
        temporary.write_text(report.page(" and ".join(labels), parts), encoding="utf-8")


def _samples(run: Compared) -> bytes:
    """A grid of samples as PNG; of a model that makes no images from latents, the run's own last picture."""
    from io import BytesIO

    import torch

    import gancli
    from gancli.rendering.images import grid

    model = gancli.load(run.listed.folder)
    made = model.sample(range(SEEDS)) if model.takes == "latent" else None
    if made is None or made.dtype != torch.uint8:
        return (run.listed.folder / "samples.png").read_bytes()
    png = BytesIO()
    grid(made, columns=COLUMNS).save(png, "PNG")
    return png.getvalue()
