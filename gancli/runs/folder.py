"""Where a run lives: one process at a time, and never half a run under its name."""

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
from gancli.lock import FILE, Lock
from gancli.processes import World
from gancli.zoo import catalogue

RECIPE_FILE = "recipe.toml"


class Place:
    """A run's folder, held by this process: there already, or in the making under a hidden name beside its own.

    The hidden name is always the same one, so that two processes that make the same run meet there, and what a killed
    one left is taken over.

    Args:
        folder: of the run.

    Attributes:
        folder: as it was named.
        path: where its files are now.
        resumed: whether it was there already.

    Raises:
        Taken: another process trains there, or is making it.
        UsageError: what is there is no run, or nothing can be made there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = self.path = folder
        self.resumed = self._making = False
        self._lock: Lock | None = None
        while not self._enter():
            pass

    def _enter(self) -> bool:
        """Take the folder; false where another process has made or removed it in between."""
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
            elif left.name != FILE:
                left.unlink()

    def sweep(self) -> None:
        """Remove the temporary files of a process that died while it wrote."""
        for folder in (self.path, self.path / "samples", self.path / catalogue.SNAPSHOTS):
            for pattern in checkpoint.LEFTOVERS:
                for left in folder.glob(pattern):
                    left.unlink()

    @property
    def locked(self) -> bool:
        """False on a file system that cannot lock."""
        return self._lock is not None and self._lock.held

    def hold(self) -> None:
        """Hold the folder again after :meth:`leave`; nothing where it is held.

        Raises:
            Taken: another process has come meanwhile.
        """
        if self._lock is None:
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
            self._lock.follow(self.folder)
        self.hold()

    def check(self) -> None:
        """Make sure that the folder is still there: what is written never makes it anew, with half of its files.

        Raises:
            FileNotFoundError: it is not.
        """
        recipe = self.path / RECIPE_FILE
        if not recipe.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(recipe))

    def leave(self) -> None:
        """Let others in. What is still in the making goes."""
        if self._lock is None:
            return
        if self._making:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        self._lock = None

    def ended_by(self, error: OSError | UsageError) -> GancliError:
        """What ended a training from outside, in words: what happened, what is left of it, and how to go on."""
        if not self.path.is_dir():
            return GancliError(
                f"{self.path} was removed or renamed while it was trained in",
                "if it has another name now, `gancli train --resume NAME` goes on; otherwise start it again",
            )
        if isinstance(error, UsageError) and os.access(self.path, os.W_OK | os.X_OK):
            return error  # of something else, as of data that are no longer where they were
        if isinstance(error, UsageError):
            what, remedy = error.message, "give back the right to write there"
        else:
            what = (error.strerror or str(error)).lower() + (f": {error.filename}" if error.filename else "")
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "make room on the disk" if full else "look at its disk and its permissions"
        with suppress(GancliError, OSError, KeyError, TypeError, ValueError):
            kept = int(checkpoint.read_header(self.path / catalogue.STATE_FILE)["rounds"])
            what += f"; {self.path} holds the state of round {kept:,}"
        return GancliError(what, f"{remedy}, then go on with `gancli train --resume {shlex.quote(str(self.path))}`")


class Visited(Place):
    """The same place for a process that trains with the one that holds it: nothing is held or changed from here."""

    def __init__(self, folder: Path, resumed: bool) -> None:
        self.folder = self.path = folder
        self.resumed, self._making, self._lock = resumed, False, None

    @property
    def locked(self) -> bool:
        """The one that holds it says so where it is not."""
        return True

    def sweep(self) -> None:
        """Nothing: that is done where it is held."""

    def hold(self) -> None:
        """Nothing."""


def enter(folder: Path, world: World) -> Place:
    """The place of a training; the first of its processes holds it.

    Raises:
        Taken: as :class:`Place`.
        UsageError: the same.
    """
    if world.first:
        place = Place(folder)
        world.tell(place.resumed)
        return place
    return Visited(folder, bool(world.tell(None)))


def thin(snapshots: Path, done: int, keep: int) -> None:
    """Leave of the snapshots up to a round the last few; later ones are of rounds that were undone."""
    found = sorted(path for path in snapshots.glob("*.safetensors") if path.stem.isdigit())
    kept = [path for path in found if int(path.stem) <= done][-keep:]
    for path in found:
        if path not in kept:
            path.unlink()
