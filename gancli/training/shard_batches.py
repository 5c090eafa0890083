"""From shards to batches on a device: a window of shards at a time, the next one decoded meanwhile."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from gancli.data.shards.stream import Stream
from gancli.data.types import ImageSet
from gancli.errors import GancliError
from gancli.processes import ALONE, World
from gancli.terms.batch import Batch
from gancli.training.preprocessing import Preprocessor, there

WINDOW = 4
"""Shards whose images are shuffled together."""


class ShardBatches:
    """Shuffled batches of images in shards.

    Every image is seen once an epoch. At no time are more than two windows of shards held.

    Args:
        stream: reads the shards.
        batch: images a draw, of all processes together.
        seed: of the order.
        device: where batches go.
        limits: (lowest, highest) value that 0 and 255 become.
        mirror: show each image mirrored half of the time.
        world: the processes among which a draw is shared; the order is the same for any number of them.

    Attributes:
        drawn: items handed out so far, to all processes together.
    """

    def __init__(
        self,
        stream: Stream,
        batch: int,
        seed: int,
        device: torch.device,
        limits: tuple[float, float],
        mirror: bool = False,
        world: World = ALONE,
    ) -> None:
        self.stream, self.batch, self.device, self.world = stream, batch, device, world
        self._preprocessor = Preprocessor(batch, seed, device, limits, mirror, world)
        self.drawn = 0
        self.held: dict[int, Future[ImageSet]] = {}
        self._order = ShardOrder(stream.counts, seed)

    def next(self) -> Batch:
        """This process's rows of the next batch, on the device; images are float32 (N, C, H, W)."""
        rows = self._preprocessor.rows
        pixels, labels = self._rows(self.drawn + rows.start, rows.stop - rows.start)
        self.drawn += self.batch
        images = self._preprocessor.floats(pixels, self._preprocessor.flips(self.drawn))
        return Batch(images, None if labels is None else there(labels, self._preprocessor.device))

    def _rows(self, drawn: int, count: int) -> tuple[Tensor, Tensor | None]:
        """Images uint8 (N, C, H, W) at positions of the order, and their labels int64 (N,) where there are classes."""
        pixels, labels, where, start = [], [], [], 0
        for part in self._order.take(drawn, count):
            self._hold(part)
            for place, shard in enumerate(part.window):
                here = (part.places == place).nonzero().flatten()
                if not len(here):
                    continue
                found = self._ready(shard)
                # Whole images stand in for those that cannot be read.
                rows = part.rows[here] % len(found.images)
                pixels.append(found.images.index_select(0, rows))
                labels += [] if found.labels is None else [found.labels[rows]]
                where.append(here + start)
            start += len(part.rows)
        # Gathering all at once takes a tenth of the time that putting each in its place would.
        back = torch.cat(where).argsort()
        return torch.cat(pixels).index_select(0, back), torch.cat(labels)[back] if labels else None

    def _hold(self, part: Part) -> None:
        """Ask for the shards of a window and of the one after it, and let go of all others."""
        # Processes that share a cache begin with different shards, and find what the others have decoded.
        turn = self.world.rank * len(part.window) // self.world.size
        wanted = [*part.window[turn:], *part.window[:turn], *part.following]
        if self.held.keys() != set(wanted):
            self.held = {shard: future for shard, future in self.held.items() if shard in wanted}
            for shard in wanted:
                self.held[shard] = self.held.get(shard) or self.stream.request(shard)

    def _ready(self, shard: int) -> ImageSet:
        """A shard that is held, once it is decoded."""
        try:
            return self.held[shard].result()
        except GancliError:
            # It may have failed long ago, when it was not yet needed: the network may be back.
            self.held[shard] = self.stream.request(shard)
            return self.held[shard].result()


@dataclass(frozen=True)
class Part:
    """Images that follow each other in the order, all of one window.

    Attributes:
        window: shards that are shuffled together.
        following: those of the next window.
        places: int64 (N,), whose shard of the window each image is.
        rows: int64 (N,), which image of it.
    """

    window: tuple[int, ...]
    following: tuple[int, ...]
    places: Tensor
    rows: Tensor


class ShardOrder:
    """Images of shards in an order that the seed alone decides.

    Each epoch takes the shards in another order, some at a time, and shuffles the images of these.

    Args:
        counts: images in each shard, none of them 0.
        seed: of the order.
        size: shards in a window.
    """

    def __init__(self, counts: Sequence[int], seed: int, size: int = WINDOW) -> None:
        self.counts, self.seed, self.size = counts, seed, size
        self.total = sum(counts)
        self._epochs: dict[int, tuple[list[tuple[int, ...]], list[int]]] = {}
        self._shuffled: tuple[tuple[int, int], Tensor, Tensor] | None = None

    def take(self, drawn: int, count: int) -> Iterator[Part]:
        """The ``count`` images that follow the first ``drawn``, from as many windows and epochs as that takes."""
        end = drawn + count
        while drawn < end:
            epoch, offset = divmod(drawn, self.total)
            number, offset = self._find(epoch, offset)
            places, rows = self._shuffle(epoch, number)
            part = slice(offset, offset + end - drawn)
            window, following = self.window(epoch, number), self.window(epoch, number + 1)
            yield Part(window, following, places[part], rows[part])
            drawn += len(rows[part])

    def window(self, epoch: int, number: int) -> tuple[int, ...]:
        """The shards of a window; after the last one come those of the next epoch."""
        windows, _ = self._of_epoch(epoch)
        return windows[number] if number < len(windows) else self._of_epoch(epoch + 1)[0][0]

    def _of_epoch(self, epoch: int) -> tuple[list[tuple[int, ...]], list[int]]:
        """The windows of an epoch, and how many images lie before the end of each."""
        if epoch not in self._epochs:
            order = torch.randperm(len(self.counts), generator=self._generator(epoch)).tolist()
            windows = [tuple(order[start : start + self.size]) for start in range(0, len(order), self.size)]
            ends = list(accumulate(sum(self.counts[shard] for shard in window) for window in windows))
            kept = {epoch - 1: self._epochs[epoch - 1]} if epoch - 1 in self._epochs else {}
            self._epochs = {**kept, epoch: (windows, ends)}
        return self._epochs[epoch]

    def _find(self, epoch: int, offset: int) -> tuple[int, int]:
        """The window that a position of an epoch lies in, and how far in it."""
        ends = self._of_epoch(epoch)[1]
        number = bisect_right(ends, offset)
        return number, offset - (ends[number - 1] if number else 0)

    def _shuffle(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Places and rows of all images of a window, in their order."""
        if self._shuffled is None or self._shuffled[0] != (epoch, number):
            counts = [self.counts[shard] for shard in self.window(epoch, number)]
            order = torch.randperm(sum(counts), generator=self._generator(epoch, number))
            places = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
            rows = torch.cat([torch.arange(count) for count in counts])
            self._shuffled = (epoch, number), places[order], rows[order]
        return self._shuffled[1], self._shuffled[2]

    def _generator(self, *what: int) -> torch.Generator:
        digest = hashlib.sha256(repr((self.seed, *what)).encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))
