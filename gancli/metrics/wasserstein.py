"""Sliced Wasserstein distance."""

from __future__ import annotations

from statistics import fmean

import torch
from torch import Tensor

DIRECTIONS = 500
"""Random directions that features are projected on."""


def sliced(real: Tensor, generated: Tensor) -> float:
    """Sliced Wasserstein distance: how far features must move along a random direction, the mean over 500 of them.

    The first Wasserstein distance of both sets' projections: Bonneel et al. 2015, "Sliced and Radon Wasserstein
    barycenters of measures", section 3, with directions of one fixed seed.
    """
    from scipy.stats import wasserstein_distance

    directions = torch.randn(real.shape[1], DIRECTIONS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    sides = [(values.double() @ directions).T.numpy() for values in (real, generated)]
    return fmean(wasserstein_distance(*projected) for projected in zip(*sides, strict=True))
