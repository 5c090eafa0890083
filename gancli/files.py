"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gancli.errors import UsageError


def check_file(path: Path) -> None:
    """Make sure, before any long work, that ``path`` can be written as a file; its folder is made if need be.

    Raises:
        UsageError: a folder has that name, or its own folder cannot be made or written.
    """
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder, not a file", "name a file, such as samples.png")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Make the folder ``path`` if need be, and make sure that files can be written in it.

    Raises:
        UsageError: a file is in the way, or permission is denied.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"'{path}' is not a folder: a file is in the way", "name another place") from None
    except OSError as error:
        raise UsageError(f"cannot make the folder '{path}': {_reason(error)}", "name another place") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into the folder '{path}'", "name another place, or change its permissions")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


@contextmanager
def atomic(path: Path) -> Generator[Path]:
    """A temporary path beside ``path`` to write to, which takes its place on success and vanishes on failure.

    The bytes are on the disk before they take the place of an older file; the folder is made if need be.

    Raises:
        UsageError: see :func:`check_file`.
    """
    check_file(path)
    with whole(path) as temporary:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())


@contextmanager
def whole(path: Path) -> Generator[Path]:
    """As :func:`atomic`, for one of thousands of files: no checks, and no wait for the disk.

    The file outlives the program's death, but not always the machine's.
    """
    temporary = temporary_name(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """A free name in the same folder that no pattern such as *.png matches."""
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
