"""How near a model with an encoder comes to images that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gancli.architectures import from_uint8
from gancli.data.types import Progress, no_progress
from gancli.evaluation.features import BATCH
from gancli.metrics.images import has_ssim, psnr, ssim

if TYPE_CHECKING:
    from gancli.model import Model

TITLES = {
    "psnr": "PSNR of reconstructions, dB",
    "ssim": "SSIM of reconstructions",
    "elbo": "ELBO, nats an image",
    "reconstruction": "-log p(x | z), nats an image",
    "kl": "KL(q(z | x) || p(z)), nats an image",
}


def reconstruct(model: Model, images: Tensor) -> Tensor:
    """Images uint8 (N, C, H, W), encoded and decoded: as many uint8 images on the CPU."""
    return torch.cat([model.generate({"z": model.encode(part)}) for part in images.split(BATCH)])


def figures(model: Model, images: Tensor, progress: Progress = no_progress) -> dict[str, float]:
    """How well a model reconstructs, as means over held-out images uint8 (N, C, H, W).

    Returns:
        ``psnr`` in dB; ``ssim`` of images that its window fits into; for a VAE also ``elbo``, ``reconstruction`` and
        ``kl`` in nats an image.
    """
    parts = []
    for number, part in enumerate(images.split(BATCH)):
        made = reconstruct(model, part)
        found = {"psnr": psnr(part, made)}
        if has_ssim(part.shape):
            found["ssim"] = ssim(part, made)
        if model.recipe.objective.name == "vae":
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
    from gancli.objectives.autoencoder import negative_log_likelihood
    from gancli.objectives.vae import divergence, posterior

    how: dict[str, Any] = model.recipe.objective.options
    target = from_uint8(images.to(model.device), model.range)
    mean, log_variance = posterior(model.networks["encoder"], target)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed)).to(mean)
    made = model.generator(z=mean + (0.5 * log_variance).exp() * noise)
    lost = negative_log_likelihood(made, target, how.get("likelihood", "bernoulli"), how.get("std", 1.0))
    kl = divergence(mean, log_variance)
    return {"elbo": (-lost - kl).cpu(), "reconstruction": lost.cpu(), "kl": kl.cpu()}
