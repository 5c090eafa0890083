"""What the readers of named sets, folders and zips hand over, and in what view it was asked for."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from gancli.data.pixels import Fit

#: Called with what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class View:
    """How the images are wanted; None is the data's own."""

    size: tuple[int, int] | None
    channels: int | None
    fit: Fit
    background: tuple[int, int, int]


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    reason: str


class Formula(Protocol):
    """Data made by a formula: rows of numbers instead of images."""

    @property
    def name(self) -> str:
        """What the data set is called."""
        ...

    @property
    def width(self) -> int:
        """Numbers in a row."""
        ...

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Fresh rows: float32 (count, width), decided by the generator alone."""
        ...


@dataclass(frozen=True)
class Prepared:
    """Images uint8 (N, C, H, W) with labels int64 (N,) or None; the fingerprint is "" until somebody asks."""

    images: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    fingerprint: str = ""


def fingerprint_of(images: Tensor, labels: Tensor | None) -> str:
    """The first 16 hex digits of the SHA-256 over shape, pixels (block by block) and labels."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for block in images.split(4096):
        digest.update(block.contiguous().numpy())
    if labels is not None:
        digest.update(labels.numpy().astype("<i8"))
    return digest.hexdigest()[:16]


def resident_limit() -> int:
    """Bytes up to which a data set is read into memory: a quarter of what the machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (AttributeError, OSError, ValueError):
        return 2 * 2**30
