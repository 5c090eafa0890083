"""Layers that several families share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 2**16
"""Values of the sixteen bits by which a feature is dropped."""


class Dropout(nn.Dropout):
    """PyTorch's dropout, on a CPU from a quarter of the random bits.

    There PyTorch draws a number for each feature, which costs a small multilayer perceptron a quarter of its training;
    here sixteen bits decide, so that the probability is a multiple of 1/65,536. Features are divided by the probability
    that is used, so that their mean is unchanged (Srivastava et al. 2014, section 10).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Features of any shape to the same."""
        dropped = round(self.p * LEVELS)
        if not self.training or input.device.type != "cpu" or not 0 < dropped < LEVELS:
            return super().forward(input)
        bits = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = (bits[: input.numel()] >= dropped - LEVELS // 2).to(input.dtype).mul_(LEVELS / (LEVELS - dropped))
        # In the order in which features lie in memory, whichever that is.
        dense = torch.empty_like(input)
        return input * kept.as_strided(dense.shape, dense.stride())
