"""A run: the loop around the trainer that writes, previews, evaluates and monitors.

What it leaves, and how the folder stays whole, is in :mod:`gancli.runs.folder`.
"""

from __future__ import annotations

import math
import shlex
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from gancli.data import Dataset
from gancli.errors import GancliError, UsageError
from gancli.processes import ALONE, World
from gancli.recipe import Recipe
from gancli.rendering.images import grid, save_picture
from gancli.runs import health, metrics_log, planning, start
from gancli.runs.folder import METRICS_FILE, SAMPLES, RunFolder
from gancli.runs.periodic_evaluation import Evaluator, Settings, Stopped
from gancli.runs.planning import Pace, more_rounds
from gancli.runs.previews import FRAME, Preview, planned_previews, save_pictures, shrunk
from gancli.runs.start import Weights
from gancli.runs.state import NotFinite, RunFiles
from gancli.training.loop import Trainer
from gancli.zoo import catalogue


class Reporter(Protocol):
    """Receives progress; its methods return at once."""

    def row(self, values: dict[str, float]) -> None:
        """About once a second: the row that goes to ``metrics.jsonl``."""

    def pictures(self, images: Tensor) -> None:
        """Current samples, uint8 (N, C, H, W): one of each class, or as many as there are."""

    def replanned(self, rounds: int) -> None:
        """So many rounds are planned in all from now on."""


class Interrupted(Exception):
    """The training was asked to stop, and has saved its state."""


class Run:
    """One run folder and the training in it.

    Args:
        folder: new, or one that an earlier training left.
        recipe: resolved, with rounds.
        dataset: what to train on.
        device: where.
        save_every: seconds between saves: at most this much work is lost when the process is killed.
        settings: how to evaluate the model during training; None: not at all.
        keep: how many previews' models are kept, the last ones; None: as before, at first 0.
        world: the processes that train it together, all in this way: only the first writes files and evaluates.
        minutes: the time that a new run should take: where it turns out slower or faster than planned, its rounds are
            planned anew. None: it takes its rounds, however long.
        longer: a budget, such as "10 minutes", for which a run that is resumed goes on from where it stands.
        weights: that a new run starts from, if its recipe says so; one that is resumed has them in its state.

    Attributes:
        resumed: whether the run existed already.
        note: what the user should know, if anything.

    Raises:
        Taken: another process trains in that folder.
        UsageError: the recipe's parts do not fit together, or cannot be evaluated; nothing was made then.
        GancliError: a folder that does not hold what the recipe says.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        dataset: Dataset,
        device: torch.device,
        save_every: float = 30.0,
        settings: Settings | None = None,
        keep: int | None = None,
        world: World = ALONE,
        minutes: float | None = None,
        longer: str | None = None,
        weights: Weights | None = None,
    ) -> None:
        self.dataset, self.world = dataset, world
        # Before anything is built: a second training would take the memory of the first.
        self.run_folder = RunFolder(folder, world)
        weakref.finalize(self, self.run_folder.leave)
        self.resumed = self.run_folder.resumed
        try:
            self._begin(recipe, device, save_every, settings, keep, minutes, longer, weights)
        except BaseException:
            self.run_folder.leave()
            raise

    def _begin(
        self,
        recipe: Recipe,
        device: torch.device,
        save_every: float,
        settings: Settings | None,
        keep: int | None,
        minutes: float | None,
        longer: str | None,
        weights: Weights | None,
    ) -> None:
        dataset, world = self.dataset, self.world
        self.trainer = Trainer(recipe, dataset, device, world)
        if not self.resumed and recipe.training.start is not None:
            start.take_over(self.trainer, weights)
        self.preview = Preview(self.trainer, dataset)
        self.files = RunFiles(self.run_folder, self.trainer, self.preview, dataset, world)
        self.files.keep = keep or 0
        self.files.deadline = minutes and 60 * minutes
        self.save_every = save_every
        self.monitor, self.evaluator = health.HealthMonitor(), Evaluator(settings if world.first else None)
        self.evaluated = settings is not None
        self._speed = 0.0
        self._previews = planned_previews(recipe.training)
        notes = []
        if self.resumed:
            notes.append(self.files.resume(keep))
            self._trim()
            if longer is not None:
                self._extend(longer)
        self.evaluator.prepare(self.folder, self.trainer, dataset)
        if not self.resumed and world.first:
            self.files.create()
        world.barrier()
        if not self.run_folder.locked:
            notes.append("this file system has no locks: do not train twice in this folder")
        self.note = "; ".join(filter(None, notes))

    @property
    def folder(self) -> Path:
        """Where the run's files are."""
        return self.run_folder.path

    @property
    def recipe(self) -> Recipe:
        """What it is trained by; its planned rounds may change."""
        return self.trainer.recipe

    @property
    def rounds(self) -> int:
        """Planned in all."""
        return self.trainer.settings.rounds or 1

    @property
    def finished(self) -> bool:
        """Whether the budget is spent."""
        return self.trainer.rounds >= self.rounds

    def train(self, reporter: Reporter, stop: Callable[[], bool] = lambda: False) -> None:
        """Train to the end of the budget, saving as it goes.

        Args:
            reporter: receives progress.
            stop: called after every round; true ends the training with its state saved.

        Raises:
            Interrupted: ``stop`` returned true.
            Taken: another process has locked the folder since the last call.
            GancliError: a value is not finite, or the folder cannot be written any more: the last state stays; or the
                monitor found a failure, and the recipe says to stop then.
        """
        self.run_folder.hold()
        try:
            self._train(reporter, stop)
        except NotFinite as error:
            raise self._diverged(error.message) from None
        except (OSError, UsageError) as error:
            raise self.run_folder.ended_by(error) from error
        finally:
            with suppress(Exception):  # it has ended the training already
                self.files.writer.wait()  # a later write could replace a file of the next process
            self.run_folder.leave()

    def _train(self, reporter: Reporter, stop: Callable[[], bool]) -> None:
        clock = self.evaluator.clock
        logged = saved = clock()
        started, last = logged - self.files.seconds, self.trainer.rounds
        pace = Pace(self.files.deadline, self.files.seconds, last)
        while not self.finished:
            self._evaluate(reporter, stop)
            self.trainer.round()
            now, done = clock(), self.trainer.rounds
            self.files.seconds = now - started
            due = now - saved >= self.save_every, now - logged >= 1, pace.due(self.files.seconds)
            halt, save, log, plan = self._agree(stop(), *due)
            if plan:
                save = self._replan(self.world.broadcast(pace.plan(self.files.seconds, done, self.rounds)), reporter)
            save = save or halt or self.finished
            statistics = self._preview(reporter) if done in self._previews or self.finished else None
            if statistics is not None or save or log:
                self._row(reporter, (done - last) / max(now - logged, 1e-9), statistics)
                logged, last = now, done
            if statistics is not None and self.files.keep:
                self.files.save_snapshot()
            if save:
                self.files.save(wait=halt or self.finished)
                saved = now
            if halt and not self.finished:
                raise Interrupted
        if not catalogue.is_finished(self.folder):
            self.files.save()  # the model was lost
        self.world.barrier()
        if self.world.first and not (self.folder / "samples.png").exists():
            self.run_folder.check()
            save_pictures(self.folder, self.preview)
        self._evaluate(reporter, stop)

    def _agree(self, halt: bool, *by_clock: bool) -> list[bool]:
        """The same decisions in all processes: halt where any is asked to, the others by the first one's clock."""
        decisions = [halt, *(decision and self.world.first for decision in by_clock)]
        return [bool(decision) for decision in self.world.maximum([float(decision) for decision in decisions])]

    def _replan(self, rounds: int | None, reporter: Reporter) -> bool:
        """Plan so many rounds in all, unless None; the caller saves the state, which the plan is a part of."""
        if rounds is None:
            return False
        self.trainer.replan(rounds)
        self._previews = planned_previews(self.recipe.training)
        if self.world.first:
            self.files.save_recipe()
            reporter.replanned(rounds)
        return True

    def _extend(self, budget: str) -> None:
        """Plan to train for a budget from here on, and save that."""
        rounds = more_rounds(budget, self.trainer, self.dataset, self.files.seconds)
        minutes = planning.minutes_of(budget)
        self.files.deadline = None if minutes is None else self.files.seconds + 60 * minutes
        self.trainer.replan(self.trainer.rounds + rounds)
        self._previews = planned_previews(self.recipe.training)
        if self.world.first:
            self.files.save_recipe()
            (self.folder / "samples.png").unlink(missing_ok=True)
        self.files.save()

    def _evaluate(self, reporter: Reporter, stop: Callable[[], bool]) -> None:
        """Evaluate the model where it is due, and log the result."""
        try:
            result = self.evaluator.run_if_due(self.folder, self.trainer, self.dataset, self.finished, stop)
            stopped = 0.0
        except Stopped:
            result, stopped = None, 1.0
        if self.evaluated and self.world.maximum([stopped])[0]:
            self.files.save()
            raise Interrupted
        if result is not None:
            row = {**self._stamp(), health.EVALUATION: result}
            self._log(row, reporter)
            self.evaluator.restore([*self.evaluator.rows, row])

    def _preview(self, reporter: Reporter) -> dict[str, float]:
        """Write a sample grid; its statistics, which are the first process's in all of them."""
        if not self.world.first:
            return self.world.broadcast(None)
        images = self.preview.images()
        picture = grid(shrunk(images, FRAME), columns=self.preview.columns)
        path = self.folder / SAMPLES / f"{self.trainer.rounds:08d}.png"
        self.files.writer.do(partial(save_picture, picture, path, make=False))
        reporter.pictures(self.preview.examples(images))
        return self.world.broadcast(self.preview.statistics())

    def _row(self, reporter: Reporter, rate: float, statistics: dict[str, float] | None) -> None:
        """Log metrics; with a preview's statistics, check health too and act on a failure as the recipe says."""
        trainer = self.trainer
        means = trainer.means() | (statistics or {})
        self._speed = rate * trainer.batches.drawn / trainer.rounds
        if bad := next((name for name, value in means.items() if not math.isfinite(value)), None):
            raise self._diverged(f"{bad} is {means[bad]}", reporter)
        row = {**self._stamp(), **{name: round(value, 6) for name, value in means.items()}}
        if statistics is None:
            self.monitor.observe(row)
            self._log(row, reporter)
            return
        serious = [finding for finding in self.monitor.observe({**row, health.KEY: {}}) if finding.serious]
        active = {name: finding.text for name, finding in self.monitor.active.items()}
        self._log({**row, health.KEY: active}, reporter)
        if serious and self.recipe.training.on_collapse == "stop" and not self.finished:
            self.files.save()
            self._log({**self._stamp(), health.STOPPED: serious[0].name})
            where = f"round {trainer.rounds}; {self.folder} can be resumed from there"
            hint = (
                f"{serious[0].advice}; `gancli train --resume {shlex.quote(str(self.folder))}` resumes it all the same"
            )
            raise GancliError(f"{serious[0].title} in {where}: {serious[0].text}", hint)

    def _stamp(self) -> dict[str, Any]:
        return {
            "round": self.trainer.rounds,
            "images": self.trainer.batches.drawn,
            "seconds": round(self.files.seconds, 3),
            "images_per_second": round(self._speed, 3),
        }

    def _log(self, row: dict[str, Any], reporter: Reporter | None = None) -> None:
        if self.world.first:
            metrics_log.append(self.folder / METRICS_FILE, row)
            if reporter is not None:
                reporter.row(row)

    def _diverged(self, what: str, reporter: Reporter | None = None) -> GancliError:
        row = {**self._stamp(), health.DIVERGED: what}
        finding = next(iter(self.monitor.observe(row)), self.monitor.found[-1])
        self._log({**row, health.KEY: {finding.name: what}}, reporter)
        where = f"in round {self.trainer.rounds}; {self.folder} holds the last healthy state"
        return GancliError(f"training diverged: {what} {where}", finding.advice)

    def _trim(self) -> None:
        """Drop what was written after the state that the training continues from."""
        rows = metrics_log.read_metrics(self.folder / METRICS_FILE)
        rows = [row for row in rows if row["round"] <= self.trainer.rounds]
        self.world.barrier()
        self.files.trim()
        if self.world.first:
            metrics_log.rewrite(self.folder / METRICS_FILE, rows)
        self.evaluator.restore(rows)
        self.monitor = health.replay(rows)
