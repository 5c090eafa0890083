"""Sources of image files: a folder or a zip behind one interface. Nothing is unpacked to disk."""

import hashlib
import io
import logging
import os
import re
import stat
import struct
import weakref
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from gancli.data.pixels import BadImageError, is_heic, is_known
from gancli.errors import UsageError
from gancli.files import refuse_special

log = logging.getLogger("gancli")

LARGEST_FILE = 256 * 2**20
LARGEST_DIRECTORY = 256 * 2**20
"""Bytes of a zip's directory, about 100 a file: Python reads it whole, and takes ten times as much memory for it."""
MADE_HERE = "folders made by gancli"
SAMPLES_NOTE = ".model"
"""The file in a folder of samples that says of which model they are."""
_SAYS_UTF8 = 0x800
# Half-width katakana are bytes of other encodings. So are letters beside Latin ones: "Vögel" of CP437 would be "V波el".
_FOREIGN = r"[\uff61-\uff9f]|[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]"
_ENCODINGS = {"utf-8": r"(?!)", "gb2312": r"(?!)", "cp932": _FOREIGN, "gbk": _FOREIGN}
"""Encodings of names in zips, and what shows that one does not suit."""
# The folder of macOS metadata in zips.
_MACOS = "__MACOSX"


class Source(Protocol):
    """A collection of files, named by their path inside it with forward slashes."""

    path: Path
    names: list[str]
    left_out: Counter[str]

    def open(self, name: str) -> BinaryIO:
        """The bytes of a file; thread-safe. BadImageError when it cannot be read."""
        ...

    def stamp(self) -> str:
        """Changes whenever a file was added, removed or written."""
        ...


@dataclass(frozen=True)
class Listing:
    """The images of one split, with labels (or None) and the names of the classes.

    Attributes:
        splits: number of images of each split; {} where it is not known.
        left_out: number of files or folders that were left out, by kind.
    """

    names: list[str]
    labels: list[int] | None
    classes: tuple[str, ...]
    splits: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)


def open_source(path: Path) -> "Folder | Zip":
    """The folder or zip at ``path``; UsageError for anything else."""
    if path.is_dir():
        return Folder(path)
    refuse_special(path)
    if not is_zip(path):
        with path.open("rb") as file:
            head = file.read(16)
        if is_known(head) or is_heic(head):
            raise UsageError(f"'{path}' is a single image", "put hundreds of images into a folder, and name the folder")
        kind = "a broken zip" if path.suffix.lower() == ".zip" else "neither a folder nor a zip"
        raise UsageError(f"'{path}' is {kind}", "name a folder or a zip of images")
    return Zip(path)


def is_zip(path: Path) -> bool:
    """Whether a file is a zip in one piece."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        return False


def _generated(names: Collection[str]) -> bool:
    """Whether a folder of these files is a run folder, or one that `gancli sample` made."""
    return SAMPLES_NOTE in names or ("recipe.toml" in names and any(name.endswith(".safetensors") for name in names))


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == _MACOS for part in name.split("/"))


class Folder:
    """The regular files below a folder, sorted by name; links are followed, but every folder is read once.

    A folder inside it that cannot be read is left out with a warning, and one that gancli made without.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._files: dict[str, tuple[int, int]] = {}
        self.left_out = Counter[str]()
        # Of links, since an endless loop would be possible.
        root, linked = self.path.resolve(), set[Path]()
        for folder, below, names in os.walk(self.path, onerror=self._unreadable, followlinks=True):
            if folder != str(self.path) and _generated(names):
                self.left_out[MADE_HERE] += 1
                below.clear()
                continue
            shown = [name for name in below if not _hidden(name)]
            below[:] = [name for name in shown if _follows(Path(folder, name), root, linked)]
            if loops := len(shown) - len(below):
                self.left_out["links to folders that are read already"] += loops
            prefix = f"{Path(folder).relative_to(self.path).as_posix()}/".removeprefix("./")
            for name in names:
                if _hidden(name):
                    continue
                try:
                    found = os.stat(f"{folder}/{name}")  # noqa: PTH116 - many thousands of them
                except OSError:
                    # A broken link: listed, so that it is reported by name.
                    self._files[prefix + name] = (0, 0)
                    continue
                # Opening a pipe or a device would block for ever.
                if stat.S_ISREG(found.st_mode):
                    self._files[prefix + name] = (found.st_size, found.st_mtime_ns)
        self.names = sorted(self._files)

    def _unreadable(self, error: OSError) -> None:
        if Path(error.filename) == self.path:
            raise error
        log.warning("left out the folder '%s': %s", error.filename, (error.strerror or str(error)).lower())

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


class _Guarded(io.BufferedReader):
    """A file that refuses to read a zip's directory of more than :data:`LARGEST_DIRECTORY` bytes in one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if (size or 0) > LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory has more than {LARGEST_DIRECTORY // 2**20} MiB")
        return super().read(size)


def _follows(folder: Path, root: Path, linked: set[Path]) -> bool:
    """Whether a folder is no link, or one to a folder that has nothing in common with the root and those before."""
    if not folder.is_symlink():
        return True
    target = folder.resolve()
    if any(target.is_relative_to(known) or known.is_relative_to(target) for known in (root, *linked)):
        return False
    linked.add(target)
    return True


def leaves(name: str) -> bool:
    """Whether the name of a member would lie outside of its archive: ``../x``, ``/x``, ``C:x``."""
    return re.match(r"[/\\]|[A-Za-z]:", name) is not None or ".." in re.split(r"[/\\]", name)


def _filenames(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of a zip's entries, also of those that do not say their encoding.

    zipfile reads these as CP437. Other programs write UTF-8, and on Chinese and Japanese systems GBK and
    Shift-JIS: the first of them that suits all names is taken.
    """
    names = [entry.filename for entry in entries]
    unsaid = [number for number, entry in enumerate(entries) if not entry.flag_bits & _SAYS_UTF8]
    try:
        raw = [names[number].encode("cp437") for number in unsaid]
    except UnicodeEncodeError:  # a name in an entry's extra field
        return names
    for encoding, wrong in _ENCODINGS.items():
        try:
            decoded = [name.decode(encoding) for name in raw]
        except UnicodeDecodeError:
            continue
        if not any(re.search(wrong, name) for name in decoded):
            found = dict(zip(unsaid, decoded, strict=True))
            return [found.get(number, name) for number, name in enumerate(names)]
    return names


class Zip:
    """The files of a zip, sorted by name, read in memory entry by entry.

    Raises:
        UsageError: not a zip, an entry that leaves the archive (``../x``, ``/x``, ``C:x``), too large a directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        file = _Guarded(io.FileIO(path))
        try:
            self._zip = zipfile.ZipFile(file)
            # Opened entries keep the archive alive, and the archive keeps its file open.
            weakref.finalize(self._zip, file.close)
        except UnicodeDecodeError:
            file.close()
            raise UsageError(
                f"'{path}' has names that are said to be UTF-8, and are not",
                "make it again, or unpack it and name the folder",
            ) from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error) as error:
            file.close()
            raise UsageError(f"'{path}' is a broken zip: {error}", "make or download it again") from None
        self._entries: dict[str, zipfile.ZipInfo] = {}
        folders: dict[str, set[str]] = {}
        for entry, filename in zip(self._zip.infolist(), _filenames(self._zip.infolist()), strict=True):
            name = filename.replace("\\", "/")
            folders.setdefault(name[: name.rfind("/") + 1], set()).add(name.rpartition("/")[2])
            if leaves(name):
                raise UsageError(
                    f"'{path}' has an entry that leaves the archive: '{entry.filename}'",
                    "such a zip is not to be trusted: make it again from the images",
                )
            # A link (file type 0o12 in the upper half of the attributes) names a file outside, and is never followed.
            link = stat.S_ISLNK(entry.external_attr >> 16)
            # An empty name is a folder.
            if name and not entry.is_dir() and not link and not _hidden(name):
                self._entries[name] = entry
        made = tuple(folder for folder, names in folders.items() if folder and _generated(names))
        self.left_out = Counter({MADE_HERE: len(made)} if made else {})
        self.names = sorted(name for name in self._entries if not name.startswith(made))

    def open(self, name: str) -> BinaryIO:
        """The entry, decompressed into memory."""
        entry = self._entries[name]
        if entry.flag_bits & 1:
            raise BadImageError("encrypted")
        if entry.file_size > LARGEST_FILE:
            raise BadImageError(f"larger than {LARGEST_FILE // 2**20} MiB")
        # The other methods decompress without a limit what may be a thousand times the declared size.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadImageError("compressed by another method than deflate")
        try:
            with self._zip.open(entry) as file:
                return io.BytesIO(file.read(entry.file_size))
        # zipfile and zlib have errors of their own.
        except Exception as error:
            raise BadImageError(f"broken entry of the zip: {error}") from None

    def stamp(self) -> str:
        """Hash of path, size and time of the zip."""
        found = self.path.stat()
        text = f"{self.path}\0{found.st_size}\0{found.st_mtime_ns}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
