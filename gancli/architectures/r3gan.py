"""Networks of R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN! A modern GAN baseline", section 3): two
mirrored residual networks without normalisation, of bottlenecks that are wide in the middle, as in ConvNeXt.

The paper's widths from 4 pixels up are one width up to 32 pixels and half of it at each doubling beyond: 768 for
CIFAR-10; 768, … 384 at 64 pixels; 768, … 384, 192, 96 at 256 pixels (appendix, table of hyperparameters).
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import _base
from gancli.architectures._base import Share, Sizes, Spec, Width
from gancli.architectures._heads import classes_for
from gancli.architectures._layers import BilinearDown, BilinearUp, Flat, halvings
from gancli.architectures._ranges import Output, squash

SIZES = Sizes(minimum=4)
SMALLEST = 4
"""The shortest side of feature maps."""
FULL = 4
"""Stages of the whole width: up to 32 pixels."""

Blocks = Annotated[int, Field(ge=1, le=64)]


def stages(spec: Spec, width: int) -> tuple[list[tuple[int, int]], list[int]]:
    """(height, width) and channels of the feature maps, the smallest maps first."""
    sizes = halvings(*spec.shape[1:], most=12, smallest=SMALLEST)[::-1]
    return sizes, [max(1, width >> max(0, stage - FULL + 1)) for stage in range(len(sizes))]


def _normal(weight: Tensor, gain: float) -> None:
    """N(0, gain^2 / fan-in)."""
    nn.init.normal_(weight, 0.0, gain / math.sqrt(weight[0].numel()))


def _pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    _normal(layer.weight, 1.0)
    return layer


class Block(nn.Module):
    """1x1 to twice the width, a grouped 3x3, 1x1 back, added to the input: nothing comes after the sum (section 3.3).

    Without normalisation the variance is kept by Fixup (Zhang et al. 2019, "Fixup initialization", section 3): the last
    layer starts at zero, and the m - 1 others of a block of m layers are scaled by L^(-1 / (2m - 2)), L being the
    number of blocks of the network; here m = 3.

    Args:
        channels: of input and output.
        group: channels of a group of the 3x3 convolution.
        slope: of the leaky ReLU.
        depth: L.
    """

    def __init__(self, channels: int, group: int, slope: float, depth: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.slope = slope
        self.widen = nn.Conv2d(channels, wide, 1)
        self.spatial = nn.Conv2d(wide, wide, 3, padding=1, groups=wide // math.gcd(group, wide))
        self.narrow = nn.Conv2d(wide, channels, 1, bias=False)
        for layer in (self.widen, self.spatial):
            _normal(layer.weight, math.sqrt(2 / (1 + slope**2)) * depth**-0.25)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) to the same."""
        wide = F.leaky_relu(self.widen(x), self.slope)
        return x + self.narrow(F.leaky_relu(self.spatial(wide), self.slope))


class Generator(_base.Generator):
    """Latents (N, dim) to images (N, C, H, W).

    Args:
        spec: shape and latent.
        width: channels of the feature maps up to 32 pixels; each doubling beyond halves them.
        blocks: of each stage.
        group: channels of a group of the 3x3 convolutions.
        slope: of the leaky ReLU.
        embedding: features of the class, which are joined to z.
        output: the output function; the paper has none, which is "identity".
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 32,
        blocks: Blocks = 2,
        group: Width = 16,
        slope: Share = 0.2,
        embedding: Width = 64,
        output: Output = "tanh",
    ) -> None:
        super().__init__(spec, output)
        latent, (sizes, widths) = spec.latent, stages(spec, width)
        self.classes = nn.Linear(latent.classes, embedding, bias=False) if latent.classes else None
        features = latent.dim + latent.codes + (embedding if latent.classes else 0)
        self.stem = nn.Linear(features, widths[0], bias=False)
        self.basis = nn.Parameter(torch.empty(widths[0], *sizes[0]))
        nn.init.normal_(self.basis)
        for linear in (self.stem, self.classes):
            if linear is not None:
                _normal(linear.weight, 1.0)
        body: list[nn.Module] = []
        for stage, (size, channels) in enumerate(zip(sizes, widths, strict=True)):
            if stage:
                # Before upsampling rather than after: the same, as both are linear, for a quarter of the pixels.
                body += [_pointwise(widths[stage - 1], channels)] if widths[stage - 1] != channels else []
                body.append(BilinearUp(size))
            body += [Block(channels, group, slope, blocks * len(sizes)) for _ in range(blocks)]
        self.body = nn.Sequential(*body, _pointwise(widths[-1], spec.shape[0]), squash(output))

    def first_layer(self, w: Tensor) -> Tensor:
        """w (N, width) to the scales of the basis, (N, features)."""
        z, y, c = self.latent.split(w)
        return self.stem(torch.cat([z, c] if self.classes is None else [z, self.classes(y), c], 1))

    def synthesize(self, w: Tensor) -> Tensor:
        """w (N, width), which is z with class and codes, to (N, C, H, W)."""
        features = self.first_layer(w)
        x = features[:, :, None, None] * self.basis.to(features.dtype)
        return self.body(x.contiguous(memory_format=torch.channels_last))


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W) to logits (N, 1): the generator's stages backwards.

    Args:
        spec: shape of the images.
        width: channels of the feature maps up to 32 pixels; each doubling beyond halves them.
        blocks: of each stage.
        group: channels of a group of the 3x3 convolutions.
        slope: of the leaky ReLU.
        conditional: it also takes the class: the logit is the dot product of the image's features and the class's
            (Miyato and Koyama 2018, "cGANs with projection discriminator", section 3, without the term of no class).
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 32,
        blocks: Blocks = 2,
        group: Width = 16,
        slope: Share = 0.2,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        self.conditional = conditional
        sizes, widths = stages(spec, width)
        body: list[nn.Module] = [_pointwise(spec.shape[0], widths[-1])]
        for stage in reversed(range(len(sizes))):
            body += [Block(widths[stage], group, slope, blocks * len(sizes)) for _ in range(blocks)]
            if stage:
                body.append(BilinearDown())
                body += [_pointwise(widths[stage], widths[stage - 1])] if widths[stage - 1] != widths[stage] else []
        end = nn.Conv2d(widths[0], widths[0], sizes[0], groups=widths[0], bias=False)
        last = nn.Linear(widths[0], widths[0] if conditional else 1, bias=False)
        self.classes = nn.Linear(classes_for(spec), widths[0], bias=False) if conditional else None
        _normal(end.weight, 1.0)
        _normal(last.weight, 1.0)
        if self.classes is not None:
            _normal(self.classes.weight, widths[0] ** -0.5)
        self.body = nn.Sequential(*body, end, Flat(), last)

    def forward(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W), with y (N,) if it is conditional, to logits (N, 1)."""
        found = self.body[-1](self.features(images))
        if self.classes is None:
            return found
        assert y is not None
        return F.linear(found, self.classes.weight.T).gather(1, y[:, None])


NETWORKS = {"generator": Generator, "discriminator": Discriminator}
