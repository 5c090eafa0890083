"""``gancli sweep``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _options, _train_options, _training
from gancli.cli._help import FILES, MODEL, OTHER
from gancli.cli._imports import import_quickly
from gancli.cli._processes import launch_or_meet
from gancli.cli.terminal.console import say
from gancli.errors import GancliError
from gancli.library import recipes
from gancli.library.request import Request

if TYPE_CHECKING:
    from gancli.data import Dataset
    from gancli.library.request import Checked
    from gancli.processes import World

ENDED = ("diverged", "stopped")
"""States of runs that the sweep does not continue: they would end in the same way."""


def sweep(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="What `gancli train` takes: a data set, a folder or zip, shards, or hf:USER/REPO."
        ),
    ],
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=V1,V2",
            help="Recipe values to combine, or models, as in model=dcgan,quick. Repeatable: every combination is a "
            "run.",
            rich_help_panel=MODEL,
        ),
    ],
    model: _train_options.Model = None,
    assignments: _train_options.Assignments = None,
    only_class: _train_options.OnlyClass = None,
    hold_out: _train_options.HoldOut = None,
    data_dir: _options.DataDir = None,
    minutes: _train_options.Minutes = None,
    epochs: _train_options.Epochs = None,
    kimg: _train_options.Kimg = None,
    rounds: _train_options.Rounds = None,
    device: _options.Device = "auto",
    precision: _train_options.Precision = None,
    processes: _options.Processes = None,
    evaluate_every: _train_options.EvaluateEvery = None,
    best_by: _train_options.BestBy = None,
    evaluate_images: _train_options.EvaluateImages = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="How the names of the run folders begin. Default: runs/sweep-MODEL-DATA.",
            rich_help_panel=FILES,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and name the runs; do not train.", rich_help_panel=OTHER)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the comparison.", rich_help_panel=OTHER)
    ] = False,
) -> None:
    """Train all combinations of recipe values and compare them.

    The runs follow one after the other, each with this budget. The same command again continues: finished runs are
    skipped, others resumed.

    \b
    Examples:
      gancli sweep digits --vary optimizer.generator.lr=1e-4,2e-4 --rounds 500
      gancli sweep digits --vary model=dcgan,wgan-gp --minutes 1
      gancli sweep mnist --vary training.batch=32,64 --kimg 200
    """
    from gancli.library import sweep as sweeps

    beginning = out or Path("runs", "-".join(["sweep", *([Path(model).stem] if model else []), recipes.stem(data)]))
    combinations = sweeps.combinations([sweeps.parse(text) for text in vary])
    requests = [
        Request(
            data=data,
            model=one.model or model,
            out=one.folder(beginning),
            budget=recipes.budget_of(minutes=minutes, epochs=epochs, kimg=kimg, rounds=rounds),
            training={} if precision is None else {"precision": precision},
            assignments=[
                *(assignments or ()),
                *_train_options.data_assignments(only_class, hold_out),
                *one.assignments,
            ],
            evaluate_every=evaluate_every,
            best_by=best_by,
            evaluate_images=evaluate_images,
            device=device,
            data_dir=data_dir,
        )
        for one in combinations
    ]
    world = launch_or_meet(context.obj, None if dry_run else processes)
    quiet = quiet or not world.first
    runs = _checked(requests, quiet, world)
    folders = [one.out for one in requests if one.out is not None]
    if dry_run:
        for folder in folders:
            print(f"{folder}  {_state(folder)}")
        return
    for number, (one, folder) in enumerate(zip(runs, folders, strict=True), 1):
        _run(one, folder, f"run {number} of {len(runs)}, {folder.name}", context.obj, quiet, world)
    if world.first:
        _compare(folders, beginning)


def _checked(requests: Sequence[Request], quiet: bool, world: World) -> list[Checked]:
    """Every run with its recipe fitted to the data, before the first one is trained."""
    checked = [_training.check(request) for request in requests]
    import_quickly("torch._dynamo")
    from gancli.library.train import undisturbed

    found: list[Checked] = []
    dataset: Dataset | None = None
    data: object = None
    for one in checked:
        if dataset is None or one.recipe.data != data:
            dataset, data = _training.load(one, quiet or dataset is not None, world), one.recipe.data
        found.append(one.fitted(dataset))
        with undisturbed(one.device):
            found[-1].try_out(dataset, world)
    return found


def _run(one: Checked, folder: Path, title: str, arguments: Sequence[str], quiet: bool, world: World) -> None:
    """Train a run of the sweep, unless it has ended already."""
    from gancli.library.train import undisturbed

    state = world.broadcast(_state(folder))
    if state == "finished" or state in ENDED:
        more = "" if state == "finished" else f"; `gancli train --resume {shlex.quote(str(folder))}` continues it"
        if not quiet:
            say(f"{title}: {state}{more}")
        return
    if not quiet:
        say(title)
    with undisturbed(one.device):
        dataset = one.load(world)
        made = _training.plan(one, dataset, False, quiet, world)
        try:
            _training.train(one, made, dataset, quiet, world, f"gancli {shlex.join(arguments)}")
        except GancliError as error:
            # A run that diverges is a result, after which the others are trained.
            if world.size > 1 or _state(folder) not in ENDED:
                raise
            say(f"{title}: {error.message}")


def _state(folder: Path) -> str:
    """Of a run: new, or as in `gancli runs`."""
    from gancli.runs import listing
    from gancli.zoo import catalogue

    return listing.read(folder).state if (folder / catalogue.STATE_FILE).is_file() else "new"


def _compare(folders: Sequence[Path], beginning: Path) -> None:
    """Print the comparison of all runs, or of the best where they are too many for one."""
    from gancli.cli.compare import show
    from gancli.runs import comparing, listing

    runs = [listing.read(folder) for folder in folders]
    shown = sorted(runs, key=lambda run: sum(other.better_than(run) for other in runs))[: comparing.MOST]
    show(comparing.compare([run.folder for run in runs if run in shown]))
    if len(shown) < len(runs):
        which = "best" if any(run.result for run in runs) else "first"
        pattern = shlex.quote(f"name={beginning.name}-*")
        say(f"the {which} {len(shown)} of {len(runs)}; `gancli runs --where {pattern} --sort result` lists all")
