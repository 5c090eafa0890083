"""One shard: a tar of images and labels in WebDataset's layout. Nothing is unpacked to disk."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gancli.data.folder.files import LARGEST_FILE, leaves
from gancli.data.folder.tables import TABLES
from gancli.data.pixels import BadImageError
from gancli.data.types import Skipped
from gancli.errors import UsageError, printable
from gancli.files import refuse_special

IMAGES = ("jpg", "jpeg", "png", "webp")
LABELS = ("cls", "json")
MOST_CLASSES = 65_536
MOST_MEMBERS = 1_000_000
MOST_NOTES = 100
"""Members of one shard that are reported by name."""
LARGEST_LABEL = 2**16
LARGEST_HEADER = 2**20
# gzip, bzip2, xz, zstd
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class Tar:
    """The images of a shard; a :class:`gancli.data.folder.files.Source`.

    A key is a member's path up to the first dot of its last part; what follows is the suffix. Members of one key belong
    together: an image, and its class as ``key.cls`` (a number as text) or in ``key.json`` (``{"label": 3}``). Other
    members are ignored.

    Args:
        path: of the tar.

    Attributes:
        names: of the images, in their order.
        tables: of labels, as a folder of images may hold them (see :mod:`gancli.data.folder.tables`), each with its
            size and time. They are no part of a shard.
        labels: the class of each, None where it has none.
        skipped: faulty members, a hundred at most.
        others: number of ignored members by suffix; ``left_out`` for a Source.
        fingerprint: 16 hex digits over names, sizes, times and labels.

    Raises:
        UsageError: it is compressed, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.names: list[str] = []
        self.tables: dict[str, str] = {}
        self.skipped: list[Skipped] = []
        self.others = self.left_out = Counter[str]()
        self._spans: dict[str, tuple[int, int]] = {}
        self._labels: dict[str, int] = {}
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        digest = hashlib.sha256()
        try:
            refuse_special(path)  # opening a pipe would block for ever
            # Kept open: another process may remove the file from the cache, or replace it.
            self._file = path.open("rb")
            weakref.finalize(self, self._file.close)
            if self._file.read(8).startswith(_PACKED):
                raise UsageError(f"the shard '{self.path}' is compressed", "unpack it once, as in gunzip")
            for member in self._members():
                self._take(member)
                if member.name in self._spans and member.name not in self.tables:
                    digest.update(f"{member.name}\0{member.size}\0{member.mtime!r}\0".encode(errors="replace"))
        except OSError as error:
            raise UsageError(
                f"the shard '{path}' cannot be read: {(error.strerror or str(error)).lower()}",
                "check the path and its permissions",
            ) from None
        self.labels = [self._labels.get(_split(name)[0]) for name in self.names]
        digest.update(repr(self.labels).encode())
        self.fingerprint = digest.hexdigest()[:16]

    def open(self, name: str) -> BinaryIO:
        """The bytes of an image, in memory; thread-safe."""
        offset, size = self._spans[name]
        try:
            with self._lock:
                self._file.seek(offset)
                return io.BytesIO(self._file.read(size))
        except OSError as error:
            raise BadImageError((error.strerror or str(error)).lower()) from None

    def stamp(self) -> str:
        """Changes whenever the shard or a table of labels was written."""
        return f"{self.fingerprint} {self.tables}" if self.tables else self.fingerprint

    def _members(self) -> Iterator[tarfile.TarInfo]:
        """The regular files of the tar, up to the first damage."""
        file = self._file
        end = file.seek(0, io.SEEK_END)
        file.seek(0)
        guarded, last, count = _Guarded(file), -1, 0
        try:
            tar = tarfile.open(fileobj=guarded, mode="r:")  # ty: ignore[no-matching-overload] # noqa: SIM115
            while (member := guarded.next_of(tar)) is not None:
                count += 1
                if count > MOST_MEMBERS:
                    raise tarfile.ReadError(f"more than {MOST_MEMBERS:,} members")
                # A negative size would lead back to members that were read before, in an endless loop.
                if member.size < 0 or member.offset_data <= last:
                    raise tarfile.ReadError("a size below zero")
                last = member.offset_data
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                    if not member.isdir():
                        self._report(member.name, "a link, a device or a file with holes")
                    continue
                if member.offset_data + member.size > end:
                    raise tarfile.ReadError("it ends within a member")
                yield member
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError("a broken header")
        # tarfile may raise anything on a damaged file; the members before are whole.
        except Exception as error:
            reason = " ".join(str(error).split())[:80] or type(error).__name__
            self._report(self.path.name, f"damaged after {len(self.names):,} images ({reason}): the rest is left out")

    def _take(self, member: tarfile.TarInfo) -> None:
        """Store the offset of an image, or the class of a key."""
        name = member.name
        if leaves(name):
            self._report(name, "a name that leaves the archive")
            return
        key, suffix = _split(name)
        if name.rpartition("/")[2] in TABLES and member.size <= LARGEST_FILE:
            self.tables[name] = f"{member.size} {member.mtime!r}"
            self._spans[name] = member.offset_data, member.size
        elif not key or suffix not in (*IMAGES, *LABELS):
            self.others[printable(suffix[:20])] += 1
        elif suffix in LABELS:
            self._take_label(member, key, suffix)
        elif key in self._keys:
            self._report(name, "a second image of its key")
        elif member.size > LARGEST_FILE:
            self._report(name, f"larger than {LARGEST_FILE // 2**20} MiB")
        else:
            self._keys.add(key)
            self._spans[name] = member.offset_data, member.size
            self.names.append(name)

    def _take_label(self, member: tarfile.TarInfo, key: str, suffix: str) -> None:
        if suffix == "json" and key in self._labels:
            return
        label = None
        if member.size <= LARGEST_LABEL:
            self._file.seek(member.offset_data)
            label = _label(suffix, self._file.read(member.size))
        if label is not None:
            self._labels[key] = label
        elif suffix == "cls":
            self._report(member.name, "no class number")
        else:
            self.others["json"] += 1

    def _report(self, name: str, reason: str) -> None:
        if len(self.skipped) < MOST_NOTES:
            self.skipped.append(Skipped(printable(name[:200]), reason))


class _Guarded:
    """Limits what tarfile reads for one header: it would read extended headers of any length into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, LARGEST_HEADER
        self.seek, self.tell = file.seek, file.tell

    def next_of(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        """The next member, without a list of those before it."""
        self._left = LARGEST_HEADER
        member = tar.next()
        tar.members = []  # ty: ignore[missing-attribute]
        tar.pax_headers = {}
        return member

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._left:
            raise tarfile.ReadError(f"a header of more than {LARGEST_HEADER // 2**20} MiB")
        self._left -= size
        return self._file.read(size)


def _split(name: str) -> tuple[str, str]:
    """Key and lower-case suffix; the key is empty where there is no dot, or nothing before it."""
    folder, slash, last = name.rpartition("/")
    stem, _, suffix = last.partition(".")
    return (folder + slash + stem if stem else ""), suffix.lower()


def _label(suffix: str, data: bytes) -> int | None:
    """The class number in a ``.cls`` or ``.json`` member; None where there is none."""
    label = None
    with suppress(ValueError, RecursionError):
        if suffix == "cls":
            label = int(data) if data.strip().isdigit() else None
        else:
            document = json.loads(data)
            label = document.get("label") if isinstance(document, dict) else None
    return label if type(label) is int and 0 <= label < MOST_CLASSES else None
