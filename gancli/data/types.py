"""What the readers of named sets, folders and zips hand over, and in what view it was asked for."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Generator, Tensor

from gancli.data.pixels import Fit
from gancli.errors import UsageError

#: Called with what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]

#: Where a container reads how much memory it may have.
CONTROL_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


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

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that a plot shows."""
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


def memory() -> int:
    """Bytes of memory that the machine has, or that the container may have."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        whole = 8 * 2**30
    return min([whole, *_limits_of_containers()])


def resident_limit() -> int:
    """Bytes up to which a data set is read into memory: a quarter of what there is.

    Beyond, files are mapped: the system keeps in memory what it has room for, and takes it back when others need it.
    """
    return memory() // 4


def check_room(count: int, channels: int, size: tuple[int, int]) -> None:
    """Make sure that images can be held in memory, before they are made.

    Raises:
        UsageError: they would take more than three quarters of it.
    """
    needed, room = count * channels * size[0] * size[1], 3 * memory() // 4
    if needed > room:
        raise UsageError(
            f"{count:,} images of {size[0]}x{size[1]} pixels take {needed / 2**30:,.1f} GiB of memory, and there are "
            f"{room / 2**30:,.1f}",
            "choose a smaller size, as in --set data.size=[64,64] or --size 64",
        )


def _limits_of_containers() -> list[int]:
    """Bytes that control groups (version 2, version 1) allow this process; whoever takes more is killed."""
    limits = []
    for file in CONTROL_GROUPS:
        # Not there, or the word "max".
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(file.read_text("ascii")))
    return limits
