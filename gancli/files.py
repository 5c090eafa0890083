"""Files that are there whole or not at all."""

import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gancli.errors import UsageError

DRAWN = b"drawn by gancli"
"""Metadata of grids, plots and animations, which are no photos to learn from."""


def refuse_special(path: Path) -> None:
    """Make sure that a path that is about to be read names no pipe and no device, which might never end.

    Raises:
        UsageError: it does.
        OSError: there is nothing.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UsageError(f"'{path}' is a pipe or a device, not a file", "copy what it gives into a file")


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key of names in which numbers count by their value: 2 before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def check_file(path: Path) -> None:
    """Make sure, before any long work, that ``path`` can be written as a file; nothing is made.

    Raises:
        UsageError: a folder has that name, or its own folder cannot be made or written.
    """
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder, not a file", "name a file, such as samples.png")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Make sure that files can be written in the folder ``path``, which need not be there yet; nothing is made.

    Raises:
        UsageError: a file is in the way, or permission is denied.
    """
    there = path
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
    except OSError as error:
        raise _unmakable(path, error) from None
    if not there.is_dir():
        raise UsageError(f"'{path}' is not a folder: a file is in the way", "name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into the folder '{there}'", "name another place, or change its permissions")


def make_folder(path: Path) -> None:
    """Make the folder ``path`` and those above it, if need be.

    Raises:
        UsageError: a file is in the way, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unmakable(path, error) from None


def _unmakable(path: Path, error: OSError) -> UsageError:
    reason = (error.strerror or str(error)).lower()
    return UsageError(f"cannot make the folder '{path}': {reason}", "name another place")


@contextmanager
def atomic(path: Path, *, make: bool = True) -> Generator[Path]:
    """A temporary path beside ``path`` to write to, which takes its place on success and vanishes on failure.

    The bytes are on the disk before they take the place of an older file.

    Args:
        path: of the file.
        make: make its folder if need be; otherwise a folder that vanishes meanwhile does not come back.

    Raises:
        UsageError: see :func:`check_file`.
        OSError: it cannot be written.
    """
    check_file(path)
    with whole(path, make=make) as temporary:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())


@contextmanager
def whole(path: Path, *, make: bool = True) -> Generator[Path]:
    """As :func:`atomic`, for one of thousands of files: no checks, and no wait for the disk.

    The file outlives the program's death, but not always the machine's.
    """
    if make:
        make_folder(path.parent)
    # A free name that no pattern such as *.png matches.
    temporary = path.with_name(f".{path.name[:200]}.{os.urandom(4).hex()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
