"""``gancli train``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _options, _recipe, _start
from gancli.cli._imports import import_quickly
from gancli.cli._processes import first_alone, launch_or_meet
from gancli.cli.terminal.console import say, tell_left_out, tell_which
from gancli.cli.terminal.interrupt import graceful
from gancli.cli.terminal.progress import progress_bar
from gancli.errors import UsageError

if TYPE_CHECKING:
    import torch

    from gancli.data import Dataset
    from gancli.processes import World
    from gancli.recipe import Recipe
    from gancli.runs.periodic_evaluation import Settings
    from gancli.runs.planning import Plan
    from gancli.runs.start import Weights


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A data set's name, a folder or zip of images, shards, or hf:USER/REPO of the Hugging Face Hub. "
            "With --resume: its new path.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A zoo model, a recipe's TOML file, or a run folder or hf:USER/REPO whose recipe is used. Default: "
            "quick for grey images of at most 28 pixels, pictures for all others, a small GAN for numbers.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from the weights of a zoo model, a run folder, a .safetensors file or hf:USER/REPO, and by "
            "default from its recipe too.",
        ),
    ] = None,
    freeze_d: Annotated[
        int | None,
        typer.Option(
            "--freeze-d", metavar="N", help="With --from: freeze the first N layers of the discriminator.", min=1
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder. Default: runs/TIME-MODEL-DATA.")
    ] = None,
    only_class: Annotated[
        str | None, typer.Option(metavar="NAME", help="Train on one class only, by its name or number.")
    ] = None,
    hold_out: Annotated[
        str | None,
        typer.Option(
            "--hold-out",
            metavar="SHARE|COUNT",
            help="Never train on this share or number of images, with all their near-duplicates, so that evaluation "
            "notices copies. Default: 0.",
        ),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Train for N minutes.", min=0.001, metavar="N")] = None,
    epochs: Annotated[float | None, typer.Option(help="Train for N epochs.", min=0.0001, metavar="N")] = None,
    kimg: Annotated[float | None, typer.Option(help="Train for N thousand images.", min=0.0001, metavar="N")] = None,
    rounds: Annotated[int | None, typer.Option(help="Train for N rounds.", min=1, metavar="N")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Random seed of weights, data order and noise. Default: 0.", min=0, max=2**32 - 1, metavar="N"
        ),
    ] = None,
    device: _options.Device = "auto",
    precision: Annotated[
        str | None,
        typer.Option(metavar="auto|fp32|tf32|bf16|fp16", help="Floating-point format of the networks. Default: auto."),
    ] = None,
    on_collapse: Annotated[
        str | None,
        typer.Option(
            metavar="warn|stop",
            help="When the health monitor finds a failure: warn, or save and stop. Default: warn.",
        ),
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Reproduce runs bit-exactly on a GPU too; slower.")
    ] = False,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe value. Repeatable.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="[RUN]",
            help="Resume this run, or the newest unfinished one; with --minutes or another budget, train for that much "
            "longer.",
        ),
    ] = None,
    processes: _options.Processes = None,
    save_every: Annotated[float, typer.Option(help="Seconds between saves.", min=0, metavar="SECONDS")] = 30.0,
    keep: Annotated[
        int | None,
        typer.Option(
            help="Keep the models of the last N sample grids in snapshots/. Default: 0, or as before when resuming.",
            min=0,
            metavar="N",
        ),
    ] = None,
    evaluate_every: Annotated[
        float | None,
        typer.Option(
            help="Evaluate after every N thousand images, as `gancli evaluate` does, and keep the best model. "
            "Default: 0, never.",
            min=0,
            metavar="N",
        ),
    ] = None,
    best_by: Annotated[
        str | None, typer.Option(help="The metric that decides which model is best. Default: fid.", metavar="METRIC")
    ] = None,
    evaluate_images: Annotated[
        int | None,
        typer.Option(
            help="Images generated for each evaluation. Default: as many as are held out, at most 2000.",
            min=6,
            max=100_000,
            metavar="N",
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(metavar="LOGGER", help="Also log metrics and samples for another tool: tensorboard."),
    ] = None,
    data_dir: _options.DataDir = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print recipe, model size, speed and time; do not train.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the files made.")] = False,
) -> None:
    """Train a model. The same command with the same --out resumes bit-exactly where it stopped.

    \b
    Examples:
      gancli train digits
      gancli train sine
      gancli train mnist --minutes 5
      gancli train photos/ --minutes 60 --set data.size=64 --out runs/photos
      gancli train mnist --model dcgan --dry-run
      gancli train mnist --only-class 9
      gancli train photos/ --from RUN --freeze-d 2
      gancli train photos/ --hold-out 0.1
      gancli train 'shards/train-{000000..000099}.tar'
      gancli train mnist --kimg 1000 --evaluate-every 100 --best-by fid
      gancli train mnist --epochs 200 --keep 5 --out runs/long
      gancli train --resume
      gancli train --resume runs/photos --minutes 10
    """
    from gancli.zoo import catalogue

    budgets = {"minutes": minutes, "epochs": epochs, "kimg": kimg, "rounds": rounds}
    fields = {"seed": seed, "precision": precision, "on_collapse": on_collapse, "deterministic": deterministic or None}
    training, assignments = _recipe.training_table(budgets, fields), assignments or []
    _start.check_options(weights, freeze_d, resume)
    longer = _recipe.longer(training) if resume is not None else None
    if only_class is not None:
        # Quoted as TOML, because 9 would be a number.
        assignments = [*assignments, f"data.only_class={json.dumps(only_class)}"]
    if hold_out is not None:
        assignments = [*assignments, f"data.hold_out={_recipe.amount(hold_out)}"]
    if log:
        from gancli.runs import loggers

        loggers.check(log)
    arguments = context.obj
    if processes and resume is None and out is None and data is not None:  # so that they find it again after a crash
        name = Path(model or _recipe.default_model(data) or "default").stem
        arguments = [*arguments, "--out", str(_recipe.new_folder(name, data))]
    world = launch_or_meet(arguments, None if dry_run else processes)
    quiet = quiet or not world.first
    folder = _recipe.folder_to_resume(resume, out)
    if folder is not None:
        recipe, fit, source = _recipe.stored(folder, data, model, training, assignments), None, None
        _start.check_same(folder, recipe, weights, freeze_d)
    elif data is None:
        raise UsageError("no data was named", "as in `gancli train digits`; `gancli data list` shows more")
    else:
        if out is not None and not dry_run:
            catalogue.check_new(out)
        import_quickly("gancli.runs.run")
        from gancli.runs import start

        source = start.read(weights) if weights is not None else None
        training |= {"start": source.start(freeze_d or 0)} if source else {}
        new = partial(_recipe.new, data, training, assignments)
        own = source if model is None else None  # whose recipe is the default
        recipe = new(start.recipe_table(own, data, labelled=False) if own else model or _recipe.default_model(data))

        def fit(dataset: Dataset) -> Recipe:
            chosen = model or _recipe.default_model(data, dataset.images.shape[1:])

            def form(labelled: bool) -> Recipe:
                return new(start.recipe_table(own, data, labelled) if own else chosen, labelled=labelled)

            labelled = len(dataset.classes) > 1
            found = form(labelled)
            # A command that sets latent.classes to 0 gets an unconditional model.
            return form(False) if labelled and not found.latent.classes else found

    settings = _recipe.evaluation_settings(folder, evaluate_every, best_by, evaluate_images, data_dir)
    dataset, where, made = _prepare(recipe, fit, source, folder, device, data_dir, dry_run, quiet, world)
    if not dry_run:
        from gancli.runs.memory import explain_out_of_memory

        name = str(_recipe.new_folder(made.recipe.model, made.recipe.data.name))
        out = folder or out or Path(world.broadcast(name))
        with explain_out_of_memory(made.recipe, where, world):
            _train(out, made, dataset, where, save_every, settings, keep, longer, source, log or [], quiet, world)
    elif world.first:
        from gancli.cli._dry_run import explain

        explain(made, dataset, where, settings, source)


def _prepare(
    recipe: Recipe,
    fit: Callable[[Dataset], Recipe] | None,
    source: Weights | None,
    folder: Path | None,
    device: str,
    data_dir: Path | None,
    measure_anyway: bool,
    quiet: bool,
    world: World,
) -> tuple[Dataset, torch.device, Plan]:
    """Data, device and a resolved recipe.

    Args:
        recipe: of a new training, or of one that is resumed.
        fit: makes the recipe for the shape and the classes of the data; None for a training that is resumed.
        source: weights that a new training starts from.
        folder: the run that is resumed; None for a new training.
        device: what the user asked for.
        data_dir: where data is.
        measure_anyway: whether to measure the speed in any case.
        quiet: show no progress.
        world: the processes.
    """
    from gancli.data.requested import load_for
    from gancli.device import pick_device
    from gancli.runs import planning
    from gancli.runs.memory import explain_out_of_memory
    from gancli.runs.state import split_of

    where = pick_device(device)
    if fit and recipe.training.precision == "tf32" and where.type != "cuda":
        raise UsageError(f"tf32 needs an NVIDIA GPU, and this device is {where.type}", "--precision fp32, or auto")
    with progress_bar(quiet=quiet) as progress, first_alone(world):
        divided, seed = split_of(folder) if folder else None, recipe.training.seed
        dataset = load_for(recipe.data, data_dir=data_dir, progress=progress, seed=seed, divided=divided)
    if not quiet:
        say(dataset.summary())
        tell_which(recipe.data.name)
        tell_left_out(dataset.skipped, 5, "; `gancli data show` names them")
    recipe = fit(dataset) if fit else recipe
    _check_kind(recipe, dataset)
    if fit:
        told = _start.lines(planning.resolve(recipe, dataset, where), source)
        for line in [] if quiet or measure_anyway else told:  # a dry run prints them
            say(line)
    # Building the first optimizer imports it.
    import_quickly("torch._dynamo")
    measured = measure_anyway or (fit is not None and planning.in_minutes(recipe))
    if measured and not quiet:
        say("measuring training speed …")
    with explain_out_of_memory(recipe, where, world):
        return dataset, where, planning.make(recipe, dataset, where, measured, world, resumed=fit is None)


def _check_kind(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse to train a model of images on numbers, before an architecture calls their shape too small an image."""
    outputs = {network.options["output"] for network in recipe.networks.values() if "output" in network.options}
    if dataset.formula is not None and outputs and "linear" not in outputs:
        option = "--from" if recipe.training.start else "--model"
        raise UsageError(
            f"'{recipe.model}' makes images, and {recipe.data.name} holds numbers",
            f"leave out {option}, or give a perceptron a linear output: --model gan "
            "--set networks.generator.output=linear",
        )


def _train(
    out: Path,
    made: Plan,
    dataset: Dataset,
    device: torch.device,
    save_every: float,
    settings: Settings | None,
    keep: int | None,
    longer: str | None,
    source: Weights | None,
    log: Sequence[str],
    quiet: bool,
    world: World,
) -> None:
    """Train, then name the files made."""
    from gancli.cli.terminal.display import display
    from gancli.runs import loggers
    from gancli.runs.periodic_evaluation import stored_settings
    from gancli.runs.run import Interrupted, Run
    from gancli.zoo import catalogue

    if settings is not None and settings != stored_settings(out) and not quiet:
        say("evaluating for the first time …")
    run = Run(out, made.recipe, dataset, device, save_every, settings, keep, world, made.minutes, longer, source)
    recipe = run.recipe
    if not quiet:
        done = f"{run.trainer.rounds:,} of {run.rounds:,} rounds"
        verb = f"finished, {done}" if run.finished else f"resuming at {done}"
        verb = verb if run.resumed else f"training {run.rounds:,} rounds"
        many = f" in {world.size} processes" if world.size > 1 else ""
        say(f"{recipe.model} on {dataset.name} ({device}, {recipe.training.precision}){many}: {verb}")
        if settings:
            say(f"evaluating every {settings.every:g} thousand images, and at the end")
        if run.note:
            say(run.note)
    try:
        with (
            graceful() as stop,
            display(run.rounds, run.trainer.rounds, quiet) as shown,
            loggers.logging(log if world.first else (), out, recipe, run.trainer.rounds, shown) as reporter,
        ):
            run.train(reporter, stop)
    except Interrupted:
        say(f"stopped at round {run.trainer.rounds:,} of {run.rounds:,}; saved in {out}")
        say(f"resume with: `gancli train --resume {shlex.quote(str(out))}`")
        raise typer.Exit(stop.code) from None
    if run.monitor.found and not quiet:
        titles = ", ".join(dict.fromkeys(finding.title for finding in run.monitor.found))
        say(f"the health monitor found {titles}; `gancli doctor {shlex.quote(str(out))}` explains")
    if not world.first:
        return
    files = {
        "samples.png": "samples",
        "training.gif": "the training as an animation",
        "losses.png": "the losses",
        catalogue.MODEL_FILE: "the model, for `gancli sample`",
    }
    if settings is not None and (out / catalogue.BEST_FILE).exists():
        files[catalogue.BEST_FILE] = "the best model by evaluation"
    if run.files.keep > 0:
        files[catalogue.SNAPSHOTS] = "earlier models, numbered like the sample grids"
    for name, what in files.items():
        print(out / name if quiet else f"{out / name}  {what}")
