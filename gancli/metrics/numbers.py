"""Metrics of numbers, which are compared with the formula of their data."""

from __future__ import annotations

import torch
from torch import Tensor

from gancli.data.synthetic import Curve, Formula, Mixture, Spiral
from gancli.metrics.base import Figure

NEAR = 3.0
"""Standard deviations within which a sample is of high quality: Srivastava et al. 2017, "VEEGAN", section 4."""
ENOUGH = 0.2
"""A mode is found with this share of its fair share of the samples, as samples of high quality. For the paper one
sample is enough; but one of 2,500 is luck."""
PIECES = 32
"""Pieces of equal likelihood into which the spiral is cut."""

FIGURES = (
    Figure("rmse", "RMSE", "lower", 4),
    Figure("rmse_worst", "RMSE, worst", "lower", 4),
    Figure("spread", "spread", "equal", 4),
    Figure("modes", "modes", "higher", 0),
    Figure("quality", "quality", "higher", 4),
    Figure("coverage", "coverage", "higher", 3),
)


def of_curve(rows: Tensor, formula: Curve) -> dict[str, float]:
    """Distance of each row to the true curve, and standard deviation of the rows.

    Args:
        rows: (N, width).
        formula: the curve.

    Returns:
        ``rmse``, the mean over rows of the root of the mean squared distance to the curve; ``rmse_worst``, that of the
        worst row; ``spread``, the standard deviation over rows, the mean over points.
    """
    errors = (rows - formula.true).square().mean(1).sqrt()
    deviation = rows.std(0, correction=0).mean()
    return {"rmse": float(errors.mean()), "rmse_worst": float(errors.max()), "spread": float(deviation)}


def of_mixture(rows: Tensor, formula: Mixture) -> dict[str, float]:
    """Modes found, and the share of samples near one.

    Args:
        rows: (N, 2).
        formula: the mixture.

    Returns:
        ``modes``, those that have at least a fifth of their fair share of samples within three standard deviations;
        ``quality``, the share of samples within three standard deviations of the nearest mode.
    """
    distances, nearest = torch.cdist(rows, torch.tensor(formula.centres)).min(1)
    good = distances <= NEAR * formula.sd
    counts = torch.bincount(nearest[good], minlength=len(formula.centres))
    found = counts >= max(1.0, ENOUGH * len(rows) / len(formula.centres))
    return {"modes": float(found.sum()), "quality": float(good.float().mean())}


def of_spiral(rows: Tensor, formula: Spiral) -> dict[str, float]:
    """The share of samples near the spiral, and the share of the spiral near samples.

    Args:
        rows: (N, 2).
        formula: the spiral.

    Returns:
        ``quality``, the share of samples within three standard deviations of the spiral; ``coverage``, the share of 32
        pieces of it that have at least a fifth of their fair share of those samples.
    """
    steps = 64 * PIECES
    line = formula.at((torch.arange(steps) + 0.5) / steps)
    distances, nearest = torch.cdist(rows, line).min(1)
    good = distances <= NEAR * formula.sd
    counts = torch.bincount(nearest[good] * PIECES // steps, minlength=PIECES)
    covered = counts >= max(1.0, ENOUGH * len(rows) / PIECES)
    return {"quality": float(good.float().mean()), "coverage": float(covered.float().mean())}


def measure(rows: Tensor, formula: Formula) -> tuple[dict[str, float], str]:
    """The figures of rows (N, width) for a formula, the most informative first, and what they count, in words."""
    rows = rows.float()
    if isinstance(formula, Curve):
        return of_curve(rows, formula), "distances to the curve without noise"
    near, enough = (
        f"near is within {NEAR:g} standard deviations of",
        f"with {ENOUGH:.0%} of its fair share of samples near it",
    )
    if isinstance(formula, Mixture):
        return of_mixture(rows, formula), f"{near} a centre; a mode is found {enough}"
    assert isinstance(formula, Spiral)
    return of_spiral(rows, formula), f"{near} the spiral; a piece of {PIECES} is covered {enough}"
