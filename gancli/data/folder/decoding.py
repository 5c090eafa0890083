"""Decode many image files into one array, on all cores, straight into the cache."""

import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from typing import IO, BinaryIO, TypeVar

import numpy as np
import torch

from gancli.data import cache
from gancli.data.folder import kinds
from gancli.data.folder.files import Listing, Source
from gancli.data.pixels import SMALLEST_SIDE, BadImageError, Range, Scale, decode, probe, value_range
from gancli.data.types import ImageSet, Progress, Skipped, View
from gancli.errors import UsageError, printable
from gancli.files import DRAWN

T = TypeVar("T")
Item = TypeVar("Item")

LONGEST_SIDE = 64
"""Pixels on the longer side to which the images of a folder are shrunk unless a size is requested."""
_CHUNK = 32
_HINTS = {
    "empty": "copy or download them again",
    "tiny": f"the shorter side of an image has {SMALLEST_SIDE} pixels or more",
    "HEIC needs `pip install 'gancli[heic]'`": "or convert them to JPEG, PNG or TIFF",
}
DRAWN_HERE = "pictures drawn by gancli"


def drawn_here(source: Source, name: str) -> bool:
    """Whether a file is a grid, plot or animation that gancli drew, which its metadata say."""
    try:
        with source.open(name) as file:
            return _is_drawn(file)
    except BadImageError:
        return False


def _is_drawn(file: BinaryIO) -> bool:
    head = file.read(2048)
    found = DRAWN in head
    if head[8:12] == b"WEBP":  # whose metadata come last
        file.seek(-min(512, file.seek(0, os.SEEK_END)), os.SEEK_END)
        found = DRAWN in file.read()
    file.seek(0)
    return found


def open_photo(source: Source, name: str) -> BinaryIO:
    """The bytes of an image; BadImageError when it cannot be read, or gancli drew it."""
    file = source.open(name)
    if _is_drawn(file):
        file.close()
        raise BadImageError("drawn by gancli, not a photo")
    return file


def prepare(source: Source, listing: Listing, view: View, progress: Progress) -> ImageSet:
    """Decode the listed images of a source, or take them from the cache when nothing has changed since.

    Args:
        source: a folder or zip.
        listing: its images and their labels.
        view: size, channels and preprocessing.
        progress: called with the number of files read.

    Raises:
        UsageError: none of the images can be decoded.
    """
    names = listing.names
    key = cache.digest(cache.FORMAT, source.stamp(), astuple(view), names, listing.labels, listing.classes)
    if cached := cache.find(key):
        return cached
    size, channels, bad = measure(source, names, view, progress)
    shape = (channels, *(view.size or capped(size)))
    try:
        return into_cache(key, source, listing, shape, view, bad, scale_of(source, progress), progress)
    except BadImageError:
        name, reason = map(printable, next(iter(bad.items())))
        raise UsageError(
            f"none of the {len(names):,} images of '{source.path.name}' can be read ({name}: {reason})",
            _HINTS.get(reason.partition(":")[0], "is it a folder or a zip of images?"),
        ) from None


def scale_of(source: Source, progress: Progress) -> Scale:
    """The scale of all images of more than 8 bits in a source, those of both splits."""

    def read(name: str) -> Range | None:
        with source.open(name) as file:
            return value_range(file)

    def ranges() -> Iterator[Range | BadImageError | None]:
        names = [name for name in source.names if not kinds.left_out_as(source, name)]
        return in_parallel(read, names, progress, "reading values")

    return Scale(ranges, source.path.name)


def into_cache(
    key: str,
    source: Source,
    listing: Listing,
    shape: tuple[int, int, int],
    view: View,
    bad: dict[str, str],
    scale: Scale,
    progress: Progress,
    prefix: str = "",
) -> ImageSet:
    """Decode images into the cache.

    Args:
        key: of the cache.
        source: of the files.
        listing: which files, and their labels.
        shape: (channels, height, width).
        view: how another aspect ratio and transparency are handled.
        bad: files to leave out, with the reason; gets those that cannot be decoded.
        scale: of images of more than 8 bits.
        progress: called with the number of files read.
        prefix: of the names of files that are left out.

    Raises:
        BadImageError: none of them can be decoded.
    """
    names, labels, classes = listing.names, listing.labels, listing.classes
    channels, *size = shape

    def read(index: int) -> np.ndarray:
        with open_photo(source, names[index]) as file:
            return decode(file, (size[0], size[1]), channels, view.fit, view.background, scale)

    def write(file: IO[bytes]) -> cache.Contents:
        good = [index for index, name in enumerate(names) if name not in bad]
        decoded = []
        for index, pixels in zip(good, in_parallel(read, good, progress, "decoding"), strict=True):
            if isinstance(pixels, BadImageError):
                bad[names[index]] = str(pixels)
            else:
                file.write(pixels.tobytes())
                decoded.append(index)
        if not decoded:
            raise BadImageError("none of them")
        targets = None if labels is None else torch.tensor([labels[index] for index in decoded])
        return targets, classes, tuple(Skipped(prefix + printable(name), printable(bad[name])) for name in sorted(bad))

    return cache.store(key, len(names), shape, write)


def capped(size: tuple[int, int]) -> tuple[int, int]:
    """A (height, width) shrunk, keeping its aspect ratio, so that no side exceeds :data:`LONGEST_SIDE`."""
    scale = min(1.0, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


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

    def read(name: str) -> tuple[tuple[int, int], bool, bool]:
        with open_photo(source, name) as file:
            return probe(file)

    for name, header in zip(names, in_parallel(read, names, progress, "reading sizes"), strict=True):
        if isinstance(header, BadImageError):
            bad[name] = str(header)
            continue
        size, grey, transparent = header
        sizes[size] += 1
        colour |= not grey or (transparent and not grey_background)
    # Of equally frequent sizes, the larger.
    own = max(sizes, key=lambda size: (sizes[size], size), default=(LONGEST_SIDE, LONGEST_SIDE))
    return view.size or own, view.channels or (3 if colour else 1), bad


def in_parallel(
    work: Callable[[Item], T], items: Sequence[Item], progress: Progress, task: str
) -> Iterator[T | BadImageError]:
    """``work(item)``, or the BadImageError that it raises, for each item on all cores, in order.

    PIL releases Python's lock while it decodes. Results are computed a few hundred images ahead at most.

    Args:
        work: called on any thread.
        items: what it is called with.
        progress: called with the number done.
        task: what the progress calls it.
    """

    def attempt(item: Item) -> T | BadImageError:
        try:
            return work(item)
        except BadImageError as error:
            return error

    # A file that PIL warns about is either decoded or left out with a reason. Filters hold for all threads.
    warnings.filterwarnings("ignore", module="PIL")
    workers = os.cpu_count() or 1
    pool, waiting, done = ThreadPoolExecutor(workers), deque(), 0
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    try:
        # The empty chunks at the end fetch the last results.
        for chunk in (*chunks, *[()] * 2 * workers):
            waiting.append(pool.submit(lambda chunk: list(map(attempt, chunk)), chunk))
            if len(waiting) > 2 * workers:
                results = waiting.popleft().result()
                yield from results
                done += len(results)
                progress(task, done, len(items))
    finally:
        pool.shutdown(cancel_futures=True)
