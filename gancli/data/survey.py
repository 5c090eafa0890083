"""What should be known of the images of a folder or zip before training: copies, odd sizes, the balance of classes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gancli.data import duplicates
from gancli.data.folder import layout
from gancli.data.folder.decoding import in_parallel, open_photo
from gancli.data.folder.files import open_source
from gancli.data.pixels import BadImageError, probe
from gancli.data.types import Dataset, Progress
from gancli.errors import printable

MOST = 20_000
"""Images among which near-duplicates are searched, since the time is quadratic in their number."""
ODD = 1.5
"""An aspect ratio that differs by this factor from the training's loses a third of the image when cropped."""
NAMED = 3


def survey(dataset: Dataset, path: Path, progress: Progress) -> dict[str, Any]:
    """Numbers and example names, as plain JSON.

    Args:
        dataset: the images of the folder or zip.
        path: of it.
        progress: called with the task, how much of it is done, and the total.

    Returns:
        ``copies``: images with the same pixels as one before. ``near_duplicates``: their groups, with the first names
        of the largest; absent above 20,000 images. ``odd_shapes``: images whose aspect ratio is far from the
        training's. ``small``: images below the training's size. ``balance``: smallest and largest class.
    """
    logging.disable(logging.WARNING)  # loading has warned of the same files
    try:
        source = open_source(path)
    finally:
        logging.disable(logging.NOTSET)
    left_out = {one.name for one in dataset.skipped}
    names = [name for name in layout.listing(source, dataset.split).names if printable(name) not in left_out]
    if len(names) != dataset.count:  # files have come or gone meanwhile
        return {}
    found: dict[str, Any] = {}
    first = duplicates.copies(dataset.images).tolist()
    again = [index for index, one in enumerate(first) if one != index]
    found["copies"] = {
        "images": len(again),
        "examples": _named(names, [i for at in again[:1] for i in (first[at], at)]),
    }
    if len(first) <= MOST:
        found["near_duplicates"] = _groups(dataset, names, progress)

    def size(name: str) -> tuple[int, int]:
        with open_photo(source, name) as file:
            return probe(file)[0]

    height, width = dataset.images.shape[2:]
    odd, small = [], []
    for name, sides in zip(names, in_parallel(size, names, progress, "reading sizes"), strict=True):
        if isinstance(sides, BadImageError):
            continue
        ratio = sides[1] * height / (sides[0] * width)
        shown = f"{printable(name)} ({sides[0]}x{sides[1]})"
        odd += [shown] if max(ratio, 1 / ratio) > ODD else []
        small += [shown] if sides[0] < height or sides[1] < width else []
    for key, those in (("odd_shapes", odd), ("small", small)):
        found[key] = {"images": len(those), "examples": those[:NAMED]}
    if dataset.labels is not None and dataset.classes:
        counts = dataset.labels.bincount(minlength=len(dataset.classes)).tolist()
        few, many = min(counts), max(counts)
        found["balance"] = {dataset.classes[counts.index(each)]: each for each in (few, many)}
    return found


def _groups(dataset: Dataset, names: Sequence[str], progress: Progress) -> dict[str, Any]:
    _, numbers, counts = duplicates.groups(dataset.images, progress).unique(return_inverse=True, return_counts=True)
    several = counts > 1
    examples: list[int] = []
    if bool(several.any()):
        largest = int(counts.argmax())
        examples = (numbers == largest).nonzero().flatten()[:NAMED].tolist()
    return {
        "groups": int(several.sum()),
        "images": int(counts[several].sum()),
        "largest": int(counts.max()),
        "examples": _named(names, examples),
    }


def _named(names: Sequence[str], positions: Sequence[int]) -> list[str]:
    return [printable(names[position]) for position in positions]
