"""Where images come from: a folder or a zip, seen alike. Nothing is ever unpacked to disk."""

import hashlib
import io
import logging
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol

from gancli.data.pixels import BadImageError
from gancli.errors import UsageError

log = logging.getLogger("gancli")

LARGEST_FILE = 256 * 2**20
MOST_FILES = 5_000_000
# Where zips made by macOS keep what other systems have no place for.
_MACOS = "__MACOSX"


class Source(Protocol):
    """Files under one roof, named by their path inside it with forward slashes."""

    path: Path
    names: list[str]

    def open(self, name: str) -> BinaryIO:
        """The bytes of a file, safe to call from many threads; BadImageError when it cannot be read."""
        ...

    def stamp(self) -> str:
        """Changes whenever a file was added, removed or written."""
        ...


def open_source(path: Path) -> "Folder | Zip":
    """The folder or zip at ``path``; UsageError for anything else."""
    if path.is_dir():
        return Folder(path)
    if not zipfile.is_zipfile(path):
        kind = "a broken zip" if path.suffix.lower() == ".zip" else "neither a folder nor a zip"
        raise UsageError(f"'{path}' is {kind}", "name a folder or a zip of images")
    return Zip(path)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == _MACOS for part in name.split("/"))


class Folder:
    """The regular files below a folder, sorted by name; links to files are followed, links to folders are not.

    A folder inside it that cannot be read is left out with a warning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._files: dict[str, tuple[int, int]] = {}
        pending = [(self.path, "")]
        while pending:
            folder, prefix = pending.pop()
            try:
                pending += self._scan(folder, prefix)
            except OSError as error:
                if not prefix:
                    raise
                log.warning("left out the folder '%s': %s", folder, (error.strerror or str(error)).lower())
        self.names = sorted(self._files)

    def _scan(self, folder: Path, prefix: str) -> list[tuple[Path, str]]:
        """Note the files of one folder; returns the folders in it."""
        below = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[0] == "." or entry.name == _MACOS:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append((Path(entry.path), f"{prefix}{entry.name}/"))
                    continue
                try:
                    found = entry.stat()
                except OSError:
                    # A link to nowhere: kept, so that reading it says so by name.
                    self._files[prefix + entry.name] = (0, 0)
                    continue
                # Opening a pipe or a device would wait for ever.
                if stat.S_ISREG(found.st_mode):
                    self._files[prefix + entry.name] = (found.st_size, found.st_mtime_ns)
        return below

    def open(self, name: str) -> BinaryIO:
        """The file, opened; refused when larger than any image should be."""
        if self._files[name][0] > LARGEST_FILE:
            raise BadImageError(f"larger than {LARGEST_FILE // 2**20} MiB")
        try:
            # Joining paths would take as long as opening the file.
            return open(f"{self.path}/{name}", "rb")  # noqa: PTH123
        except OSError as error:
            raise BadImageError((error.strerror or str(error)).lower()) from None

    def stamp(self) -> str:
        """Hash of path, and of name, size and time of every file."""
        digest = hashlib.sha256(str(self.path).encode(errors="surrogateescape"))
        for name in self.names:
            digest.update(f"\0{name}\0{self._files[name]}".encode(errors="surrogateescape"))
        return digest.hexdigest()


class Zip:
    """The files of a zip, sorted by name, read in memory entry by entry.

    Raises:
        UsageError: not a zip, an entry that leaves the archive (``../x``, ``/x``, ``C:x``), too many entries.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise UsageError(f"'{path}' is a broken zip: {error}", "make or download it again") from None
        entries = self._zip.infolist()
        if len(entries) > MOST_FILES:
            raise UsageError(f"'{path}' has {len(entries):,} entries", f"at most {MOST_FILES:,} are read")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            name = entry.filename.replace("\\", "/")
            if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
                raise UsageError(
                    f"'{path}' has an entry that leaves the archive: '{entry.filename}'",
                    "such a zip is not to be trusted: make it again from the images",
                )
            # A link (file type 0o12 in the upper half of the attributes) names a file outside: never followed.
            link = stat.S_ISLNK(entry.external_attr >> 16)
            if not entry.is_dir() and not link and not _hidden(name):
                self._entries[name] = entry
        self.names = sorted(self._entries)

    def open(self, name: str) -> BinaryIO:
        """The entry, decompressed into memory up to the largest size of a file."""
        entry = self._entries[name]
        if entry.flag_bits & 1:
            raise BadImageError("encrypted")
        if entry.file_size > LARGEST_FILE:
            raise BadImageError(f"larger than {LARGEST_FILE // 2**20} MiB")
        try:
            with self._zip.open(entry) as file:
                # The declared size is only a claim: read no more than allowed, whatever follows.
                data = file.read(LARGEST_FILE + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise BadImageError(f"broken entry of the zip: {error}") from None
        if len(data) > LARGEST_FILE:
            raise BadImageError(f"larger than {LARGEST_FILE // 2**20} MiB")
        return io.BytesIO(data)

    def stamp(self) -> str:
        """Hash of path, size and time of the zip."""
        found = self.path.stat()
        text = f"{self.path}\0{found.st_size}\0{found.st_mtime_ns}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
