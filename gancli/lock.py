"""One process at a time in a folder, by an operating system lock (``filelock``): it ends when its holder dies.

The lock file is in the folder and moves with it. A second file tells other processes who holds the lock.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
from contextlib import suppress
from pathlib import Path

from gancli.errors import GancliError

FILE, HOLDER = ".lock", ".lock.json"

PATIENCE = 0.25
"""Seconds to try for: :func:`holder` takes the lock for a moment."""

CANNOT = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
"""Errors of a file system without locks; any other means that the folder cannot be written."""


class Taken(GancliError):
    """Another process holds the folder."""


class Lock:
    """Keeps every other process that asks for the same lock out of a folder.

    Args:
        folder: to hold.
        name: what to call it in an error; the folder's own name unless given.

    Attributes:
        held: false after :meth:`release`, and on a file system that cannot lock: there, nothing keeps others out.

    Raises:
        Taken: naming who holds it.
        OSError: there is no such folder, or it cannot be written.
    """

    def __init__(self, folder: Path, name: Path | None = None) -> None:
        from filelock import FileLock, Timeout  # takes a while to import

        folder.stat()  # filelock would make it
        self.folder, self.held = folder, True
        path = folder / FILE
        self._lock = FileLock(path, thread_local=False)
        try:
            self._lock.acquire(timeout=PATIENCE)
        except Timeout:
            raise Taken(
                f"{name or folder} is being trained by {_who(folder)}",
                "wait for it, or stop it; or train in another folder with `out`",
            ) from None
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in CANNOT:
                raise
            self.held = False
            path.unlink(missing_ok=True)
            return
        self._file = path.stat()
        with suppress(OSError):  # a full disk: the lock holds without them
            facts = {"pid": os.getpid(), "host": platform.node()}
            (folder / HOLDER).write_text(json.dumps(facts) + "\n", encoding="utf-8")

    def release(self) -> None:
        """Let others in, and remove the files; once more does nothing."""
        if not self.held:
            return
        with suppress(OSError):  # Windows removes no open file
            path = self.folder / FILE
            if os.path.samestat(self._file, path.stat()):  # not those of a run that took this one's name
                (self.folder / HOLDER).unlink(missing_ok=True)
                path.unlink()  # while it is locked: filelock locks no file that has lost its name
        self._lock.release()
        self.held = False


def holder(folder: Path) -> str | None:
    """Who holds a folder, in words; None if nobody does, as far as can be told."""
    if not (folder / FILE).exists():
        return None
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / FILE, timeout=0):
            return None
    except Timeout:
        return _who(folder)
    except (OSError, NotImplementedError):
        return None


def interrupt(folder: Path) -> None:
    """Ask the process that holds a folder to save and end, as Ctrl-C does.

    Raises:
        GancliError: it runs on another machine, or this one cannot reach it.
    """
    who, hint = holder(folder), "stop it where it was started, with Ctrl-C"
    if who is None:
        return
    try:
        facts = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        pid, host = int(facts["pid"]), str(facts["host"])
    except (OSError, ValueError, KeyError, TypeError):
        raise GancliError(f"{folder} does not say which process trains there", hint) from None
    if host != platform.node() or os.name == "nt" or pid <= 1:
        raise GancliError(f"{folder} is being trained by {who}, which cannot be reached from here", hint)
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError as error:
        raise GancliError(f"{who} cannot be reached: {error.strerror}", hint) from None


def _who(folder: Path) -> str:
    try:
        facts = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {int(facts['pid'])} on {str(facts['host'])[:80]!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
