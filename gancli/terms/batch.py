"""A batch of real data, and the random numbers that belong to its samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Latents = dict[str, Tensor]
"""Generator inputs by name, each (N, …): z, with classes y, with codes c."""


@dataclass(frozen=True)
class Batch:
    """Real data.

    Attributes:
        images: (N, C, H, W) in the generator's range.
        labels: int64 (N,); None for data without classes.
        source: what an image is to be translated from, (N, C, H, W) in the same range; None where data has none.
    """

    images: Tensor
    labels: Tensor | None = None
    source: Tensor | None = None

    def split(self, parts: int) -> list[Batch]:
        """The same rows as so many batches of the same size, in order."""
        if parts == 1:
            return [self]
        columns = [
            [None] * parts if value is None else value.chunk(parts) for value in (self.images, self.labels, self.source)
        ]
        return [Batch(*row) for row in zip(*columns, strict=True)]


class SampleRandom:
    """Random numbers that belong to the samples of a batch.

    All are drawn for the whole batch by a generator that has the same state in every process; then the rows at hand are
    taken. So the numbers of a sample depend neither on the number of processes nor on the parts that a batch is worked
    on in.

    Args:
        latents: draws the latents of a whole batch.
        generator: of the other random numbers, on the device.
        batch: samples in the whole batch.
        rows: those that are worked on.

    Attributes:
        batch: samples in the whole batch.
        start: the first of the rows that are worked on.
    """

    def __init__(
        self, latents: Callable[[], Latents], generator: torch.Generator, batch: int, rows: slice = slice(None)
    ) -> None:
        self._latents, self._generator, self.batch, self._rows = latents, generator, batch, rows
        self.start, stop, _ = rows.indices(batch)
        self._count = stop - self.start

    def latents(self) -> Latents:
        """Fresh latents of the rows at each call."""
        return {name: value[self._rows] for name, value in self._latents().items()}

    def normal(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """N(0, 1); the first dimension of the shape is the number of rows or a multiple of it."""
        return self._draw(torch.randn, shape, dtype)

    def uniform(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """The same, uniform on [0, 1)."""
        return self._draw(torch.rand, shape, dtype)

    def _draw(self, draw: Callable[..., Tensor], shape: Sequence[int], dtype: torch.dtype | None) -> Tensor:
        # Real images and fakes in one batch come one after the other in the whole batch as well.
        times, rest = shape[0] // self._count, shape[1:]
        generator = self._generator
        drawn = draw(times * self.batch, *rest, generator=generator, device=generator.device, dtype=dtype)
        if self._count == self.batch:
            return drawn
        return drawn.unflatten(0, (times, self.batch))[:, self._rows].flatten(0, 1)
