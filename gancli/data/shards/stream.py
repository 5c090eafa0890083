"""Shards as training reads them: decoded into the cache as they are asked for, a few at a time."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import torch
from torch import Tensor

from gancli.data import cache
from gancli.data.folder.decoding import fill, measure, strict_about_bombs
from gancli.data.shards import index_file
from gancli.data.shards.index_file import POOL, Shard
from gancli.data.shards.names import expand, is_remote, of_split
from gancli.data.shards.tar import Tar
from gancli.data.types import Prepared, Progress, Skipped, View
from gancli.errors import GancliError, UsageError

log = logging.getLogger("gancli")

EXAMPLES = 10_000
"""Held-out images that are read into memory, to judge by."""


class Stream:
    """The decoded images of a set of shards.

    Args:
        places: paths or addresses.
        known: what is in each; at least one image.
        classes: names of the classes; () for images without.
        view: how the images are wanted, with size and channels.
        looked: the cached file that this may be known from; it goes when a shard turns out to be another.

    Attributes:
        counts: images in each shard.
        shape: (channels, height, width).
        fingerprint: 16 hex digits over what is in each shard and the view.
    """

    def __init__(
        self,
        places: Sequence[str],
        known: Sequence[Shard],
        classes: tuple[str, ...],
        view: View,
        looked: Path | None = None,
    ) -> None:
        assert view.size is not None
        assert view.channels is not None
        self.places, self.known, self.classes, self.view = tuple(places), tuple(known), classes, view
        self._looked = looked
        self.counts = tuple(each.images for each in known)
        self.shape = (view.channels, *view.size)
        self._view = (view.size, view.channels, view.fit, view.background)
        self.fingerprint = cache.digest([(each.images, each.fingerprint) for each in known], classes, self._view)
        self._making = threading.Lock()
        self._futures: weakref.WeakValueDictionary[int, Future[Prepared]] = weakref.WeakValueDictionary()
        self._asked: queue.SimpleQueue[tuple[int, weakref.ref[Future[Prepared]]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Shards are decoded beside the main thread, and what warnings do is the whole process'.
        warnings.filterwarnings("ignore", module="PIL")

    def __len__(self) -> int:
        """Images in all shards."""
        return sum(self.counts)

    def ask(self, number: int) -> Future[Prepared]:
        """A shard, decoded on a thread of its own; nobody holds it but who asked.

        Images that cannot be read have no row: see :meth:`get`.
        """
        future = self._futures.get(number)
        if future is None or (future.done() and future.exception() is not None):
            self._futures[number] = future = Future()
            self._asked.put((number, weakref.ref(future)))
        if self._thread is None:
            self._thread = threading.Thread(target=_serve, args=(self._asked, weakref.ref(self)), daemon=True)
            self._thread.start()
            # It waits for nothing else, and would wait for ever.
            weakref.finalize(self, self._asked.put, None)
        return future

    def get(self, number: int, progress: Progress = lambda what, done, total: None) -> Prepared:
        """A shard: its images uint8 (N, C, H, W), mapped, and labels int64 (N,) or None.

        N may be less than ``counts[number]`` where images cannot be read: row ``i % N`` then stands in for row i.

        Raises:
            UsageError: it is no longer there.
            GancliError: it is not what the index says, cannot be fetched, or has no image that can be read.
        """
        place, known = self.places[number], self.known[number]
        slot = cache.digest(place, self._view)
        key = cache.digest(cache.FORMAT, known.fingerprint, self.classes)
        with self._making:
            if (found := cache.find(slot, key, POOL)) is not None:
                cache.touch(POOL, slot, key)
                return found
            tar = _opened(place, known, progress)
            if tar.fingerprint != known.fingerprint:
                path = tar.path
                del tar  # an open file stays on some systems
                raise self._another(known, path if is_remote(place) else None)
            made = self._decode(tar, known, slot, key, progress)
            if is_remote(place):
                path = tar.path
                del tar
                with contextlib.suppress(OSError):  # another process has done so, or still reads it
                    path.unlink()  # the images are what is needed from now on
            return made

    def _another(self, known: Shard, fetched: Path | None) -> GancliError:
        """A shard has changed: what the cache has of one from elsewhere must not stand in the way of a new start."""
        for path in (self._looked, fetched) if fetched else ():
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
        return GancliError(
            f"the shard '{known.name}' is not what it was, or not what its index tells of",
            "bring shards and index.json to the same state (gancli data index), and start a new run",
        )

    def _decode(self, tar: Tar, known: Shard, slot: str, key: str, progress: Progress) -> Prepared:
        bad = {}
        if self.classes:
            faulty = [label is None or label >= len(self.classes) for label in tar.labels]
            bad = {name: "no class of the set" for name, wrong in zip(tar.names, faulty, strict=True) if wrong}
        good = [index for index, name in enumerate(tar.names) if name not in bad]
        shape = (max(len(good), 1), *self.shape)
        cache.make_room(POOL, shape[0] * shape[1] * shape[2] * shape[3])
        draft = cache.Draft(slot, key, shape, POOL)
        try:
            kept = fill(tar, tar.names, good, draft.pixels, self.view, bad, progress)
            if bad:
                name, reason = next(iter(bad.items()))
                told = f"{known.name}: {len(bad):,} of {len(tar.names):,} images cannot be used ({name}: {reason})"
                if not kept:
                    raise GancliError(told, "leave the shard out, or make it again")
                log.warning("%s; others of the shard stand in for them", told)
            labels = torch.tensor([tar.labels[index] for index in kept]) if self.classes else None
            skipped = tuple(Skipped(f"{known.name}: {name}", reason) for name, reason in bad.items())
            return draft.keep(len(kept), labels, self.classes, skipped)
        finally:
            draft.discard()


def _opened(place: str, known: Shard, progress: Progress) -> Tar:
    while True:
        path = index_file.local(place, known, progress)
        before = _written(path)
        try:
            return Tar(path)
        except UsageError:
            # Another process that was done with a fetched one has removed it, and a third may have fetched it again.
            if not is_remote(place) or (before is not None and before == _written(path)):
                raise


def _written(path: Path) -> int | None:
    """When a file was, in nanoseconds; None where it is not there."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns
    return None


def _serve(
    asked: queue.SimpleQueue[tuple[int, weakref.ref[Future[Prepared]]] | None], owner: weakref.ref[Stream]
) -> None:
    """Make what was asked for and is still wanted, one after the other."""
    while (item := asked.get()) is not None:
        number, waiting = item
        stream = owner()
        if stream is None:
            return
        # Nothing is done for somebody who has gone on already.
        if (future := waiting()) is not None:
            try:
                future.set_result(stream.get(number))
            except BaseException as error:  # told to whoever waits
                future.set_exception(error)
        del stream, future


def load(name: str, split: str, view: View, progress: Progress) -> tuple[Stream, Prepared]:
    """The shards of a split, and some of its images to look at.

    The examples are those of the first shard; of the held-out split, which models are judged by, 10,000 images.

    Raises:
        UsageError: nothing is called so, no such split, no image.
        GancliError: a shard that cannot be fetched.
    """
    places = of_split(expand(name), split, name)
    index = index_file.index_of(places, progress)
    used = [(place, shard) for place, shard in zip(places, index.shards, strict=True) if shard.images]
    if not used:
        reason = f" ({index.skipped[0].name}: {index.skipped[0].reason})" if index.skipped else ""
        raise UsageError(f"no image in any shard of '{name}'{reason}", "members are key.jpg, .png, .webp")
    if view.size is None or view.channels is None:
        tar = Tar(index_file.local(*used[0], progress))
        with strict_about_bombs():
            size, channels, _ = measure(tar, tar.names, view, progress)
        view = View(size, channels, view.fit, view.background)
    looked = index_file.index_path(places)
    stream = Stream([place for place, _ in used], [shard for _, shard in used], index.classes, view, looked)
    return stream, _examples(stream, split, index.skipped, progress)


def _examples(stream: Stream, split: str, skipped: tuple[Skipped, ...], progress: Progress) -> Prepared:
    found = [stream.get(0, progress)]
    while split == "test" and len(found) < len(stream.counts) and sum(len(each.images) for each in found) < EXAMPLES:
        found.append(stream.get(len(found), progress))
    skipped = (*skipped, *(one for each in found for one in each.skipped))
    images = found[0].images if len(found) == 1 else torch.cat([each.images for each in found])
    labels: Tensor | None = None
    if stream.classes:
        labels = torch.cat([each.labels for each in found if each.labels is not None])[:EXAMPLES]
    return Prepared(images[:EXAMPLES], labels, stream.classes, skipped, stream.fingerprint)
