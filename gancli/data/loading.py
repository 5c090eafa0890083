"""``load``: one way into every data set, whatever its name or place."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from gancli.data import synthetic
from gancli.data.builtin import reading
from gancli.data.builtin.names import DATASETS, LARGEST_SIDE, SPLITS
from gancli.data.folder import layout
from gancli.data.pixels import parse_colour, parse_fit
from gancli.data.shards.names import is_sharded
from gancli.data.shards.names import title as title_of_shards
from gancli.data.types import Formula, Prepared, Progress, Skipped, View, fingerprint_of
from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from gancli.data.shards.stream import Stream

__all__ = ["Dataset", "Formula", "Progress", "Skipped", "load"]


@dataclass(frozen=True)
class Dataset:
    """Images of one split, ready to be indexed in batches.

    Args:
        name: "mnist", or the folder's or the zip's name.
        split: "train" or "test".
        images: uint8 (N, C, H, W); resident, or backed by a memory map when too large for that.
        labels: int64 (N,), or None.
        classes: names of the classes, () when unlabelled.
        fingerprint: 16 hex digits of the SHA-256 over shape, pixels and labels.
        skipped: files left out, with the reason.
        formula: draws the data anew, where they are numbers; ``images`` is then float32 (N, 1, 1, width), an example.
        sources: uint8 (M, C, H, W), what images are made from, or None.
        stream: reads the images, where they lie in shards; ``images`` and ``labels`` are then examples.
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
    stream: "Stream | None" = None

    @property
    def count(self) -> int:
        """Images in the whole set."""
        return len(self.images) if self.stream is None else len(self.stream)


def load(
    name: str,
    *,
    split: str = "train",
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    background: str = "white",
    data_dir: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Dataset:
    """A data set by name, or the images of a folder, of a zip or of shards.

    Args:
        name: a name of :data:`gancli.data.DATASETS`, a path, or shards (see :mod:`gancli.data.shards.names`).
        split: "train" or "test".
        size: (height, width); None is the data's own: for a folder its most common size, at most 64 a side.
        channels: 1 or 3; None is the data's own: for a folder 1 when every image is grey, else 3.
        fit: how an image of another shape is brought to ``size``: "crop", "pad" or "stretch".
        background: the colour below transparent pixels and around padded images.
        data_dir: where named sets are looked for first, and downloaded to.
        progress: called with what is being done, how much of it is done, and of how much (0: unknown).

    Raises:
        UsageError: an unknown name, split or option, a folder without images, an extra that is not installed.
        GancliError: a download that failed, a damaged file of a named set.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split '{split}'", nearest(split, SPLITS))
    if channels not in (None, 1, 3):
        raise UsageError(f"images have 1 or 3 channels, not {channels}", "1 is grey, 3 is colour")
    if size is not None and not all(1 <= side <= LARGEST_SIDE for side in size):
        raise UsageError(f"{size[0]}x{size[1]} is not an image size", f"each side lies from 1 to {LARGEST_SIDE}")
    view = View(size, channels, parse_fit(fit), parse_colour(background))
    report = progress or (lambda what, done, total: None)
    if name in synthetic.FORMULAS:
        return _numbers(name, split, size, channels)
    if name in DATASETS:
        return _dataset(name, split, reading.load(DATASETS[name], split, view, data_dir, report))
    if is_sharded(name):
        # What it takes to fetch files is imported for those who do.
        from gancli.data.shards import stream

        read, made = stream.load(name, split, view, report)
        return replace(_dataset(title_of_shards(name), split, made), stream=read)
    path = Path(name).expanduser()
    # An empty name would be the current folder.
    if not name or not os.path.exists(path):  # noqa: PTH110 - unlike Path.exists, never raises
        raise UsageError(f"there is no data set '{name}'", _what_else(name))
    return _dataset(layout.title(path), split, layout.load(path, split, view, report))


def _numbers(name: str, split: str, size: tuple[int, int] | None, channels: int | None) -> Dataset:
    formula = synthetic.FORMULAS[name]
    if size not in (None, (1, formula.width)) or channels not in (None, 1):
        raise UsageError(f"'{name}' is {formula.width} numbers a sample, not images", "leave out size and channels")
    digits = synthetic.fingerprint(formula, split)
    return Dataset(name, split, synthetic.examples(formula, split), None, (), digits, formula=formula)


def _what_else(name: str) -> str:
    if "/" not in name and (close := get_close_matches(name.lower(), DATASETS, n=1, cutoff=0.6)):
        return f"did you mean '{close[0]}'?"
    return "a folder or a zip of images, or a name that 'gancli data list' shows"


def _dataset(name: str, split: str, made: Prepared) -> Dataset:
    fingerprint = made.fingerprint or fingerprint_of(made.images, made.labels)
    return Dataset(name, split, made.images, made.labels, made.classes, fingerprint, made.skipped)
