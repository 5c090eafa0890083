"""Prepared images on disk: a folder of raw pixels, labels and one JSON, whole or not there at all."""

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.data import types
from gancli.data.paths import cache_folder
from gancli.data.types import Prepared, Skipped
from gancli.errors import UsageError

log = logging.getLogger("gancli")

#: Raised whenever the same files would give other pixels than before.
FORMAT = 1


@dataclass(frozen=True)
class Pool:
    """A part of the cache folder.

    Attributes:
        name: of the folder in it.
        resident: whether images that fit the memory well are read into it; otherwise they are always mapped.
    """

    name: str
    resident: bool

    @property
    def root(self) -> Path:
        """The folder; it may not exist yet."""
        return cache_folder() / self.name


PREPARED = Pool("prepared", resident=True)


def digest(*parts: Any) -> str:
    """16 hex digits that stand for these JSON values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def find(slot: str, key: str, pool: Pool = PREPARED) -> Prepared | None:
    """The images prepared earlier under this key; None when there are none, or when they are damaged."""
    return _open(pool.root / f"{slot}-{key}", pool.resident)


def _open(folder: Path, resident: bool) -> Prepared | None:
    try:
        facts = json.loads((folder / "facts.json").read_text("utf-8"))
        shape = tuple(int(side) for side in facts["shape"])
        pixels = folder / "pixels.bin"
        if len(shape) != 4 or min(shape) < 1 or pixels.stat().st_size != int(np.prod(shape, dtype=object)):
            return None
        labels = None
        if facts["labelled"]:
            labels = torch.from_numpy(np.fromfile(folder / "labels.bin", dtype="<i8").astype(np.int64))
            if len(labels) != shape[0]:
                return None
        skipped = tuple(Skipped(str(name), str(reason)) for name, reason in facts["skipped"])
        classes = tuple(str(name) for name in facts["classes"])
        return Prepared(mapped(pixels, shape, resident=resident), labels, classes, skipped, str(facts["fingerprint"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mapped(path: Path, shape: tuple[int, ...], offset: int = 0, *, resident: bool = True) -> Tensor:
    """Raw uint8 pixels of a file: read when they fit the memory well, else mapped (copy on write, never written)."""
    if resident and int(np.prod(shape, dtype=object)) <= types.resident_limit():
        count = int(np.prod(shape))
        return torch.from_numpy(np.fromfile(path, dtype=np.uint8, count=count, offset=offset)).view(shape)
    return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="c", offset=offset, shape=shape))


class Draft:
    """Room for N images while they are decoded: in the cache folder, or in memory when that cannot be written.

    ``pixels`` is the uint8 array (N, C, H, W) to fill; ``keep`` makes it permanent and gives it back.
    """

    def __init__(self, slot: str, key: str, shape: tuple[int, int, int, int], pool: Pool = PREPARED) -> None:
        self._slot, self._key, self._pool = slot, key, pool
        self._folder: Path | None = None
        root = pool.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{slot}-", dir=root))
            self._reserve(self._folder / "pixels.bin", int(np.prod(shape, dtype=object)))
            self.pixels: np.ndarray = np.memmap(self._folder / "pixels.bin", np.uint8, "r+", shape=shape)
        except OSError as error:
            self.discard()
            types.check_room(shape[0], shape[1], (shape[2], shape[3]))
            log.warning("the cache folder %s cannot be used (%s): the images stay in memory", root, error.strerror)
            self.pixels = np.empty(shape, dtype=np.uint8)

    @staticmethod
    def _reserve(path: Path, size: int) -> None:
        # Writing to a mapped file with holes on a full disk kills the process: take the room first.
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            elif shutil.disk_usage(path.parent).free < size:
                raise OSError(28, "no space left on device")
            else:
                file.truncate(size)

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def keep(
        self, count: int, labels: Tensor | None, classes: tuple[str, ...], skipped: tuple[Skipped, ...]
    ) -> Prepared:
        """The first ``count`` images, now permanent where the disk allows it."""
        images = torch.from_numpy(self.pixels[:count])
        made = Prepared(images, labels, classes, skipped, types.fingerprint_of(images, labels))
        if self._folder is None:
            return made
        try:
            self._publish(made)
        except OSError as error:
            log.warning("the cache folder %s cannot be used (%s)", self._pool.root, error.strerror)
            # The mapping stays valid although its file has no name any more.
            self.discard()
            return made
        return find(self._slot, self._key, self._pool) or made

    def _publish(self, made: Prepared) -> None:
        assert self._folder is not None
        assert isinstance(self.pixels, np.memmap)
        self.pixels.flush()
        os.truncate(self._folder / "pixels.bin", made.images.numel())
        if made.labels is not None:
            made.labels.numpy().astype("<i8").tofile(self._folder / "labels.bin")
        facts = {
            "shape": list(made.images.shape),
            "labelled": made.labels is not None,
            "classes": made.classes,
            "skipped": [(one.name, one.reason) for one in made.skipped],
            "fingerprint": made.fingerprint,
        }
        with (self._folder / "facts.json").open("w", encoding="utf-8") as file:
            json.dump(facts, file)
            file.flush()
            os.fsync(file.fileno())
        final = self._pool.root / f"{self._slot}-{self._key}"
        shutil.rmtree(final, ignore_errors=True)  # Only a damaged one can be there: a whole one would have been used.
        try:
            self._folder.rename(final)
            self._folder = None
        except OSError:
            # Another process may have been quicker: the same images are there then.
            if not final.exists():
                raise
        self.discard()
        self._sweep(final)

    def _sweep(self, final: Path) -> None:
        """Remove what the same folder or zip gave before it was changed, and what a killed process left."""
        for old in self._pool.root.glob(f"{self._slot}-*"):
            if old != final:
                shutil.rmtree(old, ignore_errors=True)
        for left in self._pool.root.glob(f".{self._slot}-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > 86_400:
                    shutil.rmtree(left, ignore_errors=True)


def make_room(pool: Pool, needed: int) -> None:
    """Drop what was used least recently, until ``needed`` more bytes fit the pool.

    It may take half of what the disk has room for, or ``$GANCLI_SHARDS_GB``.
    """
    try:
        entries = sorted(_entries(pool))
        used = sum(size for _, size, _ in entries)
        limit = _limit(pool, used)
    except OSError:  # nothing there yet
        return
    for _, size, path in entries:
        if used + needed <= limit:
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        used -= size


def touch(pool: Pool, slot: str, key: str) -> None:
    """Note that something was used just now."""
    with contextlib.suppress(OSError):
        os.utime(pool.root / f"{slot}-{key}")


def _entries(pool: Pool) -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, bytes and place of everything in a pool but its indices.

    What a killed process left is the oldest of all.
    """
    for path in pool.root.iterdir():
        with contextlib.suppress(OSError):
            found = path.stat()
            left = path.name.startswith(".")
            if path.suffix == ".json" or (left and time.time() - found.st_mtime < 86_400):
                continue
            files = path.iterdir() if path.is_dir() else [path]
            yield 0.0 if left else found.st_mtime, sum(file.stat().st_size for file in files), path


def _limit(pool: Pool, used: int) -> int:
    """Bytes that a pool may take."""
    if text := os.environ.get("GANCLI_SHARDS_GB"):
        try:
            given = float(text)
        except ValueError:
            given = math.nan
        if not 0 < given < 1e9:
            raise UsageError(f"GANCLI_SHARDS_GB is '{text}'", "a number of gigabytes, as in 20")
        return int(given * 1e9)
    return (shutil.disk_usage(pool.root).free + used) // 2
