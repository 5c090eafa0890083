"""Prepared images on disk: a folder of raw pixels, labels and one JSON, whole or not there at all."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancli.data import prepared
from gancli.data.places import cache_folder
from gancli.data.prepared import Prepared, Skipped

log = logging.getLogger("gancli")

#: Raised whenever the same files would give other pixels than before.
FORMAT = 1


def digest(*parts: Any) -> str:
    """16 hex digits that stand for these JSON values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def find(slot: str, key: str) -> Prepared | None:
    """The images prepared earlier under this key; None when there are none, or when they are damaged."""
    return _open(_root() / f"{slot}-{key}")


def _root() -> Path:
    return cache_folder() / "prepared"


def _open(folder: Path) -> Prepared | None:
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
        return Prepared(mapped(pixels, shape), labels, classes, skipped, str(facts["fingerprint"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mapped(path: Path, shape: tuple[int, ...], offset: int = 0) -> Tensor:
    """Raw uint8 pixels of a file: read when they fit the memory well, else mapped (copy on write, never written)."""
    if int(np.prod(shape, dtype=object)) <= prepared.resident_limit():
        count = int(np.prod(shape))
        return torch.from_numpy(np.fromfile(path, dtype=np.uint8, count=count, offset=offset)).view(shape)
    return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="c", offset=offset, shape=shape))


class Draft:
    """Room for N images while they are decoded: in the cache folder, or in memory when that cannot be written.

    ``pixels`` is the uint8 array (N, C, H, W) to fill; ``keep`` makes it permanent and gives it back.
    """

    def __init__(self, slot: str, key: str, shape: tuple[int, int, int, int]) -> None:
        self._slot, self._key = slot, key
        self._folder: Path | None = None
        try:
            _root().mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{slot}-", dir=_root()))
            self._reserve(self._folder / "pixels.bin", int(np.prod(shape, dtype=object)))
            self.pixels: np.ndarray = np.memmap(self._folder / "pixels.bin", np.uint8, "r+", shape=shape)
        except OSError as error:
            self.discard()
            prepared.check_room(shape[0], shape[1], (shape[2], shape[3]))
            log.warning("the cache folder %s cannot be used (%s): the images stay in memory", _root(), error.strerror)
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
        made = Prepared(images, labels, classes, skipped, prepared.fingerprint_of(images, labels))
        if self._folder is None:
            return made
        try:
            self._publish(made)
        except OSError as error:
            log.warning("the cache folder %s cannot be used (%s)", _root(), error.strerror)
            # The mapping stays valid although its file has no name any more.
            self.discard()
            return made
        return find(self._slot, self._key) or made

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
        final = _root() / f"{self._slot}-{self._key}"
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
        for old in _root().glob(f"{self._slot}-*"):
            if old != final:
                shutil.rmtree(old, ignore_errors=True)
        for left in _root().glob(f".{self._slot}-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > 86_400:
                    shutil.rmtree(left, ignore_errors=True)
