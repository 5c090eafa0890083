"""Perceptual path length: how smoothly images change along paths through the latents of a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from gancli.latents import Inputs, LatentSpec, batches, way

PAIRS = 2_000
"""Paths that are measured; each takes two images."""
STEP = 1e-3
"""Of a path from 0 to 1, ten times the paper's: farther from float32's rounding, and within 1 % of the same figure."""
BATCH = 250


@torch.inference_mode()
def path_length(
    generate: Callable[[Inputs], Tensor],
    spec: LatentSpec,
    seeds: Sequence[int],
    features: Callable[[Iterable[Tensor], int], Tensor],
    real: Tensor,
    step: float = STEP,
) -> float:
    """Perceptual path length as a share of the mean squared distance of two real images.

    The mean of |f(G(p(t + e))) - f(G(p(t)))|^2 / e^2 over paths p from one latent to another and t drawn from U(0, 1):
    Karras et al. 2019, "A style-based generator architecture for generative adversarial networks", section 4.1,
    equation 2, with the extractor's features f in the place of LPIPS. A generator that went straight and steadily from
    each image to another would have 1, if its images are as different as real ones. No path is left out as an outlier.

    Args:
        generate: gives images (N, C, H, W) from 0 to 255, not rounded to 8 bits, which such a step would vanish in.
        spec: of the latents; normal ones are joined by great circles, uniform ones and codes by lines, and both ends
            have the first one's class.
        seeds: the first and second are ends of a path, the third and fourth, and so on; at least 2.
        features: gives the features (N, D) of batches of images, and is told how many images they are.
        real: features (N, D) of real images.
        step: e, as a share of the path.
    """
    few = seeds[: 2 * min(PAIRS, len(seeds) // 2)]
    # A float32 latent takes a step of 1e-4 with an error of up to a thousandth of it: between them, in double.
    inputs = {name: values if name == "y" else values.double() for name, values in spec.from_seeds(few).items()}
    t = torch.rand(len(few) // 2, 1, generator=torch.Generator().manual_seed(few[0]), dtype=torch.float64)
    before, after = (
        features((generate(part) for part in batches(_between(spec, inputs, at), BATCH)), len(t)).double()
        for at in (t, t + step)
    )
    lengths = (after - before).square().sum(1) / step**2
    # Two independent images are twice the variance apart, in squares.
    return float(lengths.mean() / (2 * real.double().var(0).sum()))


def _between(spec: LatentSpec, inputs: Inputs, t: Tensor) -> Inputs:
    """The latents of each path at its t (N, 1), float32."""
    found = {}
    for name, values in inputs.items():
        first, second = values[0::2], values[1::2]
        found[name] = first if name == "y" else way(spec, name)(first, second, t).float()
    return found
