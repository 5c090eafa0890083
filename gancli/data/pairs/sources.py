"""Sources of image-to-image translation: the x of pairs (x, y), or the other domain of an unpaired set.

A recipe's ``data.source`` is the name of a degradation (``mosaic``, ``mask:0.4``) or of a style, which compute a source
from every image; ``split``, for files that show both side by side; ``domains``, for a folder with trainA/ (the sources)
and trainB/; or a second data set, by name or path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli.data.builtin.names import DATASETS
from gancli.data.folder import layout
from gancli.data.folder.files import open_source
from gancli.data.hub.fetching import path_of, pinned
from gancli.data.loading import load
from gancli.data.pairs import degradations
from gancli.data.pairs.styles import STYLES, halves, restyle
from gancli.data.paths import there
from gancli.data.pixels import convert
from gancli.data.types import Dataset, combined_fingerprint
from gancli.errors import UsageError, nearest
from gancli.hub.names import is_hub

SPLIT, DOMAINS = "split", "domains"
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
    if source.partition(":")[0] == SPLIT:
        return _halves(name, source, options)
    if source == DOMAINS:
        return _two((name, "B"), (name, "A"), paired, options)
    if degradation := degradations.parse(source):
        return _computed(_images(name, source, options), degradation.spoil, paired)
    if source in STYLES:
        return _computed(_images(name, source, options), partial(restyle, source), paired)
    if source not in DATASETS and not is_hub(source) and not there(source):
        known = [*degradations.KINDS, *STYLES, SPLIT, DOMAINS]
        raise UsageError(
            f"data.source = '{source}' is neither a degradation, a style, split, nor a folder or zip of images",
            nearest(source, known) or f"one of: {', '.join(known)}",
        )
    return _two((name, ""), (source, ""), paired, options)


def _images(name: str, source: str, options: dict[str, Any]) -> Dataset:
    """:func:`gancli.data.load` for images that have sources."""
    dataset = load(name, **options)
    if dataset.stream is not None:
        raise UsageError(
            f"data.source = '{source}': images in shards have no sources", "name folders or zips of images instead"
        )
    return dataset


def absolute(source: str) -> str:
    """A source as a recipe stores it: names as they are, a folder or zip by its absolute path, the Hub's by commit."""
    if is_hub(source):
        return pinned(source)
    path = Path(source).expanduser()
    known = source in DATASETS or source in STYLES or source.partition(":")[0] in (*degradations.KINDS, SPLIT, DOMAINS)
    return source if not source or known or not path.exists() else str(path.resolve())


def title(source: str) -> str:
    """A recipe's source without its path: names as they are, a folder as ``photos/``, unlike any name."""
    if not Path(source).is_absolute():
        return source
    return Path(source).name + ("" if Path(source).suffix else "/")


def _computed(dataset: Dataset, make: Callable[[Tensor], Tensor], paired: bool) -> Dataset:
    """Sources computed from the images. Without pairs, one half serves as images alone, the other as sources alone."""
    if paired:
        return replace(dataset, sources=make(dataset.images))
    here, there = halves(len(dataset.images))
    labels = None if dataset.labels is None else dataset.labels[here]
    return replace(dataset, images=dataset.images[here], labels=labels, sources=make(dataset.images[there]))


def side_of(name: str, source: str) -> str:
    """Which half of each file is the source: "left" or "right".

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
    """Cut joined images (N, C, H, 2 W) into images and sources, each (N, C, H, W); ``side`` is the source's."""
    left, right = (half.contiguous() for half in joined.chunk(2, dim=3))
    return (right, left) if side == "left" else (left, right)


def _halves(name: str, source: str, options: dict[str, Any]) -> Dataset:
    """Files that show source and image side by side, each half resized to the requested size."""
    side, size = side_of(name, source), options.get("size")
    if size is None:
        raise UsageError(f"data.source = '{source}' needs the size of a half", "as in `data.size=[64,64]`")
    # Cropping would cut different parts from the two halves.
    dataset = _images(name, source, options | {"size": (size[0], 2 * size[1]), "fit": "stretch"})
    images, sources = part(dataset.images, side)
    fingerprint = combined_fingerprint([dataset.fingerprint, side])
    return replace(dataset, images=images, sources=sources, fingerprint=fingerprint)


def _two(ours: tuple[str, str], theirs: tuple[str, str], paired: bool, options: dict[str, Any]) -> Dataset:
    """Two data sets, each by its name and its domain there; pairs are files of the same name."""
    dataset = _images(ours[0], theirs[0], options | {"domain": ours[1]})
    size = dataset.images.shape[2], dataset.images.shape[3]
    other = _images(theirs[0], theirs[0], options | {"size": size, "domain": theirs[1]})
    # Where one is grey and the other in colour, both become colour.
    channels = max(dataset.images.shape[1], other.images.shape[1])
    images, sources = (convert(each.images, size, channels, "crop", (0, 0, 0)) for each in (dataset, other))
    labels = dataset.labels
    if paired:
        first, second = _partners(ours, theirs, dataset, other)
        images, sources = images[first], sources[second]
        labels = None if labels is None else labels[first]
    return replace(
        dataset,
        images=images,
        labels=labels,
        sources=sources,
        fingerprint=combined_fingerprint([dataset.fingerprint, other.fingerprint]),
        skipped=(*dataset.skipped, *other.skipped),
    )


def _partners(
    ours: tuple[str, str], theirs: tuple[str, str], dataset: Dataset, other: Dataset
) -> tuple[Tensor, Tensor]:
    """The positions of the images and of the sources of all pairs, each int64 (N,).

    The partner of a file that cannot be decoded is left out.

    Raises:
        UsageError: a file has no partner, or a data set has no files.
    """
    name, source = (f"{which}, {domain}" if domain else which for which, domain in (ours, theirs))
    for which, _ in (ours, theirs):
        if which in DATASETS:
            raise UsageError(
                f"pairs are files of the same name, and '{which}' has no files",
                "name two folders, or add `data.paired=false`",
            )
    titles = [titles_of(which, dataset.split, domain) for which, domain in (ours, theirs)]
    check_partners((name, source), titles, "give both folders the same file names, or add `data.paired=false`")
    rows = []
    for each, found in zip((dataset, other), titles, strict=True):
        skipped = {one.name for one in each.skipped}
        decoded = [title for title, file in found.items() if file not in skipped]
        rows.append({title: row for row, title in enumerate(decoded)})
    both = [title for title in rows[0] if title in rows[1]]
    if not both:
        raise UsageError(
            f"no pair of '{name}' and '{source}' can be read", "`gancli data show` names what is wrong with them"
        )
    return torch.tensor([rows[0][title] for title in both]), torch.tensor([rows[1][title] for title in both])


def titles_of(name: str, split: str, domain: str = "") -> dict[str, str]:
    """The files of a folder or zip in their order: path without ending, and path.

    Raises:
        UsageError: two files differ in their ending alone.
    """
    source = open_source(path_of(name))
    files = layout.listing(source, split, domain).names
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
        found = [
            f"'{each}' alone has {', '.join(left[:LISTED])}" + (", …" if len(left) > LISTED else "")
            for each, left in zip(names, alone, strict=True)
            if left
        ]
        raise UsageError(f"not every file has a partner of its name: {'; '.join(found)}", hint)
