"""One process at a time in a folder, by a lock of the operating system: it goes with its holder, however that dies.

The lock is on a hidden file in the folder, so that it goes where the folder goes and is the same by whatever path the
folder is reached. The file itself means nothing: one that a killed process left is locked anew. Its words only tell
others who holds it.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path

from gancli.errors import GancliError

FILE = ".lock"
TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""What systems say of a lock that another process holds; any other error is of a file system that cannot lock."""

PATIENCE = 5
"""Tries, a twentieth of a second apart: whoever only asks for the holder holds the lock for a moment."""

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # a locked byte cannot be read there, so one behind the words is taken

    def _lock(file: int, shared: bool = False) -> None:
        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int, shared: bool = False) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class Taken(GancliError):
    """Another process holds the folder."""


class Lock:
    """Keeps every other process that asks for the same lock out of a folder.

    Args:
        folder: to hold.
        name: what to call it in an error; the folder's own name unless given.

    Attributes:
        held: false on a file system that cannot lock: there, nothing keeps others out.

    Raises:
        Taken: naming who holds it.
        OSError: there is no such folder, or it cannot be written.
    """

    def __init__(self, folder: Path, name: Path | None = None) -> None:
        self.path, self.held = folder / FILE, False
        self._file: int | None = None
        while self._file is None:
            self._file = self._take(name or folder)
        words = json.dumps({"pid": os.getpid(), "host": platform.node()}) + "\n"
        with suppress(OSError):  # a full disk: the lock holds without words
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, words.encode())

    def _take(self, name: Path) -> int | None:
        """The locked file; None where it was removed in between, as its holder does in the end."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            for tries in range(PATIENCE):
                try:
                    _lock(file)
                    self.held = True
                    break
                except OSError as error:
                    if error.errno not in TAKEN:
                        return file
                    if tries == PATIENCE - 1:
                        raise Taken(
                            f"{name} is being trained by {_who(file)}",
                            "wait for it, or stop it; or train in another folder with --out",
                        ) from None
                    time.sleep(0.05)
        except BaseException:
            os.close(file)
            raise
        if self._is(file):
            return file
        os.close(file)
        return None

    def _is(self, file: int) -> bool:
        """Whether an open file is the one of that name."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(file), self.path.stat())
        return False

    def follow(self, folder: Path) -> None:
        """Take note that the folder has another name now."""
        self.path = folder / FILE

    def release(self) -> None:
        """Let others in, and remove the file; once more does nothing."""
        if self._file is None:
            return
        with suppress(OSError):  # Windows removes no open file; there it stays
            if self._is(self._file):
                self.path.unlink()  # while it is locked, so that nobody holds a file without a name
        os.close(self._file)
        self._file = None


def holder(folder: Path) -> str | None:
    """Who holds a folder, in words; None if nobody does, as far as can be told."""
    try:
        file = os.open(folder / FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        _lock(file, shared=True)
    except OSError as error:
        return _who(file) if error.errno in TAKEN else None
    finally:
        os.close(file)
    return None


def _who(file: int) -> str:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        words = json.loads(os.read(file, 4096))
        return f"process {int(words['pid'])} on {str(words['host'])[:80]!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
