"""Decoded images on disk: a folder of raw pixels, labels and one JSON file, which exists whole or not at all."""

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

from gancli.data import memory
from gancli.data.paths import cache_folder
from gancli.data.types import ImageSet, Skipped, fingerprint_of
from gancli.errors import UsageError

log = logging.getLogger("gancli")

FORMAT = 1
"""Raised whenever the same files would give other pixels than before."""
_DAY = 86_400


@dataclass(frozen=True)
class Pool:
    """A part of the cache folder.

    Attributes:
        name: of its folder.
        resident: whether small sets are read into memory; otherwise all are memory-mapped.
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


def find(slot: str, key: str, pool: Pool = PREPARED) -> ImageSet | None:
    """The images cached under this slot and key, marked as just used; None when there are none, or damaged ones."""
    folder = pool.root / f"{slot}-{key}"
    try:
        facts = json.loads((folder / "facts.json").read_text("utf-8"))
        shape, pixels, labels = tuple(facts["shape"]), folder / "pixels.bin", None
        if facts["labelled"]:
            labels = torch.from_numpy(np.fromfile(folder / "labels.bin", dtype="<i8").astype(np.int64))
        if pixels.stat().st_size != math.prod(shape) or (labels is not None and len(labels) != shape[0]):
            return None
        skipped = tuple(Skipped(name, reason) for name, reason in facts["skipped"])
        images = mapped(pixels, shape, resident=pool.resident)
        with contextlib.suppress(OSError):
            os.utime(folder)
        return ImageSet(images, labels, tuple(facts["classes"]), skipped, facts["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mapped(path: Path, shape: tuple[int, ...], *, resident: bool = True) -> Tensor:
    """The raw pixels of a file, uint8 of this shape.

    They are read where ``resident`` and small enough, else memory-mapped; writing to the map does not change the file.
    """
    if resident and math.prod(shape) <= memory.resident_limit():
        return torch.from_numpy(np.fromfile(path, dtype=np.uint8)).view(shape)
    return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="c", shape=shape))


class Draft:
    """Storage for N images while they are decoded: in the cache folder, or in memory when that cannot be written.

    Attributes:
        pixels: the uint8 array (N, C, H, W) to fill.
    """

    def __init__(self, slot: str, key: str, shape: tuple[int, int, int, int], pool: Pool = PREPARED) -> None:
        self._slot, self._key, self._pool = slot, key, pool
        self._folder: Path | None = None
        root = pool.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{slot}-", dir=root))
            self._reserve(self._folder / "pixels.bin", math.prod(shape))
            self.pixels: np.ndarray = np.memmap(self._folder / "pixels.bin", np.uint8, "r+", shape=shape)
        except OSError as error:
            self.discard()
            memory.check_memory(shape[0], shape[1], (shape[2], shape[3]))
            log.warning("the cache folder %s cannot be used (%s): the images stay in memory", root, error.strerror)
            self.pixels = np.empty(shape, dtype=np.uint8)

    @staticmethod
    def _reserve(path: Path, size: int) -> None:
        # Writing to a mapped sparse file on a full disk kills the process, so the space is allocated first.
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            elif shutil.disk_usage(path.parent).free < size:
                raise OSError(28, "no space left on device")
            else:
                file.truncate(size)

    def discard(self) -> None:
        """Remove the files of a draft that was not committed."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def commit(
        self, count: int, labels: Tensor | None, classes: tuple[str, ...], skipped: tuple[Skipped, ...]
    ) -> ImageSet:
        """The first ``count`` images, moved to their name in the cache where the disk allows it."""
        images = torch.from_numpy(self.pixels[:count])
        made = ImageSet(images, labels, classes, skipped, fingerprint_of(images, labels))
        if self._folder is not None:
            try:
                self._save(self._folder, made)
                return find(self._slot, self._key, self._pool) or made
            except OSError as error:
                log.warning("the cache folder %s cannot be used (%s)", self._pool.root, error.strerror)
                # The memory map stays valid although its file has no name any more.
                self.discard()
        return made

    def _save(self, folder: Path, made: ImageSet) -> None:
        assert isinstance(self.pixels, np.memmap)
        self.pixels.flush()
        os.truncate(folder / "pixels.bin", made.images.numel())
        if made.labels is not None:
            made.labels.numpy().astype("<i8").tofile(folder / "labels.bin")
        facts = {
            "shape": list(made.images.shape),
            "labelled": made.labels is not None,
            "classes": made.classes,
            "skipped": [(one.name, one.reason) for one in made.skipped],
            "fingerprint": made.fingerprint,
        }
        with (folder / "facts.json").open("w", encoding="utf-8") as file:
            json.dump(facts, file)
            file.flush()
            os.fsync(file.fileno())
        final = self._pool.root / f"{self._slot}-{self._key}"
        shutil.rmtree(final, ignore_errors=True)  # Only a damaged entry can be there: a whole one would have been used.
        try:
            folder.rename(final)
        except OSError:
            # Another process may have cached the same images meanwhile.
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
                if time.time() - left.stat().st_mtime > _DAY:
                    shutil.rmtree(left, ignore_errors=True)


def make_room(pool: Pool, needed: int) -> None:
    """Evict the least recently used entries, until ``needed`` more bytes fit the pool.

    Its limit is half of the space that the disk has for it, or ``$GANCLI_SHARDS_GB``.
    """
    try:
        entries = sorted(_entries(pool))
        used = sum(size for _, size, _ in entries)
        limit = _limit(pool, used)
    except OSError:  # the pool does not exist yet
        return
    for _, size, path in entries:
        if used + needed <= limit:
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        used -= size


def _entries(pool: Pool) -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, bytes and path of every entry of a pool but its indices.

    What a killed process left counts as the oldest.
    """
    for path in pool.root.iterdir():
        with contextlib.suppress(OSError):
            used = path.stat().st_mtime
            hidden = path.name.startswith(".")
            if path.suffix == ".json" or (hidden and time.time() - used < _DAY):
                continue
            files = path.iterdir() if path.is_dir() else [path]
            yield 0.0 if hidden else used, sum(file.stat().st_size for file in files), path


def _limit(pool: Pool, used: int) -> int:
    """Bytes that a pool may take."""
    text = os.environ.get("GANCLI_SHARDS_GB")
    if not text:
        return (shutil.disk_usage(pool.root).free + used) // 2
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e9:
            return int(float(text) * 1e9)
    raise UsageError(f"GANCLI_SHARDS_GB is '{text}'", "a number of gigabytes, as in 20")
