"""Sliced Wasserstein distance."""

from __future__ import annotations

import torch
from torch import Tensor

DIRECTIONS = 500
"""Random directions that features are projected on."""


def sliced(real: Tensor, generated: Tensor) -> float:
    """Sliced Wasserstein distance: how far features must move along a random direction, the mean over 500 of them.

    The first Wasserstein distance of both sets' projections: Bonneel et al. 2015, "Sliced and Radon Wasserstein
    barycenters of measures", section 3, with directions of one fixed seed.
    """
    directions = torch.randn(real.shape[1], DIRECTIONS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    sides = [(values.double() @ directions).sort(0).values for values in (real, generated)]
    # Where one of the quantile functions steps, as shares of the set: in between, both are constant.
    steps = torch.cat([torch.arange(1, len(side) + 1, dtype=torch.float64) / len(side) for side in sides])
    steps = steps.unique()
    widths = steps.diff(prepend=steps.new_zeros(1))
    middle = steps - widths / 2
    rows = [(middle * len(side)).long().clamp_max(len(side) - 1) for side in sides]
    return float((widths[:, None] * (sides[0][rows[0]] - sides[1][rows[1]]).abs()).sum(0).mean())
