"""How a batch of generated items compares with a batch of real ones, in four figures for the watch over a training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

NO_SPREAD = 1e-3
"""Real items that lie closer together than this have no diversity of their own to compare with."""

NO_STRUCTURE = 0.2
"""Where neighbouring pixels of real images agree less than this, noise cannot be told from them."""


def compare(samples: Tensor, real: Tensor, before: Tensor | None = None) -> dict[str, float]:
    """Figures of samples as shares of the same figures of real items; what cannot be compared is left out.

    Args:
        samples: (M, C, H, W) in the range of the data, M > 1.
        real: real items, (N, C, H, W).
        before: the samples of the same latents at an earlier time.

    Returns:
        ``diversity``: mean distance between two samples, about 1 when healthy, 0 when collapsed.
        ``nearest``: mean distance from a sample to the one most like it; 0 also where a few pictures are repeated.
        ``noise``: 0 where neighbouring pixels agree as in real images, 1 where they know nothing of each other.
        ``change``: distance from ``before``; 1 where the same latents gave pictures as different as two real ones.
    """
    samples, real = samples.detach().float().cpu(), real.detach().float().cpu()
    return _distances(samples, real, before) | _texture(samples, real)


def _distances(samples: Tensor, real: Tensor, before: Tensor | None) -> dict[str, float]:
    if min(len(samples), len(real)) < 2:
        return {}
    apart, nearest = _spread(real)
    if apart < NO_SPREAD:
        return {}
    figures = dict(zip(("diversity", "nearest"), _spread(samples), strict=True))
    figures = {"diversity": figures["diversity"] / apart, "nearest": figures["nearest"] / max(nearest, NO_SPREAD)}
    if before is not None and before.shape == samples.shape:
        figures["change"] = float((samples - before).flatten(1).norm(dim=1).mean()) / apart
    return figures


def _spread(items: Tensor) -> tuple[float, float]:
    """Mean distance between two different items, and to the nearest other one."""
    distances = torch.cdist(items.flatten(1), items.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    count = len(items)
    mean = float(distances.sum()) / (count * (count - 1))
    return mean, float(distances.fill_diagonal_(torch.inf).amin(1).mean())


def _texture(samples: Tensor, real: Tensor) -> dict[str, float]:
    if min(real.shape[-2:]) < 4 or min(samples.shape[-2:]) < 4:
        return {}
    expected = _agreement(real)
    return {"noise": 1 - _agreement(samples) / expected} if expected > NO_STRUCTURE else {}


def _agreement(images: Tensor) -> float:
    """Correlation of neighbouring pixels within images: 1 for a smooth picture, 0 for white noise."""
    centred = images - images.mean((2, 3), keepdim=True)
    variance = centred.square().mean()
    across = F.mse_loss(centred[..., 1:], centred[..., :-1])
    down = F.mse_loss(centred[..., 1:, :], centred[..., :-1, :])
    return float(1 - (across + down) / (4 * variance.clamp_min(1e-12)))
