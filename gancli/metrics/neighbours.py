"""Metrics of nearest neighbours: precision, recall, density, coverage, memorisation."""

from __future__ import annotations

import torch
from torch import Tensor

PRECISION_NEIGHBOURS = 3
"""The neighbour that a ball of precision and recall reaches to."""
DENSITY_NEIGHBOURS = 5
"""The neighbour that a ball of density and coverage reaches to, as in their paper."""
BLOCK = 250
"""Rows of a distance matrix that are in memory at a time."""
ROUNDING = 1e-6
"""Squared distances below this share of the squared norms are rounding errors of float32: the features are equal."""


def manifolds(real: Tensor, generated: Tensor) -> dict[str, float]:
    """How realistic the generated set is, and how much of the real set it covers, each by two definitions.

    A set's manifold is the union of balls around its features. With balls that reach to the third nearest neighbour,
    precision is the share of generated features inside the real manifold, recall the share of real features inside the
    generated one: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models",
    equations 1 and 2. An outlier's ball is large and counts much there; less so in Naeem et al. 2020, "Reliable
    fidelity and diversity metrics for generative models", section 3, with balls that reach to the fifth neighbour:
    density is how many real balls a generated feature lies in, on average and over 5, which may exceed 1 (equation 3);
    coverage is the share of real balls with a generated feature in them (equation 4).
    """
    # Distances keep more digits when the features lie around the origin.
    centre = real.mean(0)
    real, generated = real - centre, generated - centre
    (narrow, wide), (generated_radii, _) = _radii(real), _radii(generated)
    realistic, inside = [], 0
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    for part, radii in zip(generated.split(BLOCK), generated_radii.split(BLOCK), strict=True):
        distances = _distances(part, real)
        realistic.append((distances <= narrow).any(1))
        recalled |= (distances <= radii[:, None]).any(0)
        within = distances <= wide
        covered |= within.any(0)
        inside += int(within.sum())
    return {
        "precision": float(torch.cat(realistic).double().mean()),
        "recall": float(recalled.double().mean()),
        "density": inside / (DENSITY_NEIGHBOURS * len(generated)),
        "coverage": float(covered.double().mean()),
    }


def memorisation(generated: Tensor, held_out: Tensor) -> float:
    """Probability that a generated image is nearer to its nearest training image than a held-out image is to its own.

    0.5 for images like held-out ones, 1 for copies, 0 for images far from all: Meehan et al. 2020, "A non-parametric
    test to detect data-copying in generative models", section 3, the Mann-Whitney statistic of the whole space.

    Args:
        generated: distances (N,) of generated images to their nearest training images.
        held_out: those (M,) of held-out images.
    """
    sorted_distances = held_out.sort().values
    below = torch.searchsorted(sorted_distances, generated).double()
    equal = torch.searchsorted(sorted_distances, generated, right=True) - below
    return float(1 - ((below + equal / 2) / len(held_out)).mean())


def nearest(features: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance (N,) of each of the features (N, D) to the nearest of others (M, D), and its index (N,)."""
    centre = among.mean(0)
    features, among = features - centre, among - centre
    found = [_distances(part, among).min(1) for part in features.split(BLOCK)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def _distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Squared distances (N, M) of features (N, D) and (M, D); exactly 0 between the same ones."""
    norms = rows.square().sum(1, keepdim=True) + columns.square().sum(1)
    squares = torch.addmm(norms, rows, columns.T, alpha=-2)
    return squares.masked_fill_(squares < ROUNDING * norms, 0)


def _radii(features: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances (N,) of each of the features (N, D) to its third and fifth nearest neighbour."""
    found, numbers = [], [PRECISION_NEIGHBOURS - 1, DENSITY_NEIGHBOURS - 1]
    for start, part in zip(range(0, len(features), BLOCK), features.split(BLOCK), strict=True):
        distances = _distances(part, features)
        distances.diagonal(start).fill_(torch.inf)
        found.append(distances.topk(DENSITY_NEIGHBOURS, largest=False).values[:, numbers])
    narrow, wide = torch.cat(found).unbind(1)
    return narrow, wide
