"""Decoded images on disk: a folder of raw pixels and one JSON file, which exists whole or not at all."""

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from gancli.data.memory import check_memory
from gancli.data.paths import cache_folder
from gancli.data.types import ImageSet, Skipped, fingerprint_of
from gancli.errors import UsageError

log = logging.getLogger("gancli")

FORMAT = 2
"""Raised whenever the same files would give other pixels than before."""
_DAY = 86_400

Contents = tuple[Tensor | None, tuple[str, ...], tuple[Skipped, ...]]
"""Labels int64 (N,) or None, names of the classes, and files left out."""


def root() -> Path:
    """The folder of all entries; it may not exist yet."""
    return cache_folder() / "images"


def digest(*parts: Any) -> str:
    """16 hex digits that stand for these JSON values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def find(key: str) -> ImageSet | None:
    """The images cached under this key, memory-mapped and marked as just used; None when there are none.

    Writing to them by mistake does not change the file. A damaged entry is removed.
    """
    folder = root() / key
    try:
        facts = json.loads((folder / "facts.json").read_text("utf-8"))
        pixels = np.memmap(folder / "pixels.bin", np.uint8, "c", shape=tuple(facts["shape"]))
        labels = None if facts["labels"] is None else torch.tensor(facts["labels"])
        skipped = tuple(Skipped(name, reason) for name, reason in facts["skipped"])
        found = ImageSet(torch.from_numpy(pixels), labels, tuple(facts["classes"]), skipped, facts["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    with suppress(OSError):
        os.utime(folder)
    return found


def store(key: str, count: int, shape: tuple[int, int, int], write: Callable[[IO[bytes]], Contents]) -> ImageSet:
    """Cache images under a key, or keep them in memory when the cache folder cannot be written.

    Args:
        key: of the entry.
        count: images at most.
        shape: (channels, height, width).
        write: writes the pixels of every image to a file, and returns what else is known of them. It is called again
            where the file cannot be written.
    """
    folder = root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        make_room(count * math.prod(shape))
        with tempfile.TemporaryDirectory(prefix=".", dir=folder, ignore_cleanup_errors=True) as draft:
            _write_entry(Path(draft) / key, shape, write)
            # Another process may have cached the same images meanwhile.
            with suppress(OSError):
                (Path(draft) / key).rename(folder / key)
        if (found := find(key)) is not None:
            return found
    except OSError as error:
        log.warning("the cache folder %s cannot be used (%s): the images stay in memory", folder, error.strerror)
    check_memory(count, shape[0], shape[1:])
    file = BytesIO()
    contents = write(file)
    images = torch.frombuffer(file.getbuffer(), dtype=torch.uint8).view(-1, *shape)
    return ImageSet(images, *contents, fingerprint_of(images, contents[0]))


def _write_entry(folder: Path, shape: tuple[int, int, int], write: Callable[[IO[bytes]], Contents]) -> None:
    """Write the files of an entry into a new folder."""
    folder.mkdir()
    path = folder / "pixels.bin"
    with path.open("wb") as file:
        labels, classes, skipped = write(file)
        file.flush()
        os.fsync(file.fileno())
    images = torch.from_numpy(np.memmap(path, np.uint8, "c")).view(-1, *shape)
    facts = {
        "shape": list(images.shape),
        "labels": None if labels is None else labels.tolist(),
        "classes": classes,
        "skipped": [(one.name, one.reason) for one in skipped],
        "fingerprint": fingerprint_of(images, labels),
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def make_room(needed: int) -> None:
    """Evict the least recently used entries, until ``needed`` more bytes fit.

    The limit is half of the space that the disk has for the cache, or ``$GANCLI_CACHE_GB``.
    """
    entries = sorted(_entries())
    used = sum(size for _, size, _ in entries)
    limit = _limit(used)
    for _, size, path in entries:
        if used + needed <= limit:
            return
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        used -= size


def _entries() -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, bytes and path of every entry; what a killed process left counts as well after a day."""
    for path in root().iterdir():
        with suppress(OSError):
            used = path.stat().st_mtime
            if not path.name.startswith(".") or time.time() - used > _DAY:
                files = path.rglob("*") if path.is_dir() else [path]
                yield used, sum(file.stat().st_size for file in files), path


def _limit(used: int) -> int:
    """Bytes that the entries may take."""
    text = os.environ.get("GANCLI_CACHE_GB")
    if not text:
        return (shutil.disk_usage(root()).free + used) // 2
    with suppress(ValueError):
        if 0 < float(text) < 1e9:
            return int(float(text) * 1e9)
    raise UsageError(f"GANCLI_CACHE_GB is '{text}'", "a number of gigabytes, as in 20")
