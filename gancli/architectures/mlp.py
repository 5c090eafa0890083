"""Multilayer perceptrons: the networks of the first GAN (Goodfellow et al. 2014), without its maxout."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from gancli.architectures.base import RANGES, Output, Share, Spec, Width, squash

Hidden = Annotated[list[Width], Field(max_length=64)]


def _layers(sizes: list[int], slope: float, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(slope) if slope else nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return layers


class Generator(nn.Module):
    """Latents (N, dim) to images (N, C, H, W) of any shape.

    Args:
        spec: shape and latent.
        hidden: features of the hidden layers, at most 64 of them.
        slope: of the leaky ReLU; 0 for a plain ReLU.
        dropout: probability after each hidden layer.
        output: the last function, which sets the range of pixel values.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        hidden: Hidden = [256, 512, 1024],  # noqa: B006 (read, never written)
        slope: Share = 0.2,
        dropout: Share = 0.0,
        output: Output = "tanh",
    ) -> None:
        super().__init__()
        self.shape, self.latent, self.range = spec.shape, spec.latent, RANGES[output]
        sizes = [spec.latent.width, *hidden]
        last = nn.Linear(sizes[-1], math.prod(spec.shape))
        self.body = nn.Sequential(*_layers(sizes, slope, dropout), last, squash(output))

    def forward(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), with classes y (N,), with codes c (N, codes), to (N, C, H, W)."""
        return self.body(self.latent.join(z, y, c)).view(-1, *self.shape)


class Discriminator(nn.Module):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        hidden: features of the hidden layers, at most 64 of them.
        slope: of the leaky ReLU; 0 for a plain ReLU.
        dropout: probability after each hidden layer.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        hidden: Hidden = [1024, 512, 256],  # noqa: B006 (read, never written)
        slope: Share = 0.2,
        dropout: Share = 0.3,
    ) -> None:
        super().__init__()
        sizes = [math.prod(spec.shape), *hidden]
        self.body = nn.Sequential(nn.Flatten(), *_layers(sizes, slope, dropout), nn.Linear(sizes[-1], 1))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 1)."""
        return self.body(images)


NETWORKS = {"generator": Generator, "discriminator": Discriminator}
