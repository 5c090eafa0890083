"""Saving a training and resuming it: state, model, discriminator and snapshots."""

from __future__ import annotations

import platform
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gancli
from gancli import checkpoint
from gancli.data import Dataset
from gancli.data.holding_out import Split, stored_split
from gancli.errors import GancliError, UsageError
from gancli.files import atomic
from gancli.processes import World
from gancli.recipe import Recipe, parse, read
from gancli.runs.export import File, describe, discriminator_file, model_file
from gancli.runs.folder import METRICS_FILE, RECIPE_FILE, SAMPLES, RunFolder, prune
from gancli.runs.previews import Preview
from gancli.runs.writer import Writer
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

FORMAT = 2
"""Version of the layout of states; that of gancli 0.1 was 1."""


class NotFinite(GancliError):
    """A tensor that should be saved has a value that is not finite."""


class RunFiles:
    """What a training saves in its run folder, and resumes from.

    A model is written before the state of the same round, so that a state on the disk stands for a model that is there.

    Args:
        run_folder: where.
        trainer: what is saved.
        preview: whose last samples are part of the state.
        dataset: what is trained on.
        world: the processes that train; only the first one writes.

    Attributes:
        writer: writes the files, in order.
        seconds: of training so far, without evaluations.
        deadline: seconds of training after which it should end, by which the rounds are planned anew; None: never.
        keep: how many snapshots are kept.
    """

    def __init__(
        self, run_folder: RunFolder, trainer: Trainer, preview: Preview, dataset: Dataset, world: World
    ) -> None:
        self.run_folder, self.trainer, self.preview, self.dataset = run_folder, trainer, preview, dataset
        self.writer = Writer(run_folder.check, active=world.first)
        self.first = world.first
        self.seconds, self.keep = 0.0, 0
        self.deadline: float | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.run_folder.path

    def create(self) -> None:
        """Make the folder whole under a hidden name, then give it its own."""
        (self.path / SAMPLES).mkdir()
        self.save_recipe()
        (self.path / METRICS_FILE).touch()
        self.save()
        self.run_folder.settle()

    def save(self, wait: bool = True) -> None:
        """Write model and state, each whole or not at all.

        Args:
            wait: until they are on the disk; otherwise present values are written while the training goes on.

        Raises:
            NotFinite: nothing was written.
        """
        state = self.state()
        self.writer.write(self.path / catalogue.MODEL_FILE, *model_file(self.trainer, self.dataset))
        if (file := discriminator_file(self.trainer, self.dataset)) is not None:
            self.writer.write(self.path / catalogue.DISCRIMINATOR_FILE, *file)
        self.writer.write(self.path / catalogue.STATE_FILE, *state)
        if wait:
            self.writer.wait()

    def save_snapshot(self) -> None:
        """Keep the present model; once it is on the disk, the oldest is removed.

        Raises:
            NotFinite: nothing was written.
        """
        tensors, header = model_file(self.trainer, self.dataset)
        _check(tensors)
        done, folder = self.trainer.rounds, self.path / catalogue.SNAPSHOTS
        self.writer.do(partial(folder.mkdir, exist_ok=True))
        self.writer.write(folder / f"{done:08d}.safetensors", tensors, header)
        self.writer.do(partial(prune, folder, done, self.keep))

    def state(self) -> File:
        """Tensors and header of the present state: the trainer's own tensors, not copies of them.

        Raises:
            NotFinite: a value is not.
        """
        trainer = self.trainer
        tensors, plain = checkpoint.flatten({**trainer.state(), "before": self.preview.before})
        _check(tensors)
        header = {
            "format": FORMAT,
            "kind": "state",
            "gancli": gancli.__version__,
            "rounds": trainer.rounds,
            "recipe": trainer.recipe.to_dict(),
            "state": plain,
            "seconds": round(self.seconds, 3),
            "machine": machine(trainer.device),
            "device": trainer.device.type,
            "threads": torch.get_num_threads(),
            "dataset": describe(self.dataset),
            "keep": self.keep,
            "deadline": self.deadline,
        }
        return tensors, header

    def resume(self, keep: int | None) -> str:
        """Continue from the folder's state.

        Args:
            keep: how many snapshots to keep from now on; None: as before.

        Returns:
            What the user should know about it, if anything.
        """
        path, trainer = self.path / catalogue.STATE_FILE, self.trainer
        tensors, header = checkpoint.read(path)
        check_format(path, header)
        with fitting(path):
            fingerprint, self.seconds = str(header["dataset"]["fingerprint"]), float(header["seconds"])
            if fingerprint == self.dataset.fingerprint:
                self._apply(tensors, header)
                self.keep = int(header.get("keep", 0)) if keep is None else keep
                deadline = header.get("deadline")
                self.deadline = None if deadline is None else float(deadline)
        if fingerprint != self.dataset.fingerprint:
            raise UsageError(
                f"the data set '{self.dataset.name}' is not the one that {self.path} was trained on: "
                f"{_change(header['dataset'], describe(self.dataset))} (fingerprint {fingerprint[:16]} then, "
                f"{self.dataset.fingerprint} now)",
                "bring the old data back, or start a new run with another `out`",
            )
        self.run_folder.sweep()
        recipe = self.path / RECIPE_FILE
        if self.first and (not recipe.exists() or read(recipe) != trainer.recipe.to_dict()):
            self.save_recipe()  # of an earlier version: with what was added since, so that it stays as it is now
        before, now = (header.get("device"), header.get("threads")), (trainer.device.type, torch.get_num_threads())
        if before == now:
            return ""
        effect = "other random numbers are drawn" if before[0] != now[0] else "results differ by rounding"
        where = f"saved on {before[0]} with {before[1]} threads, resuming on {now[0]} with {now[1]}"
        return f"{where}: from here on {effect}"

    def trim(self) -> None:
        """Remove sample grids from after the present round."""
        if not self.first:
            return
        for picture in (self.path / SAMPLES).glob("*.png"):
            if picture.stem.isdigit() and int(picture.stem) > self.trainer.rounds:
                picture.unlink()

    def save_recipe(self) -> None:
        """Write ``recipe.toml``."""
        with atomic(self.path / RECIPE_FILE, make=False) as temporary:
            temporary.write_text(self.trainer.recipe.to_toml(), encoding="utf-8")

    def _apply(self, tensors: dict[str, Tensor], header: Mapping[str, Any]) -> None:
        """Continue from a state; errors are those that :func:`fitting` explains."""
        state, device = checkpoint.unflatten(header["state"], tensors), header.get("device")
        counters = [state["rounds"], state["drawn"], *state["steps"].values()]
        if state["steps"].keys() != self.trainer.steps.keys() or not all(map(_counts, counters)):
            raise ValueError("its counters are not valid")
        if isinstance(device, str) and device != self.trainer.device.type:
            state["random"] = None
        self.trainer.load_state(state)
        self.preview.before = state.get("before")


def _counts(value: Any) -> bool:
    """Whether it is a count, such as rounds, that every reader of JSON has exactly."""
    return type(value) is int and 0 <= value < 2**53


def _check(tensors: Mapping[str, Tensor]) -> None:
    if bad := next((name for name, value in tensors.items() if not torch.isfinite(value).all()), None):
        raise NotFinite(f"{bad} is not finite")


@contextmanager
def fitting(path: Path) -> Generator[None]:
    """Errors of applying a state become one that names its file."""
    try:
        yield
    except (ArithmeticError, AssertionError, LookupError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise GancliError(f"{path} does not fit its recipe: {reason}", "start a new run with another `out`") from error


def check_format(path: Path, header: Mapping[str, Any]) -> None:
    """Refuse states of other versions.

    Raises:
        GancliError: naming the versions.
    """
    if (found := header.get("format")) == FORMAT:
        return
    made = str(header.get("gancli", "unknown"))[:40]
    hint = f"finish it with gancli {made}, or start a new run with another `out`; its model can still be used"
    raise GancliError(
        f"{path}: gancli {made} wrote it in format {found!r}, and gancli {gancli.__version__} resumes format {FORMAT}",
        hint,
    )


def stored_recipe(folder: Path) -> Recipe:
    """The resolved recipe of a run; keys that were added to recipes since then have their defaults.

    Raises:
        UsageError: the folder is no run, or its recipe has what this version does not know.
        GancliError: the run's state is of another version.
    """
    state, path = folder / catalogue.STATE_FILE, folder / RECIPE_FILE
    if not state.exists():
        raise UsageError(f"{folder} is not a run: it has no state.safetensors", "name the folder of a training")
    header = checkpoint.read_header(state)
    check_format(state, header)
    try:
        return parse(read(path) if path.exists() else header.get("recipe", {}))
    except UsageError as error:
        made = str(header.get("gancli", "unknown"))[:40]
        if made != gancli.__version__:
            hint = f"gancli {made} made this run and can resume it; this is gancli {gancli.__version__}"
        else:
            hint = "correct it, or remove it: the state holds the recipe too"
        raise UsageError(f"{path}: {error.message}", hint) from error


def split_of(folder: Path) -> Split | None:
    """Which images a run holds out; None where it holds out none.

    Raises:
        GancliError: a damaged state.
    """
    return stored_split(checkpoint.read_header(folder / catalogue.STATE_FILE))


def machine(device: torch.device) -> str:
    """What training times depend on: the device, and for a CPU its model and the threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    threads = torch.get_num_threads()
    return f"{capabilities.get('cpu_name') or platform.machine()} CPU, {threads} thread{'s' * (threads != 1)}"


def _change(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is different in a data set, from two of its descriptions."""
    if (count := then.get("images")) != now["images"]:
        return f"{count} images then, {now['images']} now"
    if (names := then.get("classes")) != now["classes"]:
        shown = (", ".join(map(str, each or ["none"]))[:200] for each in (names, now["classes"]))
        return "classes {} then, {} now".format(*shown)
    return f"{count} images as then, but other pixels or labels"
