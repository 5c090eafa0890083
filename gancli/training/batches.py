"""From a resident data set to batches on a device, without Python per image."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gancli.data import Dataset
from gancli.data.synthetic import Formula
from gancli.errors import UsageError
from gancli.processes import ALONE, World
from gancli.recipe import Recipe
from gancli.terms.batch import Batch
from gancli.training.preprocessing import Preprocessor, to_device
from gancli.training.shard_batches import ShardBatches

Limits = tuple[float, float] | None
"""(lowest, highest) value that 0 and 255 become; None for data that are numbers already."""


class Batches(Protocol):
    """An endless sequence of batches, a function of the seed and of the number of items drawn."""

    drawn: int
    """Items drawn so far, in all processes together: the only state."""

    def next(self) -> Batch:
        """This process's rows of the next batch, on the device."""
        ...


def batches_of(dataset: Dataset, recipe: Recipe, device: torch.device, limits: Limits, world: World = ALONE) -> Batches:
    """The batches of a recipe's data."""
    training = recipe.training
    if dataset.formula is not None:
        if limits is not None:
            raise UsageError(
                f"'{recipe.model}' makes images, and {recipe.data.name} holds numbers",
                "leave out `model`, or let its generator end in numbers: `networks.generator.output=linear`",
            )
        return FormulaBatches(dataset.formula, training.batch, training.seed, device, world)
    if limits is None:
        raise UsageError(
            f"'{recipe.model}' makes numbers, and {recipe.data.name} holds images",
            "train it on sine, ring, grid or swissroll",
        )
    if dataset.stream is not None:
        return ShardBatches(dataset.stream, training.batch, training.seed, device, limits, recipe.data.mirror, world)
    return ImageBatches(
        dataset.images,
        dataset.labels,
        training.batch,
        training.seed,
        device,
        limits,
        recipe.data.mirror,
        dataset.sources,
        recipe.data.paired,
        world,
    )


class FormulaBatches:
    """Numbers that a formula draws anew for every batch.

    Args:
        formula: draws rows.
        batch: rows a draw.
        seed: of the rows.
        device: where batches go.
        world: the processes that share a batch.
    """

    def __init__(self, formula: Formula, batch: int, seed: int, device: torch.device, world: World = ALONE) -> None:
        self.formula, self.batch, self.seed, self.device = formula, batch, seed, device
        self.drawn, self._rows = 0, world.share(batch)

    def next(self) -> Batch:
        """Fresh rows, float32 (batch, 1, 1, width); this process's share of them."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.drawn) % 2**32)
        self.drawn += self.batch
        return Batch(to_device(self.formula.draw(self.batch, generator)[self._rows, None, None], self.device))


class ImageBatches:
    """Shuffled batches of a set in memory.

    Every image is seen once an epoch, also where an epoch ends within a batch.

    Args:
        images: uint8 (N, C, H, W), resident or memory-mapped.
        labels: int64 (N,), or None.
        batch: images a draw.
        seed: of the order.
        device: where batches go; the whole set goes there at once if it fits well.
        limits: (lowest, highest) value that 0 and 255 become.
        mirror: show each image mirrored half of the time.
        sources: uint8 (M, C, H, W), what images are made from, or None.
        paired: source and image of one number belong together (M = N); otherwise sources come in an order of their own.
        world: the processes that share a batch.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        batch: int,
        seed: int,
        device: torch.device,
        limits: tuple[float, float],
        mirror: bool = False,
        sources: Tensor | None = None,
        paired: bool = True,
        world: World = ALONE,
    ) -> None:
        self.images, self.labels, self.sources, self.batch = images, labels, sources, batch
        self.device, self.drawn = device, 0
        self._preprocessor = Preprocessor(batch, seed, device, limits, mirror, world)
        self._order = _ShuffledOrder(len(images), seed)
        # In the images' order, unpaired sources would be paired where both have N items.
        self._other = self._order if paired or sources is None else _ShuffledOrder(len(sources), seed ^ 0x5EED)
        if device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
            self.images = images.to(device)
            self.labels = None if labels is None else labels.to(device)

    def next(self) -> Batch:
        """This process's share of the next batch, on the device; its images are float32 (N, C, H, W)."""
        preprocessor = self._preprocessor
        index = self._order.take(self.drawn, self.batch)[preprocessor.rows]
        other = index if self._other is self._order else self._other.take(self.drawn, self.batch)[preprocessor.rows]
        self.drawn += self.batch
        flips = preprocessor.flips(self.drawn)
        images = preprocessor.floats(_selected(self.images, index), flips)
        source = None if self.sources is None else preprocessor.floats(_selected(self.sources, other), flips)
        labels = None if self.labels is None else to_device(_selected(self.labels, index), self.device)
        return Batch(images, labels, source)


def _selected(rows: Tensor, index: Tensor) -> Tensor:
    # index_select copies whole images, where indexing would gather pixel by pixel.
    return rows.index_select(0, to_device(index, rows.device))


class _ShuffledOrder:
    """Positions in a set, shuffled anew each epoch."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def take(self, drawn: int, batch: int) -> Tensor:
        """The positions that follow the first ``drawn``, from as many epochs as that takes."""
        parts, position = [], drawn
        while position < drawn + batch:
            epoch, offset = divmod(position, self.count)
            if epoch != self._epoch:
                generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**32)
                self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator)
            part = self._order[offset : offset + drawn + batch - position]
            parts.append(part)
            position += len(part)
        return torch.cat(parts) if len(parts) > 1 else parts[0]
