"""``gancli runs``: find, name, stop and remove runs."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gancli.cli import _options
from gancli.cli.terminal.console import print_json
from gancli.errors import GancliError, UsageError

if TYPE_CHECKING:
    from gancli.runs.listing import Listed

app = typer.Typer(help="Find, name, stop and remove runs.", epilog="Example: gancli runs --where data=mnist")
Run = Annotated[str, typer.Argument(metavar="RUN", help="A folder, a tag, or a part of a name that no other run has.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Sort = Literal["age", "name", "size", "progress", "result"]

WIDTH, NAME = 80, 34
"""Columns of a line, and of the name in it."""


@app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None, typer.Option("--in", metavar="FOLDER", help="Where to look. Default: runs/. Repeatable.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=PATTERN",
            help="Only runs whose name, tag, model, data, state or health match. Repeatable.",
        ),
    ] = None,
    sort: Annotated[Sort, typer.Option(help="The order; the newest, largest or best first.")] = "age",
    as_json: _options.AsJson = False,
) -> None:
    """All runs: how far they came, their best result, and what the health monitor found.

    \b
    Examples:
      gancli runs
      gancli runs --where model=quick --where "data=*mnist" --sort result
      gancli runs --in old/runs --where state=broken --json
    """
    context.obj = folders
    if context.invoked_subcommand is not None:
        if where or as_json or sort != "age":
            raise UsageError("--where, --sort and --json belong to the list", "leave out the second command")
        return
    from gancli.runs import listing

    found = _in_order(listing.chosen(_all(folders), where or ()), sort)
    if as_json:
        print_json([run.to_dict() for run in found])
        return
    for run in found:
        _line(run)
    if not found:
        print("there are no such runs" if where else "there are no runs yet; `gancli train digits` makes the first")


def _roots(folders: Sequence[Path] | None) -> list[Path]:
    from gancli.zoo import catalogue

    for folder in folders or ():
        if not folder.is_dir():
            raise UsageError(f"no such folder: {folder}", "check the path")
    return list(folders or (catalogue.RUNS,))


def _all(folders: Sequence[Path] | None) -> list[Listed]:
    from gancli.runs import listing

    return [listing.read(folder) for folder in listing.folders(_roots(folders))]


def _in_order(found: Sequence[Listed], sort: Sort) -> list[Listed]:
    """Sorted; those with results of one protocol stand together, the best first."""
    if sort == "name":
        return sorted(found, key=lambda run: run.name)
    if sort != "result":
        keys = {"age": lambda run: run.changed, "size": lambda run: run.size, "progress": lambda run: run.progress}
        return sorted(found, key=keys[sort], reverse=True)
    without = ("", "", "")
    better = {run.folder: sum(other.better_than(run) for other in found) for run in found}
    return sorted(found, key=lambda run: (run.comparable is None, run.comparable or without, better[run.folder]))


def _line(run: Listed) -> None:
    """A run in one line, with others for what its name does not say and for what is wrong."""
    name = _cut(f"{run.name} [{run.tag}]" if run.tag else run.name, NAME)
    row = f"{name:<{NAME}} {_progress(run):<12} {_bytes(run.size):>5} {_age(run.changed):>4}"
    print(f"{row}  {_result(run)}".rstrip())
    what = "" if run.broken or f"-{run.model}-" in run.name else f"{run.model} on {run.data}"
    for line in (what, *(f"! {fault}" for fault in (run.broken, *run.findings.values()) if fault)):
        if line:
            print(textwrap.shorten(line, WIDTH, placeholder=" …", initial_indent="  "))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _progress(run: Listed) -> str:
    if run.state in ("finished", "broken") or not run.budget:
        return run.state
    return f"{100 * run.progress:.0f} %" + (f" {run.state}" if run.state != "unfinished" else "")


def _result(run: Listed) -> str:
    from gancli.evaluation.scores import number, title

    if run.result is None:
        return ""
    return f"{title(run.result['metric'])} {number(run.result['metric'], run.result['value'])}"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f}G" if size >= 1e9 else f"{size / 1e6:.0f}M" if size >= 1e6 else f"{size / 1e3:.0f}k"


def _age(changed: float) -> str:
    """Since it was written to, in the largest unit."""
    seconds = max(0.0, time.time() - changed)
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


def _one(name: str, folders: Sequence[Path] | None) -> Listed:
    """The run of a name, among those of the folders that were named."""
    from gancli.runs import listing
    from gancli.zoo import catalogue

    if folders:
        found = catalogue.run_like(name, list(listing.folders(_roots(folders))))
        if found is None:
            raise UsageError(f"there is no run '{name}' in {', '.join(map(str, folders))}", "look elsewhere with --in")
        return listing.read(found)
    return listing.read(catalogue.run_named(name))


@app.command()
def show(context: typer.Context, run: Run, as_json: _options.AsJson = False) -> None:
    """One run: its model, data, progress, files and results.

    \b
    Examples:
      gancli runs show mnist
      gancli runs show best-faces --json
    """
    found = _one(run, context.obj)
    if as_json:
        print_json(found.to_dict())
        return
    budget = f" of {found.budget:,}" if found.budget else ""
    rounds = "?" if found.rounds is None else f"{found.rounds:,}"
    facts: dict[str, Any] = {
        "folder": found.folder,
        "tag": found.tag,
        "model": found.model,
        "data": found.data,
        "rounds": f"{rounds}{budget}, {found.state}",
        "size": f"{_bytes(found.size)}B".replace("kB", " kB").replace("MB", " MB").replace("GB", " GB"),
        "written": f"{_age(found.changed)} ago",
        "broken": found.broken,
    }
    for key, value in facts.items():
        if value:
            print(f"{key:<8} {value}")
    _show_results(found.evaluation)
    for name, text in found.findings.items():
        print(textwrap.fill(f"{name.replace('-', ' ')}: {text}", WIDTH, initial_indent="! ", subsequent_indent="  "))


def _show_results(evaluation: Mapping[str, Any]) -> None:
    from gancli.evaluation.scores import number, title

    for result in evaluation.get("results", ()):
        figure = f"{title(result['metric'])} {number(result['metric'], result['value'])}"
        floor = result.get("floor")
        print(f"result   {figure}" + ("" if floor is None else f" (real data {number(result['metric'], floor)})"))


@app.command()
def logs(
    context: typer.Context,
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the training ends.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000, help="Of the end of the metrics.")] = 20,
) -> None:
    """The last metrics of a run, one row a line.

    \b
    Examples:
      gancli runs logs mnist
      gancli runs logs mnist -n 3 -f
    """
    from gancli import lock
    from gancli.runs.folder import METRICS_FILE
    from gancli.runs.metrics_log import MetricsTail

    folder = _one(run, context.obj).folder
    metrics = MetricsTail(folder / METRICS_FILE)
    rows = metrics.read()
    for row in rows[-lines:]:
        print(_logged(row))
    shown = rows[-1]["round"] if rows else -1
    while follow and lock.holder(folder):
        time.sleep(0.5)
        before = metrics.generation
        for row in metrics.read():
            # A run that is resumed writes the file anew.
            if metrics.generation == before or row["round"] > shown:
                print(_logged(row), flush=True)
                shown = row["round"]


def _logged(row: Mapping[str, Any]) -> str:
    """A row of the metrics: the round, and numbers by name."""
    numbers = [
        f"{name} {value:,.4g}"
        for name, value in row.items()
        if isinstance(value, int | float) and name not in ("round", "images", "seconds")
    ]
    results = row.get("evaluation", {}).get("results", {})
    numbers += [f"{name} {result['value']:.4g}" for name, result in results.items() if "value" in result]
    return f"round {row['round']:,}  {'  '.join(numbers)}"


@app.command()
def stop(
    context: typer.Context,
    run: Run,
    wait: Annotated[float, typer.Option(min=0, max=3600, metavar="SECONDS", help="How long to wait for it.")] = 60.0,
) -> None:
    """Ask the process that trains a run to save and end.

    \b
    Example:
      gancli runs stop mnist
    """
    from gancli import lock

    folder = _one(run, context.obj).folder
    if not lock.holder(folder):
        raise UsageError(f"no process is training {folder}", "`gancli runs` shows which are running")
    lock.interrupt(folder)
    until = time.monotonic() + wait
    while lock.holder(folder):
        if time.monotonic() >= until:
            raise GancliError(
                f"{folder} is still being trained after {wait:g} seconds", "wait longer, as in --wait 300"
            )
        time.sleep(0.1)
    print(f"{folder} is saved; `gancli train --resume {folder}` continues")


@app.command()
def tag(
    context: typer.Context,
    run: Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name; empty for none.")],
) -> None:
    """Name a run. Commands take the tag for the folder.

    A run with a tag is never pruned.

    \b
    Examples:
      gancli runs tag pictures-photos-3 faces
      gancli runs tag faces ""
    """
    from gancli.runs import listing

    found = _one(run, context.obj)
    listing.name(found, name, _all(context.obj))
    print(f"{found.folder} is called '{name}'" if name else f"{found.folder} has no tag")


@app.command()
def rm(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Folders, tags, or parts of names.")],
    yes: Yes = False,
) -> None:
    """Delete runs with all their files, after asking.

    \b
    Examples:
      gancli runs rm digits-2 digits-3
      gancli runs rm runs/old --yes
    """
    found = [_one(name, context.obj) for name in names]
    _remove(list({run.folder: run for run in found}.values()), {}, yes)


@app.command()
def prune(
    context: typer.Context,
    keep_best: Annotated[
        bool,
        typer.Option("--keep-best", help="Also runs that another one on the same data beats, by the same protocol."),
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete runs without any weights that can be read, after asking.

    Runs that are being trained, that have a tag, or that have no result to compare are kept, and always the best.

    \b
    Examples:
      gancli runs prune
      gancli runs prune --keep-best
    """
    from gancli.runs import listing

    found = _all(context.obj)
    beaten = listing.superseded(found) if keep_best else []
    reasons = {run.folder: f"{best.name} has {_result(best)}" for run, best in beaten}
    _remove([*listing.worthless(found), *(run for run, _ in beaten)], reasons, yes)


def _remove(found: Sequence[Listed], reasons: Mapping[Path, str], yes: bool) -> None:
    """Say what goes, ask, and delete it."""
    from gancli.runs import listing

    if not found:
        print("nothing to delete")
        return
    for run in found:
        because = reasons.get(run.folder) or run.broken
        words = [f"{run.folder}", _bytes(run.size), _result(run), because]
        print("  ".join(word for word in words if word))
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to ask", "add --yes to delete these")
        typer.confirm(f"delete {len(found)} runs, {_bytes(sum(run.size for run in found))}?", abort=True)
    for run in found:
        listing.remove(run)
        print(f"deleted {run.folder}")
