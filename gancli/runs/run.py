"""A run: the folder that a training leaves, made so that it is whole at every moment.

==================== ==================================================================================
``recipe.toml``      the resolved recipe, every default written out
``state.safetensors``  everything that the next round depends on
``model.safetensors``  what is published: the generator, and all that sampling needs
``discriminator.safetensors``  what inpainting also asks, where the training has one
``metrics.jsonl``    one line about once a second
``samples/``         a grid of the same seeds as it goes
``samples.png``      the last of them
``training.gif``     all of them
``losses.png``       the plot of ``metrics.jsonl``
``healthy.safetensors``  with ``training.on_collapse = "rollback"``: the last state known to be healthy
``snapshots/``       with ``--keep``: what was published at the last few sample grids, by their numbers
``best.safetensors``  where a training is judged as it goes: what was published when it was best
``evaluation.json``  how it is judged
==================== ==================================================================================
"""

from __future__ import annotations

import json
import math
import platform
import shlex
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

import gancli
from gancli import checkpoint
from gancli.data import Dataset
from gancli.errors import GancliError, UsageError
from gancli.files import atomic
from gancli.processes import ALONE, World
from gancli.recipe import Recipe, parse, read
from gancli.rendering.animation import save_animation
from gancli.rendering.images import grid, save_grid, save_picture
from gancli.rendering.plots import save_losses
from gancli.runs import health
from gancli.runs.export import facts, published
from gancli.runs.folder import RECIPE_FILE, enter, thin
from gancli.runs.metrics_log import counts, read_metrics
from gancli.runs.periodic_evaluation import Evaluator, Settings, Stopped
from gancli.runs.previews import FRAMES, Preview
from gancli.runs.writer import Writer, snapshot
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

HEALTHY_FILE = "healthy.safetensors"
CANDIDATE_FILE = "healthy.next.safetensors"
PROVEN = 3
"""Looks that find nothing after a state was kept make it one to go back to: what fails was ill for a while before."""

ROLLBACKS = 3
"""Times that a run goes back before it gives up: rates are then an eighth."""


class Reporter(Protocol):
    """Who watches a training; every method returns at once."""

    def row(self, values: dict[str, float]) -> None:
        """About once a second: the line that goes to ``metrics.jsonl``."""
        ...

    def pictures(self, images: Tensor) -> None:
        """Current samples, uint8 (N, C, H, W)."""
        ...


class Interrupted(Exception):
    """The training was asked to stop, and has saved its state."""


class Unhealthy(GancliError):
    """The watch found a failure on which the recipe wants something done.

    Args:
        finding: the failure.
        what: the message.
        further: what else can be done, after the finding's advice.
    """

    def __init__(self, finding: health.Finding, what: str, further: str = "") -> None:
        super().__init__(what, "; ".join(filter(None, [finding.advice, further])))
        self.finding = finding


class Diverged(Unhealthy):
    """A value is no longer a number."""


class Run:
    """One run folder and the training in it.

    Args:
        folder: new, or one that an earlier training left.
        recipe: resolved, with rounds.
        dataset: what to train on.
        device: where.
        save_every: seconds between saves: at most this much work is lost when the process is killed.
        settings: how to judge what is published as it goes; None: not at all.
        keep: of how many sample grids, the last ones, the models stay; None: of as many as before, at first of none.
        world: the processes that train it together, all in this way: only the first writes files and judges.

    Attributes:
        seconds: that the training took so far, without those of evaluations.

    Raises:
        Taken: another process trains in that folder.
        UsageError: the recipe's parts do not fit together, or cannot be judged; nothing was made then.
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
    ) -> None:
        self.recipe, self.dataset, self.world = recipe, dataset, world
        # Before anything is built: a second training would take the memory of the first.
        self.place = enter(folder, world)
        weakref.finalize(self, self.place.leave)
        self.folder, self.resumed = self.place.path, self.place.resumed
        try:
            self._begin(device, save_every, settings, keep)
        except BaseException:
            self.place.leave()
            raise

    def _begin(self, device: torch.device, save_every: float, settings: Settings | None, keep: int | None) -> None:
        recipe, dataset, world = self.recipe, self.dataset, self.world
        self.trainer = Trainer(recipe, dataset, device, world)
        self.preview = Preview(self.trainer, dataset)
        self.writer = Writer()
        self.rounds = recipe.training.rounds or 1
        self.seconds, self.save_every, self.keep, self.note = 0.0, save_every, keep or 0, ""
        self.watch, self.evaluator = health.Watch(), Evaluator(settings if world.first else None)
        self.judged = settings is not None
        self.policy = recipe.training.on_collapse
        self.rollbacks: list[dict[str, Any]] = []
        self._speed = 0.0
        self.frames = {max(1, round(self.rounds * (frame / FRAMES) ** 1.5)) for frame in range(1, FRAMES + 1)}
        if self.resumed:
            self._load(keep)
        self.evaluator.rehearse(self.folder, self.trainer, dataset)
        if not self.resumed and world.first:
            self._create()
        world.wait()
        if not self.place.locked:
            self.note += f"{'; ' * bool(self.note)}this file system cannot lock: see that nobody else trains here"

    @property
    def finished(self) -> bool:
        """Whether the budget is spent."""
        return self.trainer.rounds >= self.rounds

    def train(self, reporter: Reporter, stop: Callable[[], bool] = lambda: False) -> None:
        """Train to the end of the budget, saving as it goes.

        Args:
            reporter: is told of progress.
            stop: asked after every round; true ends the training with its state saved.

        Raises:
            Interrupted: ``stop`` said so.
            Diverged: a loss is no longer a number; the last healthy state is on disk.
            Unhealthy: the watch found a failure, and the recipe says to stop then.
            Taken: another process has come since the last call.
            GancliError: the folder cannot be written any more; what was saved before stays.
        """
        self.place.hold()
        try:
            self._train(reporter, stop)
        except (OSError, UsageError) as error:
            raise self.place.ended_by(error) from error
        finally:
            with suppress(Exception):  # of what ended it already
                self.writer.wait()  # what is written later could take the place of what the next process writes
            self.place.leave()

    def _train(self, reporter: Reporter, stop: Callable[[], bool]) -> None:
        clock = self.evaluator.clock
        told = saved = clock()
        started, last = told - self.seconds, self.trainer.rounds
        while not self.finished:
            self._evaluate(reporter, stop)
            self.trainer.round()
            now, done = clock(), self.trainer.rounds
            self.seconds = now - started
            halt, save, tell = self._agree(stop(), now - saved >= self.save_every, now - told >= 1)
            save = save or halt or self.finished
            try:
                look = self._sample(reporter) if done in self.frames or self.finished else None
                if look is not None or save or tell:
                    self._row(reporter, (done - last) / max(now - told, 1e-9), look)
                    told, last = now, done
                if look is not None and self.keep:
                    self._keep_snapshot()
                if save:
                    self.save(wait=halt or self.finished)
                    saved = now
            except (Diverged, Unhealthy) as error:
                last = self._go_back(error, reporter)
            if halt and not self.finished:
                raise Interrupted
        if not catalogue.is_finished(self.folder):
            self.save()  # a model that was lost, or that an earlier version did not write any more before it died
        self.world.wait()
        if self.world.first and not (self.folder / "samples.png").exists():
            self._finish()
        self._evaluate(reporter, stop)

    def _agree(self, halt: bool, save: bool, tell: bool) -> tuple[bool, bool, bool]:
        """What all processes do now: stop where any is asked to; save and tell when the first one's clock says so."""
        if self.world.size == 1:
            return halt, save, tell
        mine = [halt, save and self.world.first, tell and self.world.first]
        stops, saves, tells = (bool(value) for value in self.world.most([float(value) for value in mine]))
        return stops, saves, tells

    def _evaluate(self, reporter: Reporter, stop: Callable[[], bool]) -> None:
        """Judge what is published where it is time to, and write and tell the line about it."""
        try:
            found, stopped = self.evaluator.look(self.folder, self.trainer, self.dataset, self.finished, stop), False
        except Stopped:
            found, stopped = None, True
        if self.judged and self.world.most([float(stopped)])[0]:
            self.save()
            raise Interrupted
        if found is not None:
            row = {**self._stamp(), health.EVALUATION: found}
            self._write(row, reporter)
            self.evaluator.recall([*self.evaluator.rows, row])

    def save(self, wait: bool = True) -> None:
        """Write model and state, each whole or not at all; a state on the disk stands for a model that is there.

        Args:
            wait: until they are on the disk; otherwise they are written as they are now while the training goes on.

        Raises:
            GancliError: a weight is no longer a number; what was saved before stays.
        """
        state = self._state()
        tensors, header = published(self.trainer, self.dataset)
        self._write_tensors(catalogue.MODEL_FILE, tensors, header)
        if (judge := self._discriminator()) is not None:
            header = header | {"kind": "discriminator", "networks": ["discriminator"]}
            self._write_tensors(catalogue.DISCRIMINATOR_FILE, judge, header)
        self._write_tensors(catalogue.STATE_FILE, *state)
        if wait:
            self.writer.wait()

    def _write_tensors(self, name: str, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        if self.world.first:
            path, now = self.folder / name, snapshot(tensors)
            self._later(partial(checkpoint.write, path, now, header))

    def _later(self, work: Callable[[], None]) -> None:
        """Have the thread do it, if the folder is still there then; of several processes in the first alone."""
        if not self.world.first:
            return
        check = self.place.check

        def checked() -> None:
            check()
            work()

        self.writer.do(checked)

    def _keep_snapshot(self) -> None:
        """Keep what is published now; once it is on the disk, the oldest goes."""
        tensors, header = published(self.trainer, self.dataset)
        self._check(tensors)
        done, folder = self.trainer.rounds, self.folder / catalogue.SNAPSHOTS
        self._write_tensors(f"{folder.name}/{done:08d}.safetensors", tensors, header)
        self._later(partial(thin, folder, done, self.keep))

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and header of a state: the trainer's own tensors, not copies of them.

        Raises:
            Diverged: a value is no longer a number.
        """
        tree = {**self.trainer.state(), "before": self.preview.before}
        tensors, plain = checkpoint.flatten(tree)
        self._check(tensors)
        header = {
            "format": checkpoint.FORMAT,
            "kind": "state",
            "gancli": gancli.__version__,
            "rounds": self.trainer.rounds,
            "recipe": self.recipe.to_dict(),
            "state": plain,
            "seconds": round(self.seconds, 3),
            "machine": machine(self.trainer.device),
            "device": self.trainer.device.type,
            "threads": torch.get_num_threads(),
            "dataset": facts(self.dataset),
            "rollbacks": list(self.rollbacks),
            "keep": self.keep,
        }
        return tensors, header

    def _discriminator(self) -> dict[str, Tensor] | None:
        """The tensors of what tells real pictures from those of latents; None where nothing does."""
        trainer, network = self.trainer, self.trainer.networks.get("discriminator")
        if network is None or trainer.objective.takes != "latent" or trainer.generator.range is None:
            return None
        return {f"discriminator.{name}": value for name, value in network.state_dict().items()}

    def _create(self) -> None:
        """Make the folder whole under a hidden name, then give it its own."""
        (self.folder / "samples").mkdir()
        self._write_recipe()
        (self.folder / "metrics.jsonl").touch()
        self.save()
        if self.policy == "rollback":
            self._write_tensors(HEALTHY_FILE, *self._state())
        self.writer.wait()
        self.place.settle()
        self.folder = self.place.path

    def _write_recipe(self) -> None:
        with atomic(self.folder / RECIPE_FILE) as temporary:
            temporary.write_text(self.recipe.to_toml(), encoding="utf-8")

    def _load(self, keep: int | None) -> None:
        path = self.folder / catalogue.STATE_FILE
        tensors, header = checkpoint.read(path)
        if (found := header.get("format")) != checkpoint.FORMAT:
            newer = type(found) is int and found > checkpoint.FORMAT
            raise GancliError(
                f"{path} has the format {found!r}, and this is gancli {gancli.__version__}, which reads "
                f"{checkpoint.FORMAT}",
                "bring gancli up to date, or start a new run" if newer else "start a new run with another --out",
            )
        with _fitting(path):
            fingerprint, self.seconds = str(header["dataset"]["fingerprint"]), float(header["seconds"])
            if fingerprint == self.dataset.fingerprint:
                self._take(tensors, header)
                self.rollbacks = [dict(back) for back in header.get("rollbacks", ())]
                self.keep = int(header.get("keep", 0)) if keep is None else keep
        if fingerprint != self.dataset.fingerprint:
            raise UsageError(
                f"the data set '{self.dataset.name}' is not the one that {self.folder} was trained on: "
                f"fingerprint {self.dataset.fingerprint}, not {fingerprint[:16]}",
                "bring the old data back, or start a new run with another --out",
            )
        here = (self.trainer.device.type, torch.get_num_threads())
        there = (header.get("device"), header.get("threads"))
        if here != there:
            self.note = f"saved on {there[0]} with {there[1]} threads, going on with {here[0]} and {here[1]}: "
            same = "the rest will differ in the last bits"
            self.note += same if here[0] == there[0] else "from here on other random numbers are drawn"
        self.place.sweep()
        self._forget_candidate()
        recipe = self.folder / RECIPE_FILE
        if self.world.first and (not recipe.exists() or read(recipe) != self.recipe.to_dict()):
            self._write_recipe()  # of an earlier version: with what was added since, so that it stays as it is now
        self._trim()

    def _forget_candidate(self) -> None:
        """Remove a candidate of a course that the run has gone back from."""
        candidate = self.folder / CANDIDATE_FILE
        if not self.world.first or not candidate.exists():
            return
        if checkpoint.read_header(candidate).get("rollbacks") != self.rollbacks:
            candidate.unlink()

    def _take(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Go on from a state as it was read."""
        state, device = checkpoint.unflatten(header["state"], tensors), header.get("device")
        counters = [state["rounds"], state["drawn"], *state["steps"].values()]
        if state["steps"].keys() != self.trainer.steps.keys() or not all(map(counts, counters)):
            raise ValueError("its counters are none")
        if not (isinstance(scale := state.get("scale", 1.0), int | float) and 0 < scale <= 1):
            raise ValueError("its scale is none")
        if isinstance(device, str) and device != self.trainer.device.type:
            state["random"] = None
        self.trainer.load_state(state)
        self.preview.before = state.get("before")

    def _trim(self) -> None:
        """Forget what was written after the state that the training goes on from."""
        path, done = self.folder / "metrics.jsonl", self.trainer.rounds
        rows = [row for row in read_metrics(path) if row["round"] <= done]
        self.world.wait()
        if self.world.first:
            with atomic(path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.evaluator.recall(rows)
        self.watch = health.Watch()
        for row in rows:
            self.watch.see(row)
        for picture in (self.folder / "samples").glob("*.png"):
            if self.world.first and picture.stem.isdigit() and int(picture.stem) > done:
                picture.unlink()

    def _row(self, reporter: Reporter, rate: float, look: dict[str, float] | None) -> None:
        """Write and tell the next line of metrics; a look also asks the watch, and does what the recipe says then."""
        means, trainer = {**self.trainer.means(), **(look or {})}, self.trainer
        self._speed = rate * trainer.batches.drawn / trainer.rounds
        if bad := [name for name, value in means.items() if not math.isfinite(value)]:
            raise self._diverged(f"{bad[0]} is {means[bad[0]]}", reporter)
        row = {**self._stamp(), **{name: round(value, 6) for name, value in means.items()}}
        row |= {} if look is None else {health.KEY: {}}
        found = [finding for finding in self.watch.see(row) if finding.serious]
        row |= {} if look is None else {health.KEY: {n: finding.text for n, finding in self.watch.active.items()}}
        self._write(row, reporter)
        if found and (self.policy == "rollback" or (self.policy == "stop" and not self.finished)):
            where = f"round {trainer.rounds}; {self.folder} can go on from there"
            further = f"`gancli train --resume {shlex.quote(str(self.folder))}` goes on all the same"
            raise Unhealthy(found[0], f"{found[0].title} in {where}: {found[0].text}", further)
        if look is not None and self.policy == "rollback":
            # At looks, so that saving at other times changes nothing.
            self._check(checkpoint.flatten(trainer.state())[0])
            if not self.watch.suspected:
                self._keep_healthy()

    def _check(self, tensors: dict[str, Tensor]) -> None:
        if sick := [name for name, value in tensors.items() if not torch.isfinite(value).all()]:
            raise self._diverged(f"{sick[0]} is not finite")

    def _keep_healthy(self) -> None:
        """Keep this state to go back to; it counts as healthy once some further looks have found nothing either."""
        if not self.world.first:
            return
        self.writer.wait()
        candidate = self.folder / CANDIDATE_FILE
        if candidate.exists():
            with _fitting(candidate):
                if self.watch.looks_since(checkpoint.read_header(candidate)["rounds"]) < PROVEN:
                    return
            candidate.replace(self.folder / HEALTHY_FILE)
        self._write_tensors(CANDIDATE_FILE, *self._state())

    def _stamp(self) -> dict[str, Any]:
        return {
            "round": self.trainer.rounds,
            "images": self.trainer.batches.drawn,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self._speed, 3),
        }

    def _write(self, row: dict[str, Any], reporter: Reporter | None = None) -> None:
        if not self.world.first:
            return
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if reporter is not None:
            reporter.row(row)

    def _diverged(self, what: str, reporter: Reporter | None = None) -> Diverged:
        row = {**self._stamp(), health.DIVERGED: what}
        finding = next(iter(self.watch.see(row)), self.watch.found[-1])
        self._write({**row, health.KEY: {finding.name: what}}, reporter)
        where = f"in round {self.trainer.rounds}; {self.folder} holds the last healthy state"
        return Diverged(finding, f"training diverged: {what} {where}")

    def _go_back(self, failure: Unhealthy, reporter: Reporter) -> int:
        """Go on from the last healthy state with halved rates, if the recipe says so; the round that it was of.

        Raises:
            Unhealthy: it does not, or has been tried often enough.
        """
        self.writer.wait()
        self.world.wait()
        if self.policy != "rollback" or len(self.rollbacks) >= ROLLBACKS:
            if not isinstance(failure, Diverged):
                self.save()
                self._write({**self._stamp(), health.STOPPED: failure.finding.name})
            raise failure
        tensors, header = checkpoint.read(self.folder / HEALTHY_FILE)
        back = {"from": self.trainer.rounds, "because": failure.finding.name, "text": failure.finding.text}
        with _fitting(self.folder / HEALTHY_FILE):
            self._take(tensors, header)
        self.rollbacks.append({**back, "to": self.trainer.rounds})
        self.trainer.scale = 0.5 ** len(self.rollbacks)
        self.trainer.means()  # of the rounds that are undone
        self.save()
        self._forget_candidate()
        self._trim()
        row = {**self._stamp(), health.ROLLBACK: {**self.rollbacks[-1], "scale": self.trainer.scale}}
        self._write(row, reporter)
        return self.trainer.rounds

    def samples(self) -> Tensor:
        """The run's fixed seeds as images, uint8 (N, C, H, W)."""
        return self.preview.images()

    def _sample(self, reporter: Reporter) -> dict[str, float]:
        """Write the sample grid of this round; its figures, which are the first process's in all of them."""
        if not self.world.first:
            return self.world.tell(None)
        images = self.samples()
        path = self.folder / "samples" / f"{self.trainer.rounds:08d}.png"
        picture = grid(_fitted(images, FRAME), columns=self.preview.columns)
        self._later(partial(save_picture, picture, path))
        reporter.pictures(images)
        return self.world.tell(self.preview.figures())

    def _finish(self) -> None:
        """The pictures that sum up a run; made again where an earlier attempt did not get so far."""
        self.place.check()
        save_losses(health.of_training(read_metrics(self.folder / "metrics.jsonl")), self.folder / "losses.png")
        save_animation(_frames(self.folder / "samples"), self.folder / "training.gif", fps=10)
        picture = _fitted(self.samples(), PICTURE)
        save_grid(picture, self.folder / "samples.png", columns=self.preview.columns)


FRAME, PICTURE = 1024, 4096
"""The longer side, in pixels, that the grids of a training and its last one keep under."""


def _fitted(images: Tensor, side: int) -> Tensor:
    """Images made smaller where a square grid of them would be larger than ``side`` pixels."""
    cell = side // math.ceil(math.sqrt(len(images)))
    height, width = images.shape[2:]
    if max(height, width) <= cell:
        return images
    size = [max(1, edge * cell // max(height, width)) for edge in (height, width)]
    return torch.nn.functional.interpolate(images.float(), size, mode="area").round_().byte()


def _frames(folder: Path) -> Iterator[Tensor]:
    """The sample grids of a run in order, uint8 (C, H, W)."""
    import numpy as np
    from PIL import Image

    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            pixels = torch.from_numpy(np.array(image))
        yield pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


@contextmanager
def _fitting(path: Path) -> Generator[None]:
    """Whatever goes wrong with a state that is read is told of its file."""
    try:
        yield
    except (ArithmeticError, AssertionError, LookupError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise GancliError(f"{path} does not fit its recipe: {reason}", "start a new run with another --out") from error


def machine(device: torch.device) -> str:
    """What a training time is worth: the device, and for a CPU its kind and the threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    facts = getattr(torch.cpu, "get_capabilities", dict)()
    threads = torch.get_num_threads()
    return f"{facts.get('cpu_name') or platform.machine()} CPU, {threads} thread{'s' * (threads != 1)}"


def stored_recipe(folder: Path) -> Recipe:
    """The resolved recipe of a run; keys that were added to recipes since then have their defaults.

    Raises:
        UsageError: the folder is no run, or its recipe says what this version does not know.
    """
    state, path = folder / catalogue.STATE_FILE, folder / RECIPE_FILE
    if not state.exists():
        raise UsageError(f"{folder} is not a run: it has no state.safetensors", "name the folder of a training")
    header = checkpoint.read_header(state)
    try:
        return parse(read(path) if path.exists() else header["recipe"])
    except KeyError:
        raise GancliError(
            f"{folder} has no recipe.toml, nor does its state say what it was", "start a new run"
        ) from None
    except UsageError as error:
        made = str(header.get("gancli", "unknown"))[:40]
        if made != gancli.__version__:
            hint = f"gancli {made} made this run and can go on with it; this is gancli {gancli.__version__}"
        else:
            hint = "correct it, or remove it: the state holds the recipe too"
        raise UsageError(f"{path}: {error.message}", hint) from error
