"""Multilayer perceptrons: the networks of the first GAN (Goodfellow et al. 2014), without its maxout."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from gancli.architectures._base import RANGES, Output, Share, Spec, Width, squash
from gancli.architectures._heads import Code, Readings, Reads, check_told, encoder_end
from gancli.architectures._layers import Dropout

Hidden = Annotated[list[Width], Field(max_length=64)]


def _layers(sizes: list[int], slope: float, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(slope) if slope else nn.ReLU()]
        layers += [Dropout(dropout)] if dropout else []
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
        conditional: also takes the class, one-hot beside the pixels.
        heads: what it reads in an image besides: the class, the codes; then it returns (logits, reading, …).
        head_width: features of a layer before the readings; 0 for none.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        hidden: Hidden = [1024, 512, 256],  # noqa: B006 (read, never written)
        slope: Share = 0.2,
        dropout: Share = 0.3,
        conditional: bool = False,
        heads: Reads = [],  # noqa: B006
        head_width: Annotated[int, Field(ge=0, le=8192)] = 0,
    ) -> None:
        super().__init__()
        self.conditional, self.heads = conditional, tuple(heads)
        self.batch_independent = not head_width  # the shared layer of readings has batch norm
        self.classes = check_told(spec) if conditional else 0
        sizes = [math.prod(spec.shape) + self.classes, *hidden]
        self.body = nn.Sequential(nn.Flatten(), *_layers(sizes, slope, dropout), nn.Linear(sizes[-1], 1))
        self.readings = Readings(spec, heads, sizes[-1], head_width) if heads else None

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """(N, C, H, W), with classes y (N,) if it is told them, to (N, 1) and what it reads."""
        if y is not None:
            images = torch.cat([images.flatten(1), one_hot(y, self.classes).to(images.dtype)], dim=1)
        if self.readings is None:
            return self.body(images)
        features = self.body[:-1](images)
        return self.body[-1](features), *self.readings(features)


class Encoder(nn.Module):
    """Images (N, C, H, W) to codes (N, dim), or to means and log variances (N, 2 dim).

    Args:
        spec: shape of the images, and the latent.
        hidden: features of the hidden layers, at most 64 of them.
        slope: of the leaky ReLU; 0 for a plain ReLU.
        dropout: probability after each hidden layer.
        code: what it gives: a code as it comes, a whitened one, or a Gaussian's mean and log variance.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        hidden: Hidden = [1024, 512, 256],  # noqa: B006 (read, never written)
        slope: Share = 0.2,
        dropout: Share = 0.0,
        code: Code = "plain",
    ) -> None:
        super().__init__()
        sizes = [math.prod(spec.shape), *hidden]
        end = encoder_end(sizes[-1], spec.latent.dim, code)
        self.body = nn.Sequential(nn.Flatten(), *_layers(sizes, slope, dropout), *end)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dim) or (N, 2 dim)."""
        return self.body(images)


NETWORKS = {"generator": Generator, "discriminator": Discriminator, "encoder": Encoder}
