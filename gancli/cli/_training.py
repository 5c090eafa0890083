"""A training with what users see of it, shared by ``gancli train`` and ``gancli sweep``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gancli.cli import _start
from gancli.cli._imports import import_quickly
from gancli.cli.terminal.console import say, tell_left_out, tell_which
from gancli.cli.terminal.progress import progress_bar
from gancli.library.interrupt import graceful

if TYPE_CHECKING:
    from gancli.cli._page import Page
    from gancli.data import Dataset
    from gancli.library.request import Checked, Request
    from gancli.processes import World
    from gancli.runs.planning import Plan
    from gancli.runs.run import Run


def check(request: Request, *, write: bool = True) -> Checked:
    """All that can be checked before data are loaded.

    Args:
        request: what was typed.
        write: whether a run will be made.
    """
    folder = request.run_folder(write=write)
    import_quickly("gancli.runs.run")
    return request.check(folder)


def load(checked: Checked, quiet: bool, world: World) -> Dataset:
    """The data, with a line or more about them."""
    with progress_bar(quiet=quiet) as progress:
        dataset = checked.load(world, progress)
    if not quiet:
        say(dataset.summary())
        tell_which(checked.recipe.data.name)
        tell_left_out(dataset.skipped, 5, "; `gancli data show` names them")
    return dataset


def plan(checked: Checked, dataset: Dataset, dry_run: bool, quiet: bool, world: World) -> Plan:
    """The plan of a training whose recipe was fitted to its data."""
    for line in [] if quiet or dry_run else _start.lines(checked.recipe, checked.sources):  # a dry run prints them
        say(line)
    # Building the first optimizer imports it.
    import_quickly("torch._dynamo")
    if (dry_run or checked.measured) and not quiet:
        say("measuring training speed …")
    return checked.plan(dataset, world, measured=dry_run)


def train(
    checked: Checked,
    made: Plan,
    dataset: Dataset,
    quiet: bool,
    world: World,
    again: str = "",
    page: Page | None = None,
) -> Run:
    """Train to the end of the budget.

    Args:
        checked: with its recipe fitted to the data.
        made: its plan.
        dataset: the data.
        quiet: whether to show nothing.
        world: the processes.
        again: the command that continues after a stop; that of the run unless given.
        page: shows the run in a browser.

    Raises:
        typer.Exit: a signal stopped it, and it has saved.
    """
    from gancli.cli.terminal.display import display
    from gancli.runs import loggers
    from gancli.runs.memory import explain_out_of_memory
    from gancli.runs.periodic_evaluation import stored_settings
    from gancli.runs.run import Interrupted

    out, settings = checked.out(made, world), checked.settings
    if page is not None:
        page.show(out)
    with explain_out_of_memory(made.recipe, checked.device, world):
        if settings is not None and settings != stored_settings(out) and not quiet:
            say("evaluating for the first time …")
        run = checked.run(out, made, dataset, world)
        if not quiet:
            _begin(run, checked)
        log = checked.request.log if world.first else ()
        try:
            with (
                graceful() as stop,
                display(run.rounds, run.trainer.rounds, quiet) as shown,
                loggers.logging(log, out, run.recipe, run.trainer.rounds, shown) as reporter,
            ):
                run.train(reporter, stop)
        except Interrupted:
            say(f"stopped at round {run.trainer.rounds:,} of {run.rounds:,}; saved in {out}")
            say(f"resume with: `{again or f'gancli train --resume {shlex.quote(str(out))}'}`")
            raise typer.Exit(stop.code) from None
    if run.monitor.found and not quiet:
        titles = ", ".join(dict.fromkeys(finding.title for finding in run.monitor.found))
        say(f"the health monitor found {titles}; `gancli doctor {shlex.quote(str(out))}` explains")
    return run


def _begin(run: Run, checked: Checked) -> None:
    """Say what is about to be trained."""
    recipe = run.recipe
    done = f"{run.trainer.rounds:,} of {run.rounds:,} rounds"
    verb = f"finished, {done}" if run.finished else f"resuming at {done}"
    verb = verb if run.resumed else f"training {run.rounds:,} rounds"
    many = f" in {run.world.size} processes" if run.world.size > 1 else ""
    say(f"{recipe.model} on {run.dataset.name} ({checked.device}, {recipe.training.precision}){many}: {verb}")
    if checked.settings:
        say(f"evaluating every {checked.settings.every:g} thousand images, and at the end")
    if run.note:
        say(run.note)


def name_files(run: Run, evaluated: bool, quiet: bool) -> None:
    """Print the files that a run has made."""
    from gancli.zoo import catalogue

    out: Path = run.folder
    files = {
        "samples.png": "samples",
        "training.gif": "the training as an animation",
        "losses.png": "the losses",
        catalogue.MODEL_FILE: "the model, for `gancli sample`",
    }
    if evaluated and (out / catalogue.BEST_FILE).exists():
        files[catalogue.BEST_FILE] = "the best model by evaluation"
    if run.files.keep > 0:
        files[catalogue.SNAPSHOTS] = "earlier models, numbered like the sample grids"
    for name, what in files.items():
        print(out / name if quiet else f"{out / name}  {what}")
