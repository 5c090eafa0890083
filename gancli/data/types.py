"""Types of data: the data set, what readers return, and how images are preprocessed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.shards.stream import Stream
    from gancli.data.synthetic import Formula

Progress = Callable[[str, int, int], None]
"""Called with the name of the task, how much of it is done, and the total (0: unknown)."""

Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")


def no_progress(task: str, done: int, total: int) -> None:
    """A :data:`Progress` that reports nothing."""


@dataclass(frozen=True)
class View:
    """How images are preprocessed.

    Attributes:
        size: (height, width); None is the data's own.
        channels: 1 or 3; None is the data's own.
        fit: how an image of another aspect ratio is brought to ``size``.
        background: (red, green, blue) from 0 to 255, below transparent pixels and around padded images.
    """

    size: tuple[int, int] | None
    channels: int | None
    fit: Fit
    background: tuple[int, int, int]


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class ImageSet:
    """What a reader returns: decoded images of one split.

    Attributes:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), or None.
        classes: names of the classes in the order of the labels; () when unlabelled.
        skipped: files left out.
        fingerprint: of images and labels; "" where it has not been computed.
    """

    images: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True)
class Dataset:
    """One split of a data set, ready to be indexed in batches.

    Args:
        name: "mnist", or the name of the folder or zip.
        split: "train" or "test".
        images: uint8 (N, C, H, W); in memory, or a memory map when too large for that.
        labels: int64 (N,), or None.
        classes: names of the classes in the order of the labels; () when unlabelled.
        fingerprint: 16 hex digits of the SHA-256 over shape, pixels and labels.
        skipped: files left out, with the reason.
        formula: draws fresh rows of numbers; ``images`` is then float32 (N, 1, 1, width), fixed examples.
        sources: uint8 (M, C, H, W), the inputs of an image translation, or None.
        stream: decodes the images of tar shards; ``images`` and ``labels`` are then examples.
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    fingerprint: str
    skipped: tuple[Skipped, ...] = ()
    formula: Formula | None = None
    sources: Tensor | None = None
    stream: Stream | None = None

    @property
    def count(self) -> int:
        """Images in the whole set."""
        return len(self.images) if self.stream is None else len(self.stream)


def fingerprint_of(images: Tensor, labels: Tensor | None) -> str:
    """The first 16 hex digits of the SHA-256 over shape, pixels and labels.

    Args:
        images: uint8 (N, C, H, W), or float32 numbers in that layout.
        labels: int64 (N,), or None.
    """
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for block in images.split(4096):
        digest.update(block.contiguous().numpy())
    if labels is not None:
        digest.update(labels.numpy().astype("<i8"))
    return digest.hexdigest()[:16]


def combined_fingerprint(parts: Sequence[str]) -> str:
    """16 hex digits that stand for several fingerprints or words in this order."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
