"""How near a model with an encoder comes to images that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.evaluation.features import BATCH, Progress

if TYPE_CHECKING:
    from gancli.model import Model

HIGHEST = 60.0
"""The PSNR in dB that identical images are said to have."""
WINDOW = 11
"""Pixels on a side of SSIM's window; smaller images have no SSIM."""
SPREAD = 1.5
"""Standard deviation of the window, in pixels."""

TITLES = {
    "psnr": "PSNR of reconstructions, dB",
    "ssim": "SSIM of reconstructions",
    "elbo": "ELBO, nats an image",
    "reconstruction": "-log p(x | z), nats an image",
    "kl": "KL(q(z | x) || p(z)), nats an image",
}


def psnr(originals: Tensor, made: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, float64 (N,), at most 60; both uint8 (N, C, H, W)."""
    error = (originals.double() - made.double()).square().flatten(1).mean(1)
    return (10 * (255**2 / error).log10()).clamp_max(HIGHEST)


def ssim(originals: Tensor, made: Tensor) -> Tensor:
    """Structural similarity of each image, float64 (N,), 1 for identical ones; both uint8 (N, C, H, W).

    The mean of (2 m m' + A)(2 c + B) / ((m^2 + m'^2 + A)(v + v' + B)) over all places of an 11x11 Gaussian window of
    sigma 1.5 that lie inside the image, with means m, variances v and covariance c under the window,
    A = (0.01 * 255)^2 and B = (0.03 * 255)^2: Wang et al. 2004, "Image quality assessment: from error visibility to
    structural similarity", equations 13 to 16. Of colour, the mean over channels. Without the averaging to 256 pixels
    that the authors' later program starts with: it is for larger images.

    Raises:
        UsageError: images smaller than the window.
    """
    height, width = originals.shape[2:]
    if not has_ssim((height, width)):
        raise UsageError(
            f"SSIM is of images of {WINDOW}x{WINDOW} pixels or more, and these are {height}x{width}", "psnr is of any"
        )
    # In pieces: there are five blurred copies of everything, in double precision.
    pieces = zip(originals.split(BATCH), made.split(BATCH), strict=True)
    parts = [_similarity(one.double(), other.double()) for one, other in pieces]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64)


def has_ssim(size: tuple[int, ...]) -> bool:
    """Whether SSIM's window fits into images of (…, H, W)."""
    return min(size[-2:]) >= WINDOW


def _similarity(one: Tensor, other: Tensor) -> Tensor:
    """SSIM (N,) of float64 (N, C, H, W) in [0, 255]."""
    across, down = (_window(side) for side in (one.shape[3], one.shape[2]))

    def under(values: Tensor) -> Tensor:
        # The window is a product of two, so that two products of matrices blur the image.
        return down @ values @ across.T

    mean, mean_other = under(one), under(other)
    variance, variance_other = under(one.square()) - mean.square(), under(other.square()) - mean_other.square()
    covariance = under(one * other) - mean * mean_other
    a, b = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    alike = (2 * mean * mean_other + a) * (2 * covariance + b)
    most = (mean.square() + mean_other.square() + a) * (variance + variance_other + b)
    return (alike / most).flatten(1).mean(1)


def _window(side: int) -> Tensor:
    """A matrix (side - 10, side) with the window, which sums to 1, in every place where it fits."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = (-offsets.square() / (2 * SPREAD**2)).exp()
    places = side - WINDOW + 1
    rows = torch.zeros(places, side, dtype=torch.float64)
    rows.scatter_(1, torch.arange(WINDOW) + torch.arange(places)[:, None], (weights / weights.sum()).expand(places, -1))
    return rows


def reconstruct(model: Model, images: Tensor) -> Tensor:
    """Images uint8 (N, C, H, W), encoded and decoded: as many uint8 images on the CPU."""
    return torch.cat([model.generate({"z": model.encode(part)}) for part in images.split(BATCH)])


def figures(model: Model, images: Tensor, progress: Progress = lambda what, done, total: None) -> dict[str, float]:
    """What reconstruction costs, as means over held-out images uint8 (N, C, H, W).

    Returns:
        ``psnr`` in dB; ``ssim`` of images that its window fits into; for a VAE also ``elbo``, ``reconstruction`` and
        ``kl`` in nats an image.
    """
    parts = []
    elbo = model.recipe.objective.name == "vae"
    for number, part in enumerate(images.split(BATCH)):
        made = reconstruct(model, part)
        found = {"psnr": psnr(part, made)}
        if has_ssim(tuple(part.shape)):
            found["ssim"] = ssim(part, made)
        if elbo:
            found |= lower_bound(model, part, seed=number)
        parts.append({name: values.sum() for name, values in found.items()})
        progress("reconstructions", number * BATCH + len(part), len(images))
    return {name: float(sum(part[name] for part in parts)) / len(images) for name in parts[0]}


@torch.inference_mode()
def lower_bound(model: Model, images: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """The evidence lower bound of a VAE and its two parts in nats, each (N,) (Kingma and Welling 2014, equation 10).

    Args:
        model: trained by the objective ``vae``.
        images: uint8 (N, C, H, W).
        seed: of the noise in the one z that is drawn for each image.
    """
    from gancli.model import from_uint8
    from gancli.objectives.autoencoder import negative_log_likelihood
    from gancli.objectives.vae import divergence, posterior

    how: dict[str, Any] = model.recipe.objective.options
    target = from_uint8(images.to(model.device), model.generator.range)
    mean, log_variance = posterior(model.networks["encoder"], target)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed)).to(mean)
    made = model.generator(z=mean + (0.5 * log_variance).exp() * noise)
    lost = negative_log_likelihood(made, target, how.get("likelihood", "bernoulli"), how.get("std", 1.0))
    kl = divergence(mean, log_variance)
    return {"elbo": (-lost - kl).cpu(), "reconstruction": lost.cpu(), "kl": kl.cpu()}
