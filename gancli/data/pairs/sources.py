"""What images are made from: the sources of pairs x -> y, and the other folder of an unpaired set.

A recipe's ``data.source`` is the name of a degradation (``mosaic``, ``mask:0.4``) or of a style, which make a source of
every image; ``split``, for files that show both side by side; or a second data set, by name or place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.builtin.names import DATASETS
from gancli.data.folder import layout
from gancli.data.folder.decoding import LONGEST_SIDE, capped, common_size
from gancli.data.folder.files import open_source
from gancli.data.loading import Dataset, load
from gancli.data.pairs import degradations
from gancli.data.pairs.styles import STYLES, halves, restyle
from gancli.data.shards.names import is_sharded
from gancli.errors import UsageError, nearest

SPLIT = "split"
LISTED = 5
"""Files without a partner that an error names."""


def load_with_sources(name: str, source: str, paired: bool = True, **options: Any) -> Dataset:
    """A data set with the sources that a recipe names.

    Args:
        name: the data set, as for :func:`gancli.data.load`.
        source: a degradation or a style, ``split`` or ``split:right``, a second data set; empty for no sources.
        paired: whether source and image of one number belong together.
        options: those of :func:`gancli.data.load`.

    Raises:
        UsageError: an unknown source, files without a partner, or see :func:`gancli.data.load`.
    """
    if not source:
        return load(name, **options)
    if any(is_sharded(each) for each in (name, source)):
        raise UsageError(
            f"data.source = '{source}': images in shards have no sources", "name folders or zips of images instead"
        )
    if source.partition(":")[0] == SPLIT:
        return _halves(name, source, options)
    if degradation := degradations.parse(source):
        dataset = load(name, **options)
        return _made(dataset, degradation.spoil, paired)
    if source in STYLES:
        dataset = load(name, **options)
        return _made(dataset, partial(restyle, source), paired)
    if source not in DATASETS and not Path(source).expanduser().exists():
        known = [*degradations.KINDS, *STYLES, SPLIT]
        raise UsageError(
            f"data.source = '{source}' is neither a way to make sources nor a folder or zip of images",
            nearest(source, known) or f"one of: {', '.join(known)}",
        )
    return _two(name, source, paired, options)


def place(source: str) -> str:
    """A source as a recipe keeps it: names as they are, a folder or zip by its path from the root."""
    path = Path(source).expanduser()
    known = source in DATASETS or source in STYLES or source.partition(":")[0] in (*degradations.KINDS, SPLIT)
    return source if not source or known or not path.exists() else str(path.resolve())


def title(source: str) -> str:
    """A recipe's source without its place: names as they are, a folder as ``photos/``, which no name is like."""
    if not Path(source).is_absolute():
        return source
    return Path(source).name + ("" if Path(source).suffix else "/")


def _made(dataset: Dataset, make: Callable[[Tensor], Tensor], paired: bool) -> Dataset:
    """Sources made from the images themselves; where pairs are not wanted, one half is seen only as images and the
    other only as sources."""
    if paired:
        return replace(dataset, sources=make(dataset.images))
    here, there = halves(len(dataset.images))
    labels = None if dataset.labels is None else dataset.labels[here]
    return replace(dataset, images=dataset.images[here], labels=labels, sources=make(dataset.images[there]))


def side_of(name: str, source: str) -> str:
    """Which half of the files of a folder or zip is the source: "left" or "right".

    Raises:
        UsageError: another side, or a data set that has no files.
    """
    side = source.partition(":")[2] or "left"
    if side not in ("left", "right"):
        raise UsageError(
            f"data.source = '{source}': the source is the left half or the right one",
            "write split, or split:right",
        )
    if name in DATASETS:
        raise UsageError(
            f"data.source = '{source}' is for files that show two images side by side, and '{name}' is none of them",
            "name a folder or a zip of such files",
        )
    return side


def part(joined: Tensor, side: str) -> tuple[Tensor, Tensor]:
    """Images and their sources, each (N, C, H, W), from joined ones (N, C, H, 2 W) whose source is on that side."""
    left, right = (half.contiguous() for half in joined.chunk(2, dim=3))
    return (right, left) if side == "left" else (left, right)


def _halves(name: str, source: str, options: dict[str, Any]) -> Dataset:
    """Files that show source and image side by side, each half brought to the size wanted."""
    side = side_of(name, source)
    if size := options.get("size") or _half_size(name, options):
        # Cropping would cut other parts from the one half than from the other.
        options = options | {"size": (size[0], 2 * size[1]), "fit": "stretch"}
    dataset = load(name, **options)
    images, sources = part(dataset.images, side)
    return replace(dataset, images=images, sources=sources, fingerprint=_joined(dataset.fingerprint, side))


def _half_size(name: str, options: dict[str, Any]) -> tuple[int, int] | None:
    """The most common (height, width) of a half, shrunk as whole images are; None where there is nothing to read, of
    which :func:`load` says more.

    Raises:
        UsageError: files of an odd width that are not shrunk.
    """
    path = Path(name).expanduser()
    if not name or not os.path.exists(path):  # noqa: PTH110 - unlike Path.exists, never raises
        return None
    files = open_source(path)
    names = layout.listing(files, options.get("split", "train")).names
    own = common_size(files, names, options.get("progress") or (lambda what, done, total: None))
    if own is None:
        return None
    half = own[0], own[1] / 2
    if own[1] % 2 and max(half) <= LONGEST_SIDE:
        raise UsageError(
            f"the images of '{name}' are {own[1]} pixels wide, which has no two halves",
            "name the size of a half, as in --set data.size=[64,64]",
        )
    return capped(half)


def _two(name: str, source: str, paired: bool, options: dict[str, Any]) -> Dataset:
    """Two data sets; pairs are files of the same name."""
    dataset = load(name, **options)
    _, channels, height, width = dataset.images.shape
    alike: dict[str, Any] = options | {"size": (height, width)}
    other = load(source, **alike)
    if other.images.shape[1] != channels:  # one is grey and the other has colour: both are shown in colour
        alike["channels"] = 3
        dataset, other = load(name, **alike), load(source, **alike)
    images, sources, labels = dataset.images, other.images, dataset.labels
    if paired:
        first, second = _partners(name, source, dataset, other)
        images, sources = images[first], sources[second]
        labels = None if labels is None else labels[first]
    return replace(
        dataset,
        images=images,
        labels=labels,
        sources=sources,
        fingerprint=_joined(dataset.fingerprint, other.fingerprint),
        skipped=(*dataset.skipped, *other.skipped),
    )


def _partners(name: str, source: str, dataset: Dataset, other: Dataset) -> tuple[Tensor, Tensor]:
    """For every pair, where its image and where its source lies.

    A file that cannot be read takes its partner with it.

    Raises:
        UsageError: a file has no partner, or a data set has no files.
    """
    for which in (name, source):
        if which in DATASETS:
            raise UsageError(
                f"pairs are files of the same name, and '{which}' has no files",
                "name two folders, or add --set data.paired=false",
            )
    titles = [titles_of(which, dataset.split) for which in (name, source)]
    check_partners((name, source), titles, "give both folders the same file names, or add --set data.paired=false")
    kept = []
    for which, found in zip((dataset, other), titles, strict=True):
        left_out = {one.name for one in which.skipped}
        good = [title for title, file in found.items() if file not in left_out]
        kept.append({title: row for row, title in enumerate(good)})
    both = [title for title in kept[0] if title in kept[1]]
    if not both:
        raise UsageError(f"no pair of '{name}' and '{source}' can be read", "look at them with `gancli data show`")
    return torch.tensor([kept[0][title] for title in both]), torch.tensor([kept[1][title] for title in both])


def titles_of(name: str, split: str) -> dict[str, str]:
    """The files of a folder or zip in their order: path without ending, and path.

    Raises:
        UsageError: two files differ in their ending alone.
    """
    source = open_source(Path(name).expanduser())
    files = layout.listing(source, split).names
    shared = layout.common_folder(files)
    titles: dict[str, str] = {}
    for file in files:
        title = file[len(shared) :].rpartition(".")[0] or file[len(shared) :]
        if title in titles:
            raise UsageError(
                f"'{name}' has both '{titles[title]}' and '{file}': which is meant by '{title}'?", "rename one of them"
            )
        titles[title] = file
    return titles


def check_partners(names: Sequence[str], titles: Sequence[Mapping[str, str]], hint: str) -> None:
    """Make sure that two folders have files of the same titles.

    Args:
        names: of the folders, for the message.
        titles: of both, as :func:`titles_of` gives them.
        hint: what to do otherwise.

    Raises:
        UsageError: a file has no partner.
    """
    alone = [sorted(set(a) - set(b)) for a, b in (titles, titles[::-1])]
    if any(alone):
        told = "; ".join(
            f"'{which}' alone has {_listed(left)}" for which, left in zip(names, alone, strict=True) if left
        )
        raise UsageError(f"not every file has a partner of its name: {told}", hint)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:LISTED])
    return f"{shown} and {len(names) - LISTED:,} more" if len(names) > LISTED else shown


def _joined(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
