"""``gancli.train``: a training as a function."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gancli.errors import UsageError
from gancli.library import recipes
from gancli.library.interrupt import graceful, raise_at_once
from gancli.library.progress import Callback, Progress, Tracker
from gancli.library.request import Checked, Request
from gancli.library.trained import Trained
from gancli.processes import World, join
from gancli.runs import loggers
from gancli.runs.memory import explain_out_of_memory
from gancli.runs.run import Interrupted, Run


def train(
    data: str | Path | None = None,
    *,
    model: str | Path | None = None,
    weights: str | Path | None = None,
    freeze_d: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    kimg: float | None = None,
    rounds: int | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seed: int | None = None,
    only_class: str | int | None = None,
    hold_out: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: str | None = None,
    deterministic: bool = False,
    evaluate_every: float | None = None,
    best_by: str | None = None,
    evaluate_images: int | None = None,
    on_collapse: str | None = None,
    save_every: float = 30.0,
    keep: int | None = None,
    log: Sequence[str] = (),
    data_dir: str | Path | None = None,
    progress: Callable[[Progress], object] | None = None,
) -> Trained:
    """Train a model as ``gancli train`` does: the same arguments and seed give the same weights.

    With the same ``out``, the same call resumes bit-exactly where it stopped, and returns at once where it has
    finished. PyTorch's random state, threads and choice of kernels are afterwards as before. In processes that
    ``torchrun`` started, all call it alike.

    Args:
        data: a data set's name, a folder or zip of images, shards, or ``hf:user/repo``; with ``resume``, its new path.
        model: a zoo model, a recipe's TOML file, or a run folder or ``hf:user/repo`` whose recipe is used. None:
            ``quick`` for grey images of at most 28 pixels, ``pictures`` for all others, a small GAN for numbers.
        weights: start from those of a zoo model, a run folder, a ``.safetensors`` file or ``hf:user/repo``, and by
            default from its recipe too.
        freeze_d: with ``weights``, layers of the discriminator, counted from the image, that stay as they are.
        minutes: train for so many; the rounds are planned by timing some.
        epochs: train for so many passes over the data.
        kimg: train for so many thousand images.
        rounds: train for so many. Without any of these four, the recipe says how long.
        out: the run folder; None for ``runs/TIME-MODEL-DATA``.
        resume: a run by folder, tag or part of its name, or an empty text for the newest unfinished one; with a budget,
            train for that much longer.
        seed: of weights, data order and noise, 0 to 2**32 - 1. None: the recipe's, usually 0.
        only_class: train on one class only, by its name or number.
        hold_out: never train on this share (below 1) or number of images, with all their near-duplicates.
        overrides: any value of the recipe by its path, as in ``{"optimizer.generator.lr": 1e-4, "data.size": 64}``;
            None leaves a section out.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto``, ``fp32``, ``tf32``, ``bf16`` or ``fp16``.
        deterministic: reproduce bit-exactly on a GPU too; slower.
        evaluate_every: evaluate after every so many thousand images and keep the best model; None or 0: never.
        best_by: the metric that decides which model is best; None for FID.
        evaluate_images: generated for each evaluation, 6 to 100,000; None: as many as are held out, at most 2,000.
        on_collapse: when the health monitor finds a failure, ``warn``, or ``stop`` with an error.
        save_every: seconds between saves.
        keep: of the last so many sample grids, keep the models in ``snapshots/``.
        log: names of further loggers: ``tensorboard``, ``wandb`` (offline).
        data_dir: where data sets are looked for first.
        progress: called in this thread about once a second and after each preview and evaluation; training waits for
            it. An exception that it raises ends the training, whose last save stays.

    Raises:
        UsageError: an argument that is wrong or does not fit the others, before anything is trained.
        GancliError: a download that failed, a damaged file, a full disk, or a training that diverged.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the training has saved, and the same call resumes it. A second Ctrl-C does
            not wait for that.
    """
    fields = {"seed": seed, "precision": precision, "on_collapse": on_collapse, "deterministic": deterministic or None}
    assignments = list((overrides or {}).items())
    assignments += [("data.only_class", str(only_class))] if only_class is not None else []
    assignments += [("data.hold_out", hold_out)] if hold_out is not None else []
    request = Request(
        data=_text(data),
        model=_text(model),
        weights=_text(weights),
        freeze_d=freeze_d,
        out=_path(out),
        resume=_text(resume),
        budget=recipes.budget_of(minutes=minutes, epochs=epochs, kimg=kimg, rounds=rounds),
        training={name: value for name, value in fields.items() if value is not None},
        assignments=assignments,
        save_every=save_every,
        keep=keep,
        evaluate_every=evaluate_every,
        best_by=best_by,
        evaluate_images=evaluate_images,
        log=(log,) if isinstance(log, str) else tuple(log),
        device=device,
        data_dir=_path(data_dir),
    )
    if progress is not None and not callable(progress):
        raise UsageError(f"`progress={progress!r}` cannot be called", "pass a function, as in progress=print")
    world = join()
    checked = request.check(request.run_folder())
    with undisturbed(checked.device):
        return _train(checked, world, progress)


def _train(checked: Checked, world: World, progress: Callable[[Progress], object] | None) -> Trained:
    dataset = checked.load(world)
    checked = checked.fitted(dataset)
    plan = checked.plan(dataset, world)
    with explain_out_of_memory(plan.recipe, checked.device, world):
        run = checked.run(checked.out(plan, world), plan, dataset, world)
        done = run.trainer.rounds
        tracker = Callback(progress, run.rounds, done) if progress and world.first else Tracker(run.rounds, done)
        log = checked.request.log if world.first else ()
        try:
            with (
                graceful(raise_at_once) as stop,
                loggers.logging(log, run.folder, run.recipe, done, tracker) as reporter,
            ):
                run.train(reporter, stop)
        except Interrupted:
            raise KeyboardInterrupt(_stopped(run)) from None
    return Trained(
        run.folder, run.recipe, run.trainer.rounds, str(checked.device), dataset.skipped, tuple(run.monitor.found)
    )


def _stopped(run: Run) -> str:
    where = f"stopped at round {run.trainer.rounds:,} of {run.rounds:,}; saved in {run.folder}"
    return f"{where}; gancli.train(resume={str(run.folder)!r}) resumes it"


@contextmanager
def undisturbed(device: torch.device) -> Generator[None]:
    """Leave PyTorch's random state, threads and choice of kernels as they are before it."""
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        cudnn.benchmark = benchmark


def _text(name: str | Path | None) -> str | None:
    # Path would turn an empty name into the current folder.
    return None if name is None else os.path.expanduser(str(name))  # noqa: PTH111


def _path(name: str | Path | None) -> Path | None:
    return None if name is None else Path(name).expanduser()
