"""A run folder: one process at a time, and never half a run under its name.

========================== ============================================================================
``recipe.toml``            the resolved recipe, every default written out
``state.safetensors``      everything that the next round depends on
``model.safetensors``      the exported generator, and all that sampling needs
``discriminator.safetensors``  also needed for inpainting and fine-tuning, where the training has one
``metrics.jsonl``          one row about once a second
``samples/``               sample grids of the same seeds, by their rounds
``samples.png``            the last of them
``training.gif``           all of them
``losses.png``             the plot of ``metrics.jsonl``
``snapshots/``             with ``--keep``: the models of the last few sample grids, by their rounds
``best.safetensors``       with ``--evaluate-every``: the model with the best score
``evaluation.json``        how the model is evaluated
========================== ============================================================================
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from gancli import checkpoint
from gancli.errors import GancliError, UsageError
from gancli.files import make_folder
from gancli.lock import FILE, HOLDER, Lock
from gancli.processes import ALONE, World
from gancli.zoo import catalogue

RECIPE_FILE, METRICS_FILE, SAMPLES = "recipe.toml", "metrics.jsonl", "samples"


class RunFolder:
    """A run's folder, locked by this process: an existing one, or a new one under a hidden name beside its own.

    The hidden name is always the same, so that two processes that make the same run compete for one lock, and what a
    killed one left is taken over. Of several processes that train together the first holds the lock; in the others
    every method but :meth:`check` does nothing.

    Args:
        folder: of the run.
        world: the processes that train in it.

    Attributes:
        folder: its name.
        path: where its files are now.
        resumed: whether the run existed already.

    Raises:
        Taken: another process trains there, or is making it.
        UsageError: what is there is no run, or nothing can be made there.
    """

    def __init__(self, folder: Path, world: World = ALONE) -> None:
        self.folder = self.path = folder
        self.resumed = self._making = False
        self._lock: Lock | None = None
        self._first = world.first
        while self._first and not self._enter():
            pass
        self.resumed = bool(world.broadcast(self.resumed))

    def _enter(self) -> bool:
        """Lock the folder; false where another process has made or removed it in between."""
        self.resumed = self._is_run()
        self._making = not self.resumed
        self.path = self.folder
        if self._making:
            catalogue.check_new(self.folder)
            self.path = self.folder.with_name(f".{self.folder.name}.new")
            make_folder(self.path)
        try:
            self._lock = Lock(self.path, self.folder)
        except FileNotFoundError:
            return False
        if self._is_run() != self.resumed:
            self.leave()
            return False
        if self._making:
            self._clear()
        return True

    def _is_run(self) -> bool:
        return (self.folder / catalogue.STATE_FILE).exists()

    def _clear(self) -> None:
        """Remove what a process that died while it made the same run has left."""
        for left in self.path.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            elif left.name not in (FILE, HOLDER):
                left.unlink()

    def sweep(self) -> None:
        """Remove the temporary files of a process that died while it wrote."""
        if not self._first:
            return
        for folder in (self.path, self.path / SAMPLES, self.path / catalogue.SNAPSHOTS):
            for pattern in checkpoint.LEFTOVERS:
                for left in folder.glob(pattern):
                    left.unlink()

    @property
    def locked(self) -> bool:
        """False on a file system that cannot lock."""
        return not self._first or (self._lock is not None and self._lock.held)

    def hold(self) -> None:
        """Lock the folder again after :meth:`leave`.

        Raises:
            Taken: another process has locked it meanwhile.
        """
        if self._first and self._lock is None:
            self._lock = Lock(self.path, self.folder)

    def settle(self) -> None:
        """Give a folder that is whole now its own name."""
        with suppress(OSError):
            self.folder.rmdir()  # an empty folder that the user made
        if os.name == "nt" and self._lock is not None:  # there, a folder with an open file in it keeps its name
            self._lock.release()
            self._lock = None
        self.path.rename(self.folder)
        self.path, self._making = self.folder, False
        if self._lock is not None:
            self._lock.folder = self.folder
        self.hold()

    def check(self) -> None:
        """Make sure that the folder still exists, before a write would make it anew with half of its files.

        Raises:
            FileNotFoundError: it does not.
        """
        recipe = self.path / RECIPE_FILE
        if not recipe.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(recipe))

    def leave(self) -> None:
        """Let other processes in; a folder that is still being made is removed."""
        if self._lock is None:
            return
        if self._making:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        self._lock = None

    def ended_by(self, error: OSError | UsageError) -> GancliError:
        """The error message for what ended a training from outside: what happened, what is left, how to resume."""
        if not self.path.is_dir():
            return GancliError(
                f"{self.path} was removed or renamed during the training",
                "if it has another name now, `gancli train --resume NAME` resumes it; otherwise start it again",
            )
        if isinstance(error, UsageError) and os.access(self.path, os.W_OK | os.X_OK):
            return error  # not about the folder, but for example about data that are no longer there
        what, remedy = getattr(error, "message", ""), "look at its disk and its permissions"
        if isinstance(error, OSError):
            what = (error.strerror or str(error)).lower() + (f": {error.filename}" if error.filename else "")
            remedy = "make room on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else remedy
        with suppress(GancliError, OSError, KeyError, TypeError, ValueError):
            kept = int(checkpoint.read_header(self.path / catalogue.STATE_FILE)["rounds"])
            what += f"; {self.path} holds the state of round {kept:,}"
        return GancliError(what, f"{remedy}, then resume with `gancli train --resume {shlex.quote(str(self.path))}`")


def prune(snapshots: Path, done: int, keep: int) -> None:
    """Keep the last few of the snapshots up to a round; later ones are of rounds that were undone."""
    found = sorted(path for path in snapshots.glob("*.safetensors") if path.stem.isdigit())
    kept = [path for path in found if int(path.stem) <= done][-keep:]
    for path in found:
        if path not in kept:
            path.unlink()
