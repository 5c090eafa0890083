"""Decode many image files into one array, on all cores, straight into the cache."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from gancli.data import cache
from gancli.data.folder.files import Listing, Source
from gancli.data.pixels import BadImageError, decode, probe
from gancli.data.types import ImageSet, Progress, Skipped, View
from gancli.errors import UsageError, printable

T = TypeVar("T")

LONGEST_SIDE = 64
"""Pixels on the longer side to which the images of a folder are shrunk unless a size is requested."""
_CHUNK = 64


def prepare(source: Source, listing: Listing, view: View, progress: Progress, split: str) -> ImageSet:
    """Decode the listed images of a source, or take them from the cache when nothing has changed since.

    Args:
        source: a folder or zip.
        listing: its images and their labels.
        view: size, channels and preprocessing.
        progress: called with the number of files read.
        split: which the images are; each split has its own entry in the cache.

    Raises:
        UsageError: none of the images can be decoded.
    """
    names, labels, classes = listing.names, listing.labels, listing.classes
    slot = cache.digest(str(source.path), split, (view.size, view.channels, view.fit, view.background))
    key = cache.digest(cache.FORMAT, source.stamp(), names, labels, classes)
    if cached := cache.find(slot, key):
        return cached
    with strict_about_bombs():
        size, channels, bad = measure(source, names, view, progress)
        entry = slot, key, cache.PREPARED
        made = into_cache(entry, source, listing, (channels, *(view.size or capped(size))), view, bad, progress)
    if made is None:
        name, reason = map(printable, next(iter(bad.items())))
        raise UsageError(
            f"none of the {len(names):,} images of '{source.path.name}' can be read ({name}: {reason})",
            "is it a folder or a zip of images?",
        )
    return made


def into_cache(
    entry: tuple[str, str, cache.Pool],
    source: Source,
    listing: Listing,
    shape: tuple[int, int, int],
    view: View,
    bad: dict[str, str],
    progress: Progress,
    prefix: str = "",
) -> ImageSet | None:
    """Decode images into the cache; None where none can be decoded.

    Args:
        entry: slot, key and pool of the cache.
        source: of the files.
        listing: which files, and their labels.
        shape: (channels, height, width).
        view: how another aspect ratio and transparency are handled.
        bad: files to leave out, with the reason; gets those that cannot be decoded.
        progress: called with the number of files read.
        prefix: of the names of files that are left out.
    """
    names, labels = listing.names, listing.labels
    good = [index for index, name in enumerate(names) if name not in bad]
    slot, key, pool = entry
    draft = cache.Draft(slot, key, (max(len(good), 1), *shape), pool)
    try:
        decoded = fill(source, names, good, draft.pixels, view, bad, progress)
        if not decoded:
            return None
        targets = None if labels is None else torch.tensor([labels[index] for index in decoded])
        skipped = tuple(Skipped(prefix + printable(name), printable(bad[name])) for name in sorted(bad))
        return draft.commit(len(decoded), targets, listing.classes, skipped)
    finally:
        draft.discard()


def capped(size: tuple[int, float]) -> tuple[int, int]:
    """A (height, width) shrunk, keeping its aspect ratio, so that no side exceeds :data:`LONGEST_SIDE`."""
    scale = min(1.0, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@contextmanager
def strict_about_bombs() -> Generator[None]:
    """Silence PIL's other warnings, and make an image of too many pixels an error. For the main thread only."""
    with warnings.catch_warnings():
        # A file that PIL warns about is either decoded or skipped with a reason.
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def measure(
    source: Source, names: Sequence[str], view: View, progress: Progress
) -> tuple[tuple[int, int], int, dict[str, str]]:
    """Size and number of channels: the view's, or the most common of the data where the view leaves them open.

    Returns:
        (height, width), which may be any, channels, and the files without a readable header with the reason.
    """
    bad: dict[str, str] = {}
    if view.size is not None and view.channels is not None:
        return view.size, view.channels, bad
    grey_background = len(set(view.background)) == 1
    sizes: Counter[tuple[int, int]] = Counter()
    colour = False

    def read(index: int) -> tuple[tuple[int, int], bool, bool]:
        with source.open(names[index]) as file:
            return probe(file)

    for name, header in zip(names, in_parallel(read, len(names), progress, "reading sizes"), strict=True):
        if isinstance(header, BadImageError):
            bad[name] = str(header)
            continue
        size, grey, transparent = header
        sizes[size] += 1
        colour |= not grey or (transparent and not grey_background)
    # Of equally frequent sizes, the larger.
    own = max(sizes, key=lambda size: (sizes[size], size), default=(LONGEST_SIDE, LONGEST_SIDE))
    return view.size or own, view.channels or (3 if colour else 1), bad


def fill(
    source: Source,
    names: Sequence[str],
    good: Sequence[int],
    pixels: np.ndarray,
    view: View,
    bad: dict[str, str],
    progress: Progress,
) -> list[int]:
    """Decode ``names[i]`` for each i of ``good`` into the first rows of ``pixels``, without gaps.

    Args:
        source: of the files.
        names: of files.
        good: which of them to decode.
        pixels: uint8 (N, C, H, W), written to.
        view: how another aspect ratio and transparency are handled.
        bad: gets the files that cannot be decoded, and the reason.
        progress: called with the number of files read.

    Returns:
        For every row, its index in ``names``.
    """
    channels, size = pixels.shape[1], (pixels.shape[2], pixels.shape[3])

    def work(row: int) -> None:
        with source.open(names[good[row]]) as file:
            pixels[row] = decode(file, size, channels, view.fit, view.background)

    decoded: list[int] = []
    for row, error in enumerate(in_parallel(work, len(good), progress, "decoding")):
        if error is not None:
            bad[names[good[row]]] = str(error)
            continue
        if row != len(decoded):
            pixels[len(decoded)] = pixels[row]
        decoded.append(good[row])
    return decoded


def in_parallel(
    work: Callable[[int], T], count: int, progress: Progress, task: str, block: int = 2**30
) -> Iterator[T | BadImageError]:
    """``work(i)``, or the BadImageError that it raises, for i from 0 to ``count`` on all cores, in order.

    PIL releases Python's lock while it decodes.

    Args:
        work: called on any thread.
        count: number of calls.
        progress: called with the number done.
        task: what the progress calls it.
        block: results computed ahead of the consumer at most.
    """

    def attempt(index: int) -> T | BadImageError:
        try:
            return work(index)
        except BadImageError as error:
            return error

    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        for first in range(0, count, block):
            end = min(first + block, count)
            chunks = [range(start, min(start + _CHUNK, end)) for start in range(first, end, _CHUNK)]
            for chunk, results in zip(chunks, pool.map(lambda chunk: list(map(attempt, chunk)), chunks), strict=True):
                yield from results
                progress(task, chunk.stop, count)
    finally:
        pool.shutdown(cancel_futures=True)
