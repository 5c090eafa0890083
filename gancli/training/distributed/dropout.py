"""Dropout and noise inputs where a batch is worked on in parts, by several processes or one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from gancli.architectures._layers import NoiseInput

DRAWING = _DropoutNd, NoiseInput
"""Layers that draw random numbers in training."""


@dataclass
class Rows:
    """Which part of the batch the networks are looking at.

    Attributes:
        batch: items of the whole.
        rows: of these, the ones at hand.
    """

    batch: int
    rows: slice


class SharedDropout(nn.Module):
    """Drops what would fall out of these rows if the whole batch were here.

    Every part draws for the whole, from random numbers that stand alike everywhere, and takes its own.

    Args:
        layer: draws, and says how much falls out.
        rows: kept up to date by the training.
    """

    def __init__(self, layer: _DropoutNd, rows: Rows) -> None:
        super().__init__()
        self.layer, self.rows = layer, rows

    def forward(self, input: Tensor) -> Tensor:
        """(k * rows, …) to the same; k batches may come as one, as real and fake images do."""
        rows = self.rows.rows
        batches, rest = divmod(len(input), rows.stop - rows.start)
        if not self.training or rest:
            return self.layer(input)
        shape = (batches * self.rows.batch, *input.shape[1:])
        # Draws go by the order in memory.
        flat = input.is_contiguous() or input.dim() != 4
        layout = torch.contiguous_format if flat else torch.channels_last
        whole = torch.ones(shape, dtype=input.dtype, device=input.device).contiguous(memory_format=layout)
        kept = self.layer(whole).unflatten(0, (batches, self.rows.batch))[:, rows]
        return input * kept.reshape(input.shape)


def draw(rows: Rows, shape: tuple[int, ...], **options: Any) -> Tensor:
    """N(0, 1) of these rows, as they would be drawn for the whole batch; the first dimension may hold several."""
    batches, rest = divmod(shape[0], rows.rows.stop - rows.rows.start)
    if rest:
        return torch.randn(shape, **options)
    whole = torch.randn((batches, rows.batch, *shape[1:]), **options)
    return whole[:, rows.rows].reshape(shape)


def share(network: nn.Module, rows: Rows) -> None:
    """Have all dropout and noise of a network follow the whole batch; no tensor changes its name."""
    if isinstance(network, NoiseInput):
        network.draw = partial(draw, rows)
    for name, child in network.named_children():
        if isinstance(child, _DropoutNd):
            setattr(network, name, SharedDropout(child, rows))
        else:
            share(child, rows)
