"""Reads shards during training: each is decoded into the cache when it is requested."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

import torch
from filelock import FileLock

from gancli.data import cache
from gancli.data.folder import layout
from gancli.data.folder.decoding import capped, into_cache, measure
from gancli.data.folder.files import Listing
from gancli.data.pixels import BadImageError, Range, Scale, value_range
from gancli.data.shards import index_file
from gancli.data.shards.index_file import Index
from gancli.data.shards.names import expand, is_remote, of_split
from gancli.data.shards.tar import Tar
from gancli.data.types import ImageSet, Progress, Skipped, View, no_progress
from gancli.errors import GancliError, UsageError

log = logging.getLogger("gancli")

EXAMPLES = 10_000
"""Held-out images that are read into memory for evaluation."""


class Stream:
    """The decoded images of a set of shards.

    Args:
        paths: paths or addresses.
        index: what is in each; at least one image.
        view: with size and channels.

    Attributes:
        counts: images in each shard.
        shape: (channels, height, width).
        fingerprint: 16 hex digits over what is in each shard and the view.
    """

    def __init__(self, paths: Sequence[str], index: Index, view: View) -> None:
        assert view.size
        assert view.channels
        self.paths, self.shards, self.classes, self.view = tuple(paths), index.shards, index.classes, view
        self.counts = tuple(each.images for each in self.shards)
        self.shape = (view.channels, *view.size)
        self._view = astuple(view)
        self.fingerprint = cache.digest(
            [(each.images, each.fingerprint) for each in self.shards], self.classes, self._view
        )
        self._scale = Scale(self._ranges)
        self._decoding = threading.Lock()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Images in all shards."""
        return sum(self.counts)

    def request(self, number: int) -> Future[ImageSet]:
        """Decode a shard on a background thread, after those requested before; see :meth:`get`."""
        future: Future[ImageSet] = Future()
        # Not an executor: the interpreter would wait at its end for downloads that nothing needs any more.
        self._thread = threading.Thread(target=self._serve, args=(number, future, self._thread), daemon=True)
        self._thread.start()
        return future

    def _serve(self, number: int, future: Future[ImageSet], before: threading.Thread | None) -> None:
        """Decode a shard after the thread of the request before."""
        if before is not None:
            before.join()
        try:
            future.set_result(self.get(number))
        except BaseException as error:  # raised again by future.result()
            future.set_exception(error)

    def get(self, number: int, progress: Progress = no_progress) -> ImageSet:
        """One shard: its images uint8 (N, C, H, W), memory-mapped, and labels int64 (N,) or None.

        N is less than ``counts[number]`` where images cannot be decoded: row ``i % N`` then replaces row i.

        Raises:
            UsageError: it no longer exists.
            GancliError: it is not what the index says, cannot be downloaded, or has no image that can be decoded.
        """
        path, shard = self.paths[number], self.shards[number]
        key = cache.digest(cache.FORMAT, path, self._view, shard.fingerprint, self.classes, self.shards[0].fingerprint)
        with self._decoding, _locked(path):
            if (found := cache.find(key)) is not None:
                return found
            tar = self._open(number, progress)
            if tar.fingerprint != shard.fingerprint:
                raise GancliError(
                    f"the shard '{shard.name}' has changed, or is not the one of its index",
                    "bring shards and index.json to the same state (`gancli data index`), and start a new run",
                )
            return self._decode(tar, key, progress, shard.name)

    def _open(self, number: int, progress: Progress) -> Tar:
        local = index_file.local_path(self.paths[number], self.shards[number], progress)
        tar = Tar(local)
        if is_remote(self.paths[number]):  # the tar stays open, and then only the decoded images are needed
            with suppress(OSError):
                local.unlink()
        return tar

    def _ranges(self) -> Iterator[Range | None]:
        """Values of images of more than 8 bits in the first shard, which decides for all."""
        tar = self._open(0, no_progress)
        for name in tar.names:
            with suppress(BadImageError):
                yield value_range(tar.open(name))

    def _decode(self, tar: Tar, key: str, progress: Progress, name: str) -> ImageSet:
        known = range(len(self.classes))
        labels = [-1 if label is None else label for label in tar.labels]
        wrong = [image for image, label in zip(tar.names, labels, strict=True) if self.classes and label not in known]
        bad = dict.fromkeys(wrong, "no class of the set")
        listing = Listing(tar.names, labels if self.classes else None, self.classes)
        with suppress(BadImageError):
            made = into_cache(key, tar, listing, self.shape, self.view, bad, self._scale, progress, f"{name}: ")
            if bad:
                log.warning("%s; others of the shard replace them", _unusable(name, tar, bad))
            return made
        raise GancliError(_unusable(name, tar, bad), "leave the shard out, or make it again")


def _unusable(name: str, tar: Tar, bad: dict[str, str]) -> str:
    image, reason = next(iter(bad.items()))
    return f"{name}: {len(bad):,} of {len(tar.names):,} images cannot be used ({image}: {reason})"


@contextmanager
def _locked(path: str) -> Generator[None]:
    """Keep other processes from downloading and decoding the same shard; they find it in the cache afterwards."""
    lock = FileLock(cache.root() / f".{cache.digest(path)}.lock")
    with suppress(OSError, NotImplementedError):  # a cache folder that cannot be written or locked
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def archive(name: str) -> Tar | None:
    """A single tar on this machine that holds folders of images or a table of labels, as a zip does, instead of
    numbered classes; else None.

    Raises:
        UsageError: see :func:`gancli.data.shards.names.expand`; or it cannot be read.
    """
    paths = expand(name)
    if len(paths) > 1 or is_remote(paths[0]) or Path(paths[0]).with_name(index_file.INDEX).exists():
        return None
    tar = Tar(Path(paths[0]))
    if not tar.names or any(label is not None for label in tar.labels):
        return None
    if not tar.tables and not layout.has_folders(tar):
        return None
    tar.names += tar.tables
    return tar


def load(name: str, split: str, view: View, progress: Progress) -> tuple[Stream, ImageSet]:
    """The shards of a split, and some of its images as examples.

    The examples are the images of the first shard; of the held-out split they are :data:`EXAMPLES` images, for
    evaluation.

    Raises:
        UsageError: an unknown name, no such split, no image.
        GancliError: a shard that cannot be downloaded.
    """
    paths = of_split(expand(name), split, name)
    index = index_file.index_of(paths, progress)
    used = [(path, shard) for path, shard in zip(paths, index.shards, strict=True) if shard.images]
    if not used:
        reason = f" ({index.skipped[0].name}: {index.skipped[0].reason})" if index.skipped else ""
        raise UsageError(f"no image in any shard of '{name}'{reason}", "members are key.jpg, .png, .webp")
    if view.size is None or view.channels is None:
        tar = Tar(index_file.local_path(*used[0], progress))
        size, channels, _ = measure(tar, tar.names, view, progress)
        view = View(view.size or capped(size), channels, view.fit, view.background)
    full = index.model_copy(update={"shards": tuple(shard for _, shard in used)})
    stream = Stream([path for path, _ in used], full, view)
    return stream, _examples(stream, split, index.skipped, progress)


def _examples(stream: Stream, split: str, skipped: tuple[Skipped, ...], progress: Progress) -> ImageSet:
    found: list[ImageSet] = []
    needed = EXAMPLES if split == "test" else 1
    while len(found) < len(stream.counts) and sum(len(each.images) for each in found) < needed:
        found.append(stream.get(len(found), progress))
    skipped = (*skipped, *(one for each in found for one in each.skipped))
    images = torch.cat([each.images for each in found])[:EXAMPLES]
    labels = (
        torch.cat([each.labels for each in found if each.labels is not None])[:EXAMPLES] if stream.classes else None
    )
    return ImageSet(images, labels, stream.classes, skipped, stream.fingerprint)
