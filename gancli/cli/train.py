"""``gancli train``."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli._imports import import_quickly
from gancli.cli._processes import Processes, launch, meet, one_by_one
from gancli.cli.terminal.console import say, tell_left_out
from gancli.errors import UsageError

if TYPE_CHECKING:
    import torch

    from gancli.data import Dataset
    from gancli.processes import World
    from gancli.recipe import Recipe
    from gancli.runs.periodic_evaluation import Settings
    from gancli.runs.planning import Plan


def train(
    context: typer.Context,
    data: Annotated[
        str | None, typer.Argument(help="A data set's name, a folder or zip of images, or shards.", metavar="DATA")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="A model of the zoo, or a recipe's TOML file.", show_default="what suits the data"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder.", show_default="runs/TIME-MODEL-DATA")
    ] = None,
    only_class: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Train on one class of the data alone, by its name or number.", show_default=False
        ),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Train for so many minutes.", min=0.001, metavar="N")] = None,
    epochs: Annotated[float | None, typer.Option(help="… or epochs.", min=0.0001, metavar="N")] = None,
    kimg: Annotated[float | None, typer.Option(help="… or thousands of images.", min=0.0001, metavar="N")] = None,
    rounds: Annotated[int | None, typer.Option(help="… or rounds.", min=1, metavar="N")] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Decides weights, order and noise.", min=0, max=2**32 - 1, metavar="N", show_default="0"),
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to train.")] = "auto",
    precision: Annotated[
        str | None, typer.Option(metavar="auto|fp32|tf32|bf16", help="Arithmetic of the networks.", show_default="auto")
    ] = None,
    on_collapse: Annotated[
        str | None,
        typer.Option(
            metavar="warn|stop|rollback",
            help="When the health monitor finds a failure: warn, stop, or go back with halved rates.",
            show_default="warn",
        ),
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same bytes each time also on a GPU, at some cost.")
    ] = False,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Change a value of the recipe. Repeatable.", metavar="KEY=VALUE")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="[RUN]", help="Go on with this run, or with the newest unfinished one.")
    ] = None,
    processes: Processes = None,
    save_every: Annotated[float, typer.Option(help="Seconds between saves.", min=0, metavar="SECONDS")] = 30.0,
    keep: Annotated[
        int | None,
        typer.Option(
            help="Keep the models of the last N sample grids under snapshots/.",
            min=0,
            metavar="N",
            show_default="0, or as before",
        ),
    ] = None,
    evaluate_every: Annotated[
        float | None,
        typer.Option(
            help="Judge the model after every N thousand images, as `gancli evaluate` does, and keep the best.",
            min=0,
            metavar="N",
            show_default="0, never",
        ),
    ] = None,
    best_by: Annotated[
        str | None,
        typer.Option(help="The figure that the best is chosen by.", metavar="METRIC", show_default="fid, for images"),
    ] = None,
    evaluate_images: Annotated[
        int | None,
        typer.Option(
            help="Generate so many images for it.", min=6, max=100_000, metavar="N", show_default="2000, or as held out"
        ),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets are looked for first.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print recipe, size, speed, time; train nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the files made.")] = False,
) -> None:
    """Train a model on images. The same command with the same --out goes on where it stopped, to the bit.

    \b
    Examples:
      gancli train digits
      gancli train sine
      gancli train mnist --minutes 5
      gancli train photos/ --model dcgan --set data.size=[64,64] --out runs/photos
      gancli train mnist --model dcgan --dry-run
      gancli train mnist --only-class 9
      gancli train 'shards/train-{000000..000099}.tar'
      gancli train mnist --kimg 1000 --evaluate-every 100 --best-by fid
      gancli train mnist --epochs 200 --keep 5 --out runs/long
      gancli train --resume
    """
    from gancli.zoo.catalogue import check_new

    given = {"minutes": minutes, "epochs": epochs, "kimg": kimg, "rounds": rounds}
    training = _training(given, seed, precision, on_collapse, deterministic)
    if only_class is not None:
        # JSON writes text as TOML does; as it is, 9 would be a number.
        assignments = [*(assignments or []), f"data.only_class={json.dumps(only_class)}"]
    if processes and processes > 1 and not dry_run:
        _launch(context.obj, processes, resume, out, data, model)
    world = meet()
    quiet = quiet or not world.first
    folder = _to_resume(resume, out) or _to_restart(out)
    if folder is None:
        if data is None:
            raise UsageError(
                "what to train on is missing", "as in `gancli train digits`; `gancli data list` shows more"
            )
        named = model or _usual_model(data)
        stored, tables = None, partial(_table, data, named, training, assignments or [])
        if out is not None and not dry_run:
            check_new(out)
    else:
        stored = _stored(folder, data, model, training, assignments or [])
        tables = stored.to_dict
    import_quickly("gancli.runs.run")
    settings = _settings(folder, evaluate_every, best_by, evaluate_images, data_dir)
    dataset, where, made = _prepare(stored, tables, device, data_dir, dry_run, quiet, world)
    if not dry_run:
        out = folder or out or Path(world.broadcast(str(_new_folder(made.recipe.model, made.recipe.data.name))))
        from gancli.runs.memory import explain_out_of_memory

        with explain_out_of_memory(made.recipe, where, world):
            _train(out, made.recipe, dataset, where, save_every, settings, keep, quiet, world)
    elif world.first:
        _explain(made, dataset, where)
        _explain_evaluation(settings, made, dataset, where)


def _launch(
    arguments: list[str], processes: int, resume: str | None, out: Path | None, data: str | None, model: str | None
) -> None:
    """Start the same command in so many processes, with a run folder by which they find what they did, and leave.

    Raises:
        typer.Exit: always, when they have ended.
    """
    named = []
    if resume is None and out is None and data is not None:
        named = ["--out", str(_new_folder(Path(model or _usual_model(data)).stem, data))]
    launch([*arguments, *named], processes)


def _settings(
    folder: Path | None, every: float | None, best_by: str | None, images: int | None, data_dir: Path | None
) -> Settings | None:
    """How to judge the model as it trains; what is not said is as it was when a run that goes on was last judged."""
    import dataclasses

    from gancli.runs.periodic_evaluation import Settings, stored_settings

    before = stored_settings(folder) if folder else None
    if before is None and every is None:
        if best_by is None and images is None:
            return None
        option = "--best-by" if best_by is not None else "--evaluate-images"
        raise UsageError(f"{option} is for a model that is judged as it trains", "add --evaluate-every 100")
    if every == 0:
        return None
    given = {"every": every, "best_by": best_by, "images": images, "data_dir": data_dir}
    said = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(before or Settings(every or 1), **said)


def _usual_model(data: str) -> str:
    """The zoo's model for a data set when none is named."""
    from gancli.data import describe

    facts = describe(data)
    return facts.model if facts else "quick"


def _training(
    given: dict[str, float | None],
    seed: int | None,
    precision: str | None,
    on_collapse: str | None,
    deterministic: bool = False,
) -> dict[str, Any]:
    """The values of the recipe's training section that have options of their own."""
    budgets = {unit: value for unit, value in given.items() if value is not None}
    if len(budgets) > 1:
        raise UsageError(f"{' and '.join('--' + unit for unit in budgets)} are both a budget", "give one of them")
    budget = next((f"{value:.10g} {unit}" for unit, value in budgets.items()), None)
    options = {"budget": budget, "seed": seed, "precision": precision, "on_collapse": on_collapse}
    options["deterministic"] = deterministic or None
    return {name: value for name, value in options.items() if value is not None}


def _table(
    data: str, model: str, training: dict[str, Any], assignments: list[str], labelled: bool = False
) -> dict[str, Any]:
    """The recipe's tables as the command line asks for them, not yet resolved."""
    from gancli import recipe
    from gancli.zoo import catalogue

    table = recipe.for_data(catalogue.recipe_table(model), _place(data), labelled)
    return _placed(recipe.override(recipe.merge(table, {"training": training}), assignments))


def _placed(table: dict[str, Any]) -> dict[str, Any]:
    """The tables with the place of a second folder from the root."""
    data = table.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("source"), str) or not data["source"]:
        return table
    from gancli.data.pairs.sources import absolute

    return {**table, "data": {**data, "source": absolute(data["source"])}}


def _place(data: str) -> str:
    """A data set's name as it is; a path from the root, so that a run goes on from any folder."""
    from gancli.data import DATASETS
    from gancli.data.shards.names import absolute, is_sharded

    if data not in DATASETS and is_sharded(data):
        return absolute(data)
    path = Path(data)
    return data if data in DATASETS or not path.exists() else str(path.resolve())


def _to_resume(resume: str | None, out: Path | None) -> Path | None:
    """The run that is to go on, if any: the one named, the newest unfinished, or what --out already holds."""
    from gancli.zoo import catalogue

    if resume and out is not None and Path(resume) != out:
        raise UsageError(f"--resume {resume} and --out {out} are two runs", "give one of them")
    if resume is None:
        return out if out is not None and (out / "state.safetensors").is_file() else None
    return Path(resume) if resume else out or catalogue.newest_run(unfinished=True)


def _to_restart(out: Path | None) -> Path | None:
    """The run that a process was torn from, where ``torchrun`` has started it again without being told a folder."""
    from gancli.zoo import catalogue

    if out is not None or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0:
        return None
    with suppress(UsageError):  # it was torn away before there was a run
        return catalogue.newest_run(unfinished=True)
    return None


def _stored(
    folder: Path, data: str | None, model: str | None, training: dict[str, Any], assignments: list[str]
) -> Recipe:
    """The recipe of a run that is to go on; whatever the command line says besides must agree with it."""
    import_quickly("gancli.runs.run")
    from gancli import recipe
    from gancli.runs.state import stored_recipe

    stored = stored_recipe(folder)
    then = stored.to_dict()
    asked = {
        "training": {key: value for key, value in training.items() if value != "auto"},
        "data": {"name": _place(data)} if data is not None else {},
        **({"model": model} if model is not None and not model.endswith(".toml") else {}),
    }
    now = recipe.parse(_placed(recipe.override(recipe.merge(then, asked), assignments))).to_dict()
    if changed := recipe.differences(then, now):
        path, old, new = changed[0]
        raise UsageError(
            f"{folder} was trained with {path} = {old!r}, not {new!r}",
            "leave that out to go on with it, or start a new run with another --out",
        )
    return stored


def check_device(recipe: Recipe, where: torch.device, world: World) -> None:
    """A new run asks for nothing that its device cannot do.

    Raises:
        UsageError: it does.
    """
    training = recipe.training
    if training.precision == "tf32" and where.type != "cuda":
        raise UsageError(
            f"tf32 is what NVIDIA's GPUs compute in, and this is {where.type}", "--precision fp32, or auto"
        )
    if training.cuda_graphs and where.type != "cuda":
        raise UsageError(
            f"training.cuda_graphs = true: NVIDIA's GPUs have such, and this is {where.type}", "leave it out"
        )
    if training.cuda_graphs and world.size * training.accumulate > 1:
        raise UsageError(
            "training.cuda_graphs = true: a round of several processes or parts is not recorded", "leave it out"
        )


def _prepare(
    stored: Recipe | None,
    tables: Callable[..., dict[str, Any]],
    device: str,
    data_dir: Path | None,
    measure_anyway: bool,
    quiet: bool,
    world: World,
) -> tuple[Dataset, torch.device, Plan]:
    """Data, device and a recipe with nothing left open."""
    from gancli.cli.terminal.progress import progress_bar
    from gancli.data.requested import load_for
    from gancli.device import pick_device
    from gancli.recipe import parse
    from gancli.runs import planning
    from gancli.runs.memory import explain_out_of_memory

    recipe = stored or parse(tables())
    where = pick_device(device)
    if stored is None:
        check_device(recipe, where, world)
    with progress_bar(quiet=quiet) as progress, one_by_one(world):
        dataset = load_for(recipe.data, data_dir=data_dir, progress=progress)
    if not quiet:
        tell_left_out(dataset.skipped, 5, "; `gancli data show` names them")
    _check_kind(recipe, dataset)
    if stored is None and len(dataset.classes) > 1:
        told = tables(labelled=True)
        # Whoever asks for no classes gets a model that is told none.
        recipe = parse(told) if told["latent"].get("classes") else recipe
    # Building the first optimizer imports it.
    import_quickly("torch._dynamo")
    measured = measure_anyway or (stored is None and planning.in_minutes(recipe))
    if measured and not quiet:
        say("measuring this machine for a moment …")
    with explain_out_of_memory(recipe, where, world):
        return dataset, where, planning.make(recipe, dataset, where, measured, world)


def _check_kind(recipe: Recipe, dataset: Dataset) -> None:
    """Make sure that numbers go to a model of numbers, before an architecture calls their shape too small an image."""
    outputs = {network.options["output"] for network in recipe.networks.values() if "output" in network.options}
    if dataset.formula is not None and outputs and "linear" not in outputs:
        raise UsageError(
            f"'{recipe.model}' makes images, and {recipe.data.name} holds numbers",
            "leave out --model, or let perceptrons end in numbers: --model gan --set networks.generator.output=linear",
        )


def _new_folder(model: str, data: str) -> Path:
    import re
    import time

    from gancli.zoo import catalogue

    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data).stem).strip("-.") or "data"
    folder = catalogue.RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{model}-{stem}"
    names = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))
    return folder if not folder.exists() else next(name for name in names if not name.exists())


def _explain(made: Plan, dataset: Dataset, where: torch.device) -> None:
    """What ``--dry-run`` prints: a recipe that can be saved and used as it is, with the rest in its comments."""
    from gancli.cli.terminal.display import clock, rate
    from gancli.runs.previews import FRAMES

    recipe, measured = made.recipe, made.measurement
    assert measured is not None
    rounds = recipe.training.rounds or 1
    memory = (measured.weights + measured.activations + dataset.images.nbytes) / 2**20
    parameters = ", ".join(f"{name} {count:,}" for name, count in measured.parameters.items())
    print(recipe.to_toml())
    print(f"# parameters   {parameters}")
    numbers = dataset.formula is not None
    held = f"{dataset.images.shape[-1]} numbers a sample, drawn anew for every batch"
    held = held if numbers else f"{dataset.count:,} images {tuple(dataset.images.shape[1:])}"
    print(f"# data         {dataset.name}, {held}")
    print(f"# device       {where}, {recipe.training.precision}: {made.precision}")
    print(
        f"# memory       {memory:,.0f} MiB and what PyTorch itself takes: weights and moments "
        f"{measured.weights / 2**20:,.0f}, activations {measured.activations / 2**20:,.0f}, "
        f"data {dataset.images.nbytes / 2**20:,.0f}"
    )
    print(f"# throughput   {rate(measured.images / measured.seconds)} images/s, measured just now")
    shown = rounds * measured.images
    epochs = "" if numbers else f", {shown / dataset.count:,.1f} epochs"
    print(f"# budget       {rounds:,} rounds, {shown:,} {'samples' if numbers else 'images'}{epochs}")
    print(f"# time         {clock(rounds * measured.seconds + FRAMES * measured.preview)}")


def _explain_evaluation(settings: Settings | None, made: Plan, dataset: Dataset, where: torch.device) -> None:
    """What ``--dry-run`` prints of evaluations, measured on the untrained model."""
    if settings is None:
        return
    from gancli.cli.terminal.display import clock
    from gancli.runs.periodic_evaluation import Evaluator
    from gancli.training.loop import Trainer

    recipe, measured = made.recipe, made.measurement
    assert measured is not None
    trainer, evaluator = Trainer(recipe, dataset, where), Evaluator(settings)
    evaluator.try_out(trainer, dataset)  # reads the real images too, which later ones find in the cache
    once = evaluator.try_out(trainer, dataset)
    thousands = (recipe.training.rounds or 1) * measured.images / 1000
    times = math.ceil(thousands / settings.every) + 1
    by, count = settings.best_by or once.report.results[0].metric, once.report.protocol.generated_images
    print(
        f"# evaluation   {by} of {count:,} generated, {times:,} times, {once.seconds:.1f} s each: "
        f"{clock(times * once.seconds)} beside the time above"
    )


def _train(
    out: Path,
    recipe: Recipe,
    dataset: Dataset,
    where: torch.device,
    save_every: float,
    settings: Settings | None,
    keep: int | None,
    quiet: bool,
    world: World,
) -> None:
    """Train, and end by naming the files made."""
    import shlex

    from gancli.cli.terminal.display import clock, display
    from gancli.cli.terminal.interrupt import graceful
    from gancli.runs.periodic_evaluation import stored_settings
    from gancli.runs.run import Interrupted, Run
    from gancli.zoo.catalogue import BEST_FILE, SNAPSHOTS

    if settings is not None and settings != stored_settings(out) and not quiet:
        say("judging the model for the first time …")
    run = Run(out, recipe, dataset, where, save_every, settings, keep, world)
    if not quiet:
        done = f"{run.trainer.rounds:,} of {run.rounds:,} rounds"
        verb = f"finished, {done}" if run.finished else f"resuming at {done}"
        verb = verb if run.resumed else f"training {run.rounds:,} rounds"
        many = f" in {world.size} processes" if world.size > 1 else ""
        say(f"{recipe.model} on {dataset.name} ({where}, {recipe.training.precision}){many}: {verb}")
        say(f"judged every {settings.every:g} thousand images, and at the end") if settings else None
        say(run.note) if run.note else None
    try:
        with graceful() as stop, display(run.rounds, run.trainer.rounds, quiet) as watching:
            run.train(watching, stop)
    except Interrupted:
        say(f"stopped at round {run.trainer.rounds:,} of {run.rounds:,}; saved in {out}")
        say(f"go on with: gancli train --resume {shlex.quote(str(out))}")
        raise typer.Exit(stop.code) from None
    if run.monitor.found and not quiet:
        titles = ", ".join(dict.fromkeys(finding.title for finding in run.monitor.found))
        say(f"the health monitor found {titles}; `gancli doctor {shlex.quote(str(out))}` explains")
    if (judging := run.evaluator.seconds) and not quiet:
        share = judging / (judging + run.files.seconds)
        say(f"evaluations took {clock(judging)}, {100 * share:.0f} % of the time; training {clock(run.files.seconds)}")
    files = {
        "samples.png": "samples",
        "training.gif": "the training as an animation",
        "losses.png": "the losses",
        "model.safetensors": "the model: `gancli sample` takes it",
    }
    if settings is not None and (out / BEST_FILE).exists():
        files[BEST_FILE] = "the model when it was best, likewise"
    if run.files.keep:
        files[SNAPSHOTS] = "models on the way, by the numbers of their sample grids"
    for name, what in files.items() if world.first else ():
        print(f"{out / name}  {what}" if not quiet else out / name)
