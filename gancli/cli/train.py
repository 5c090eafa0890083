"""``gancli train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gancli.cli import _options, _page, _train_options, _training
from gancli.cli._help import BUDGET, EVALUATION, FILES, HARDWARE, MODEL, OTHER
from gancli.cli._processes import launch_or_meet
from gancli.library import recipes
from gancli.library.request import Request


def train(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A data set's name, a folder or zip of images, shards, a CSV of points, or hf:USER/REPO of the "
            "Hugging Face Hub. With --resume: its new path.",
        ),
    ] = None,
    only_class: _train_options.OnlyClass = None,
    hold_out: _train_options.HoldOut = None,
    data_dir: _options.DataDir = None,
    model: _train_options.Model = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Start from the weights of a zoo model, a run folder, a .safetensors file or hf:USER/REPO, and by "
            "default from its recipe too.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    freeze_d: Annotated[
        int | None,
        typer.Option(
            "--freeze-d",
            metavar="N",
            help="With --from: freeze the first N layers of the discriminator.",
            min=1,
            rich_help_panel=MODEL,
        ),
    ] = None,
    assignments: _train_options.Assignments = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Random seed of weights, data order and noise. Default: 0.",
            min=0,
            max=2**32 - 1,
            metavar="N",
            rich_help_panel=MODEL,
        ),
    ] = None,
    minutes: _train_options.Minutes = None,
    epochs: _train_options.Epochs = None,
    kimg: _train_options.Kimg = None,
    rounds: _train_options.Rounds = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="[RUN]",
            help="Resume this run, or the newest unfinished one; with --minutes or another budget, train for that much "
            "longer.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    device: _options.Device = "auto",
    precision: _train_options.Precision = None,
    processes: _options.Processes = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="Reproduce runs bit-exactly on a GPU too; slower.", rich_help_panel=HARDWARE
        ),
    ] = False,
    evaluate_every: _train_options.EvaluateEvery = None,
    best_by: _train_options.BestBy = None,
    evaluate_images: _train_options.EvaluateImages = None,
    on_collapse: Annotated[
        str | None,
        typer.Option(
            metavar="warn|stop",
            help="When the health monitor finds a failure: warn, or save and stop. Default: warn.",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run folder. Default: runs/TIME-MODEL-DATA.", rich_help_panel=FILES),
    ] = None,
    save_every: Annotated[
        float, typer.Option(help="Seconds between saves.", min=0, metavar="SECONDS", rich_help_panel=FILES)
    ] = 30.0,
    keep: Annotated[
        int | None,
        typer.Option(
            help="Keep the models of the last N sample grids in snapshots/. Default: 0, or as before when resuming.",
            min=0,
            metavar="N",
            rich_help_panel=FILES,
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOGGER",
            help="Also log metrics and samples for another tool: tensorboard or wandb. Repeatable.",
            rich_help_panel=FILES,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print recipe, model size, speed and time; do not train.", rich_help_panel=OTHER
        ),
    ] = False,
    page: Annotated[
        bool,
        typer.Option(
            "--page",
            help="Show the training in a browser while it lasts: curves, findings, samples.",
            rich_help_panel=OTHER,
        ),
    ] = False,
    quiet: _train_options.Quiet = False,
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
      gancli train mnist --page
      gancli train --resume
      gancli train --resume runs/photos --minutes 10
    """
    fields = {"seed": seed, "precision": precision, "on_collapse": on_collapse, "deterministic": deterministic or None}
    request = Request(
        data=data,
        model=model,
        weights=weights,
        freeze_d=freeze_d,
        out=out,
        resume=resume,
        budget=recipes.budget_of(minutes=minutes, epochs=epochs, kimg=kimg, rounds=rounds),
        training={name: value for name, value in fields.items() if value is not None},
        assignments=[*(assignments or ()), *_train_options.data_assignments(only_class, hold_out)],
        save_every=save_every,
        keep=keep,
        evaluate_every=evaluate_every,
        best_by=best_by,
        evaluate_images=evaluate_images,
        log=log or (),
        device=device,
        data_dir=data_dir,
    )
    request.check_values()
    if page:
        _page.check(dry_run)
    arguments = context.obj
    if processes and resume is None and out is None and data is not None:  # so that they find it again after a crash
        name = Path(model or recipes.default_model(data) or "default").stem
        arguments = [*arguments, "--out", str(recipes.new_folder(name, data))]
    world = launch_or_meet(arguments, None if dry_run else processes)
    shown = _page.beside(context) if page and world.first else None
    quiet = quiet or not world.first
    checked = _training.check(request, write=not dry_run)
    dataset = _training.load(checked, quiet, world)
    checked = checked.fitted(dataset)
    made = _training.plan(checked, dataset, dry_run, quiet, world)
    if not dry_run:
        run = _training.train(checked, made, dataset, quiet, world, page=shown)
        if world.first:
            _training.name_files(run, checked.settings is not None, quiet)
    elif world.first:
        from gancli.cli._dry_run import explain

        explain(checked, made, dataset)
