"""Dropout where a batch is worked on in parts, by several processes or one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd


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


def share(network: nn.Module, rows: Rows) -> None:
    """Have all dropout of a network follow the whole batch; no tensor changes its name, since dropout has none."""
    for name, child in network.named_children():
        if isinstance(child, _DropoutNd):
            setattr(network, name, SharedDropout(child, rows))
        else:
            share(child, rows)
