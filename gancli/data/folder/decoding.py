"""Many image files -> one array, on all cores, straight into the cache."""

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
from gancli.data.folder.files import Source
from gancli.data.pixels import BadImageError, decode, probe
from gancli.data.types import Prepared, Progress, Skipped, View
from gancli.errors import UsageError, printable

T = TypeVar("T")

#: Folders of photographs come at this many pixels on their longer side unless a size is asked for.
LONGEST_SIDE = 64
_CHUNK = 64


def prepare(
    source: Source,
    names: Sequence[str],
    labels: Sequence[int] | None,
    classes: tuple[str, ...],
    view: View,
    progress: Progress,
    title: str,
) -> Prepared:
    """The named images of a source in the wanted view, from the cache when nothing has changed since.

    Raises:
        UsageError: none of the images can be read.
    """
    wanted = (view.size, view.channels, view.fit, view.background)
    slot = cache.digest(str(source.path), title, wanted)
    key = cache.digest(cache.FORMAT, source.stamp(), list(names), labels, classes)
    if made := cache.find(slot, key):
        return made
    with strict_about_bombs():
        size, channels, bad = measure(source, names, view, progress)
        good = [index for index, name in enumerate(names) if name not in bad]
        draft = cache.Draft(slot, key, (max(len(good), 1), channels, *size))
        try:
            kept = fill(source, names, good, draft.pixels, view, bad, progress)
            if not kept:
                name, reason = map(printable, next(iter(bad.items())))
                raise UsageError(
                    f"none of the {len(names):,} images of '{source.path.name}' can be read ({name}: {reason})",
                    "is it a folder or a zip of images?",
                )
            targets = None if labels is None else torch.tensor([labels[index] for index in kept])
            skipped = tuple(Skipped(printable(name), printable(bad[name])) for name in sorted(bad))
            return draft.keep(len(kept), targets, classes, skipped)
        finally:
            draft.discard()


def common_size(source: Source, names: Sequence[str], progress: Progress) -> tuple[int, int] | None:
    """The most common (height, width) of the named images, by their headers; None where none can be read."""
    with strict_about_bombs():
        found = [header for _, header in _headers(source, names, progress) if not isinstance(header, str)]
    return _most_common(Counter(size for size, _, _ in found))


def capped(size: tuple[int, float]) -> tuple[int, int]:
    """A (height, width) shrunk with its aspect to :data:`LONGEST_SIDE` pixels on the longer side, if it is larger."""
    shrink = min(1.0, LONGEST_SIDE / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


@contextmanager
def strict_about_bombs() -> Generator[None]:
    """PIL's notes on odd files are silent, and an image of too many pixels is an error. Of the main thread alone."""
    with warnings.catch_warnings():
        # What PIL finds odd about a file ends either as an image or as a reason to leave it out.
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def measure(
    source: Source, names: Sequence[str], view: View, progress: Progress
) -> tuple[tuple[int, int], int, dict[str, str]]:
    """Size and number of channels, the data's own where the view leaves them open, and the files without a header."""
    bad: dict[str, str] = {}
    if view.size is not None and view.channels is not None:
        return view.size, view.channels, bad
    grey_background = len(set(view.background)) == 1
    sizes: Counter[tuple[int, int]] = Counter()
    colour = False
    for name, found in _headers(source, names, progress):
        if isinstance(found, str):
            bad[name] = found
            continue
        size, grey, transparent = found
        sizes[size] += 1
        colour |= not grey or (transparent and not grey_background)
    own = _most_common(sizes) or (LONGEST_SIDE, LONGEST_SIDE)
    return view.size or capped(own), view.channels or (3 if colour else 1), bad


def _headers(
    source: Source, names: Sequence[str], progress: Progress
) -> Iterator[tuple[str, tuple[tuple[int, int], bool, bool] | str]]:
    """Every name with what its header tells (see :func:`gancli.data.pixels.probe`), or why it cannot be read."""

    def look(index: int) -> tuple[str, tuple[tuple[int, int], bool, bool] | str]:
        try:
            with source.open(names[index]) as file:
                return names[index], probe(file)
        except BadImageError as error:
            return names[index], str(error)

    return _in_parallel(look, range(len(names)), progress, "reading sizes")


def _most_common(sizes: Counter[tuple[int, int]]) -> tuple[int, int] | None:
    """Of sizes that are as common, the larger; None of none."""
    return max(sizes, key=lambda size: (sizes[size], size), default=None)


def fill(
    source: Source,
    names: Sequence[str],
    good: Sequence[int],
    pixels: np.ndarray,
    view: View,
    bad: dict[str, str],
    progress: Progress,
) -> list[int]:
    """Decode ``names[i]`` for each i of ``good`` into ``pixels`` from the front, without gaps.

    Args:
        source: of the files.
        names: of files.
        good: which of them to decode.
        pixels: uint8 (N, C, H, W), to be filled.
        view: how.
        bad: is told which files give no image, and why.
        progress: is told how far it is.

    Returns:
        Which names the rows are.
    """
    channels, size = pixels.shape[1], (pixels.shape[2], pixels.shape[3])

    def work(row: int) -> tuple[int, str]:
        try:
            with source.open(names[good[row]]) as file:
                pixels[row] = decode(file, size, channels, view.fit, view.background)
            return row, ""
        except BadImageError as error:
            return row, str(error)

    kept: list[int] = []
    for row, reason in _in_parallel(work, range(len(good)), progress, "decoding"):
        if reason:
            bad[names[good[row]]] = reason
            continue
        if row != len(kept):
            pixels[len(kept)] = pixels[row]
        kept.append(good[row])
    return kept


def in_order(work: Callable[[int], T], count: int, progress: Progress, what: str) -> Iterator[T]:
    """``work(i)`` for i from 0 to ``count`` on all cores, in order; no more than a few hundred results wait."""
    for start in range(0, count, 8 * _CHUNK):
        block = range(start, min(start + 8 * _CHUNK, count))
        yield from _in_parallel(work, block, lambda what, done, total: None, what)
        progress(what, block.stop, count)


def _in_parallel(work: Callable[[int], T], indices: Sequence[int], progress: Progress, what: str) -> Iterator[T]:
    """``work(i)`` for each i on all cores, results in order; PIL lets go of Python's lock while it decodes."""
    chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        done = 0
        for results in pool.map(lambda chunk: [work(index) for index in chunk], chunks):
            yield from results
            done += len(results)
            progress(what, done, len(indices))
    finally:
        pool.shutdown(cancel_futures=True)
