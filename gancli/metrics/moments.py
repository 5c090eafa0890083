"""Metrics of means and covariances: FID, FID within classes, diversity."""

from __future__ import annotations

import torch
from torch import Tensor


def fid(real: Tensor, generated: Tensor) -> float:
    """Fréchet distance between the Gaussians fitted to both sets of features (N, D) and (M, D).

    |m - m_g|^2 + tr(C + C_g - 2 (C C_g)^(1/2)), with means m and covariances C: Heusel et al. 2017, "GANs trained by a
    two time-scale update rule converge to a local Nash equilibrium", equation 6. Biased upwards when images are few.

    tr((C C_g)^(1/2)) is the sum of the singular values of R^T S, where C = R R^T and C_g = S S^T: the eigenvalues of
    C C_g are the squares of these. No square root of a matrix is taken that is not symmetric, which would take minutes
    for a thousand features.
    """
    # In float32 the means alone would be off in the fourth digit.
    real, generated = real.double(), generated.double()
    means = (real.mean(0) - generated.mean(0)).square().sum()
    roots = [_root(values) for values in (real, generated)]
    traces = sum(root.square().sum() for root in roots)
    return float(means + traces - 2 * torch.linalg.svdvals(roots[0].T @ roots[1]).sum())


def _root(values: Tensor) -> Tensor:
    """R of the covariance R R^T of (N, D): (D, N) of few images, else (D, D)."""
    if len(values) <= values.shape[1]:
        return (values - values.mean(0)).T / (len(values) - 1) ** 0.5
    eigenvalues, eigenvectors = torch.linalg.eigh(values.T.cov())
    # Rounding leaves eigenvalues just below 0.
    return eigenvectors * eigenvalues.clamp_min(0).sqrt()


def class_fids(
    real: Tensor, generated: Tensor, real_classes: Tensor, generated_classes: Tensor, count: int
) -> tuple[float | None, ...]:
    """FID of the generated images of each class against the real images of that class.

    The "intra FID" of Miyato & Koyama 2018, "cGANs with projection discriminator", section 5. Where fewer than two
    images of a class were generated, all generated images are taken
    instead, so that leaving a class out does not improve the figure.

    Args:
        real: features (N, D).
        generated: features (M, D).
        real_classes: int64 (N,).
        generated_classes: int64 (M,).
        count: how many classes there are.

    Returns:
        One figure a class, None for a class with fewer than two real images.
    """
    found: list[float | None] = []
    for number in range(count):
        real_part, part = real[real_classes == number], generated[generated_classes == number]
        found.append(fid(real_part, part if len(part) > 1 else generated) if len(real_part) > 1 else None)
    return tuple(found)


def diversity(real: Tensor, generated: Tensor) -> float:
    """Mean squared distance of two generated features as a share of that of two real ones: 0 for one image repeated."""
    variances = [values.double().var(0).sum() for values in (real, generated)]
    return float(variances[1] / variances[0])
