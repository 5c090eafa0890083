"""Multilayer perceptrons: the networks of the first GAN (Goodfellow et al. 2014), without its maxout."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from gancli.architectures import _base
from gancli.architectures._base import OptionalWidth, Share, Spec, Width
from gancli.architectures._heads import Code, HeadNames, Heads, classes_for, encoder_end
from gancli.architectures._layers import dropping
from gancli.architectures._ranges import Output, squash

Hidden = Annotated[list[Width], Field(max_length=64)]


def _layers(sizes: list[int], slope: float, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(slope) if slope else nn.ReLU(), *dropping(dropout)]
    return layers


class Generator(_base.Generator):
    """Latents (N, dim) to images (N, C, H, W) of any shape.

    Args:
        spec: shape and latent.
        hidden: features of the hidden layers, at most 64 of them.
        slope: of the leaky ReLU; 0 for a plain ReLU.
        dropout: probability after each hidden layer.
        output: the output function, which sets the range of pixel values.
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
        super().__init__(spec, output)
        sizes = [spec.latent.width, *hidden]
        last = nn.Linear(sizes[-1], math.prod(spec.shape))
        self.body = nn.Sequential(*_layers(sizes, slope, dropout), last, squash(output))

    def first_layer(self, w: Tensor) -> Tensor:
        """w (N, width) to the output of the first linear layer, (N, features)."""
        return self.body[0](w)

    def synthesize(self, w: Tensor) -> Tensor:
        """w (N, width) to (N, C, H, W)."""
        return self.body(w).view(-1, *self.shape)


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        hidden: features of the hidden layers, at most 64 of them.
        slope: of the leaky ReLU; 0 for a plain ReLU.
        dropout: probability after each hidden layer.
        conditional: it also takes the class, one-hot beside the pixels.
        heads: what else it tells of an image: the class, the codes; it then returns (logits, head, …).
        head_width: features of a layer before the heads; 0 for none.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        hidden: Hidden = [1024, 512, 256],  # noqa: B006 (read, never written)
        slope: Share = 0.2,
        dropout: Share = 0.3,
        conditional: bool = False,
        heads: HeadNames = [],  # noqa: B006
        head_width: OptionalWidth = 0,
    ) -> None:
        super().__init__(spec)
        self.conditional, self.heads = conditional, tuple(heads)
        self.batch_independent = not head_width  # the heads' shared layer has batch norm
        self.classes = classes_for(spec) if conditional else 0
        sizes = [math.prod(spec.shape) + self.classes, *hidden]
        self.body = nn.Sequential(nn.Flatten(), *_layers(sizes, slope, dropout), nn.Linear(sizes[-1], 1))
        self.readings = Heads(spec, heads, sizes[-1], head_width) if heads else None

    def features(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """(N, C, H, W), with classes y (N,) if it is conditional, to (N, features)."""
        if y is not None:
            images = torch.cat([images.flatten(1), one_hot(y, self.classes).to(images.dtype)], dim=1)
        return super().features(images)


class Encoder(_base.Encoder):
    """Images (N, C, H, W) to codes (N, dim), or to means and log variances (N, 2 dim).

    Args:
        spec: shape of the images, and the latent.
        hidden: features of the hidden layers, at most 64 of them.
        slope: of the leaky ReLU; 0 for a plain ReLU.
        dropout: probability after each hidden layer.
        code: what it gives: codes, whitened codes, or a Gaussian's mean and log variance.
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
        super().__init__(spec)
        sizes = [math.prod(spec.shape), *hidden]
        end = encoder_end(sizes[-1], spec.latent.dim, code)
        self.body = nn.Sequential(nn.Flatten(), *_layers(sizes, slope, dropout), *end)


NETWORKS = {"generator": Generator, "discriminator": Discriminator, "encoder": Encoder}
