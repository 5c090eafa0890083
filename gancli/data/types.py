"""Types of data: the data set, what readers return, and how images are preprocessed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gancli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.holding_out import Split
    from gancli.data.shards.stream import Stream
    from gancli.data.synthetic import Formula

Progress = Callable[[str, int, int], None]
"""Called with the name of the task, how much of it is done, and the total (0: unknown)."""

Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")


def no_progress(task: str, done: int, total: int) -> None:
    """A :data:`Progress` that reports nothing."""


class NoHeldOutError(UsageError):
    """Images of which none are held out of training."""


@dataclass(frozen=True)
class View:
    """How images are preprocessed.

    Attributes:
        size: (height, width); None is the data's own.
        channels: 1, 3 or 4; None is the data's own.
        fit: how an image of another aspect ratio is brought to ``size``.
        background: (red, green, blue) from 0 to 255, below transparent pixels and around padded images; with four
            channels both stay transparent.
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
        splits: number of images of each split; {} where it is not known.
        left_out: number of files or folders that were never tried, by kind, as in ``{"HEIC": 3}``.
    """

    images: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    fingerprint: str = ""
    splits: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)


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
        splits: number of images of each split; {} where it is not known.
        left_out: number of files or folders that were never tried, by kind, as in ``{"HEIC": 3}``.
        licence: the terms of the data, where their makers state them; else empty.
        held_out: the images that were held out of these, or None.
        divided: which those are in the whole set, or None.
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
    splits: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    licence: str = ""
    held_out: Dataset | None = None
    divided: Split | None = None

    @property
    def count(self) -> int:
        """Images in the whole set."""
        return len(self.images) if self.stream is None else len(self.stream)

    @property
    def kind(self) -> str:
        """Grey, colour, or colour with alpha."""
        from gancli.alpha import KINDS, all_opaque, has_alpha

        opaque = " (all opaque: none is transparent anywhere)" if has_alpha(self.images) else ""
        return KINDS[self.images.shape[1]] + (opaque if opaque and all_opaque(self.images) else "")

    def summary(self) -> str:
        """One line: number, size, classes and splits of the images, and what was left out."""
        if self.formula is not None:
            return f"{self.name}: {self.formula.width} numbers a sample, drawn {self.formula.origin}"
        height, width = self.images.shape[2:]
        count, classes, splits = self.count, len(self.classes), dict(self.splits)
        facts = [f"{count:,} {'image' if count == 1 else 'images'} of {height}x{width}, {self.kind}"]
        if self.sources is not None and len(self.sources) != count:
            facts.append(f"{len(self.sources):,} sources")
        facts.append("no classes" if not classes else f"{classes} {'class' if classes == 1 else 'classes'}")
        if self.labels is not None and self.stream is None and classes:
            counts = self.labels.bincount(minlength=classes).tolist()
            if empty := [name for name, each in zip(self.classes, counts, strict=True) if not each]:
                facts.append(f"none of {', '.join(empty[:3])}{', …' if len(empty) > 3 else ''}")
        if self.held_out is not None and self.divided is not None:
            facts.append(f"{self.held_out.count:,} held out, in {self.divided.groups:,} groups of near-duplicates")
        elif splits:
            others = [f"{number:,} in the {split} split" for split, number in splits.items() if split != self.split]
            facts.append(others[0] if others else "no held-out split")
        left_out = {**self.left_out, **({"unusable files": len(self.skipped)} if self.skipped else {})}
        if left_out:
            facts.append("left out: " + ", ".join(f"{kind} {number:,}" for kind, number in left_out.items()))
        return f"{self.name}: {'; '.join(facts)}"


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
