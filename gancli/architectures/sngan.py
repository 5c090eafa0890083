"""Residual networks of SNGAN (Miyato et al. 2018, "Spectral normalization for generative adversarial networks",
appendix B.4, tables 4 to 6), with what later models add: conditional batch norm and projection (Miyato and Koyama 2018,
"cGANs with projection discriminator", section 3), spectral norm in the generator and self-attention (Zhang et al. 2019,
"Self-attention generative adversarial networks"), and the options that make BigGAN for CIFAR-10 (Brock et al. 2019,
"Large scale GAN training for high fidelity natural image synthesis").

The paper's networks: for 32 pixels G has width 256 and at most 256 channels, D width 128 and at most 128, base 8 and
two blocks; for 64 and 128 pixels all have width 64 and at most 1024 channels.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import _base
from gancli.architectures._base import Sizes, Spec, Width
from gancli.architectures._heads import Projection
from gancli.architectures._layers import (
    WEIGHTED,
    SelfAttention,
    halvings,
    normalise_spectrum,
    pooled_convolution,
    upsampled_convolution,
)
from gancli.architectures._norms import ConditionalBatchNorm, classes_of_norms
from gancli.architectures._ranges import Output, squash

SIZES = Sizes(minimum=4)
SMALLEST = 4
"""The shortest side of the generator's first feature maps."""

Base = Annotated[int, Field(ge=1, le=64)]
Blocks = Annotated[int, Field(ge=0, le=64)]
Side = Annotated[int, Field(ge=0, le=4096)]
Init = Literal["glorot", "normal", "orthogonal"]
"""Initial weights: uniform (Glorot and Bengio 2010, equation 16), with a gain of sqrt(2) in front of a ReLU; N(0, 0.02)
(Radford et al. 2016); orthogonal (Saxe et al. 2014)."""


def _initialise(network: nn.Module, init: Init) -> None:
    for module in network.modules():
        if isinstance(module, WEIGHTED):
            if init == "glorot":
                before_relu = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
                nn.init.xavier_uniform_(module.weight, math.sqrt(2) if before_relu else 1.0)
            elif init == "normal":
                nn.init.normal_(module.weight, 0.0, 0.02)
            else:
                nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that takes the class and does not use it."""

    def forward(self, input: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, C, h, w) to the same."""
        return super().forward(input)


class UpBlock(nn.Module):
    """Norm, ReLU, upsampling x2, 3x3, norm, ReLU, 3x3, added to the upsampled input by a 1x1 (table 4, figure 8).

    Args:
        inputs: channels in.
        outputs: channels out, and between the two convolutions.
        size: (height, width) to cut the upsampled maps to.
        classes: of conditional batch norm; 0 for plain batch norm.
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.size = size
        norms = (ConditionalBatchNorm(c, classes) if classes else BatchNorm(c) for c in (inputs, outputs))
        self.first_norm, self.second_norm = norms
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, inputs, h, w), with weights of the classes y (N, classes), to (N, outputs, *size)."""
        height, width = self.size
        found = F.relu(self.first_norm(x, y))
        found = upsampled_convolution(found, self.first.weight, self.first.bias)[..., :height, :width]
        found = self.second(F.relu(self.second_norm(found, y)))
        # A 1x1 convolution before upsampling is one after it, for a quarter of the pixels.
        return found + F.interpolate(self.shortcut(x), scale_factor=2)[..., :height, :width]


class DownBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, mean of 2x2 blocks, added to the input, after a 1x1 convolution where the size or the
    channels change (tables 4 to 6, figure 8).

    Args:
        inputs: channels in.
        outputs: channels out.
        hidden: channels between the two convolutions.
        down: whether the size is halved, rounding up.
        of_pixels: it is the first one, without a ReLU before it.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, *, down: bool, of_pixels: bool = False) -> None:
        super().__init__()
        self.down, self.of_pixels = down, of_pixels
        self.first = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if down or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w), or to half the size."""
        found = F.relu(self.first(x if self.of_pixels else F.relu(x)))
        if not self.down:
            return self.second(found) + self.shortcut(x)
        # The mean of a 1x1 convolution is that of the mean, for a quarter of the pixels.
        pooled = self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True))
        return pooled_convolution(found, self.second.weight, self.second.bias) + pooled


class SumPool(nn.Module):
    """The sum over all places: (N, C, h, w) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """After a ReLU."""
        return F.relu(x).sum((2, 3))


class Generator(_base.Generator):
    """Latents (N, dim) to images (N, C, H, W).

    Args:
        spec: shape and latent.
        width: channels of the last feature maps; each earlier stage has twice as many.
        most: the largest number of channels.
        conditional: the class chooses scales and shifts of batch norm, instead of being joined to z.
        spectral_norm: divide every weight by its largest singular value (Zhang et al. 2019, section 4.1).
        attention: self-attention at the feature maps whose shortest side this is; 0 for none.
        init: initial weights.
        output: the output function, which sets the range of pixel values.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 16,
        most: Width = 64,
        conditional: bool = False,
        spectral_norm: bool = False,
        attention: Side = 0,
        init: Init = "glorot",
        output: Output = "tanh",
    ) -> None:
        super().__init__(spec, output)
        latent, sizes = spec.latent, halvings(*spec.shape[1:], most=12, smallest=SMALLEST)
        widths = [min(width * 2**stage, most) for stage in range(len(sizes))]
        classes, wide = classes_of_norms(latent, conditional), widths[-1]
        self.classes, self.base = classes, (wide, *sizes[-1])
        self.stem = nn.Linear(latent.width - classes, math.prod(self.base))
        self.blocks, self.attention = nn.ModuleList(), nn.ModuleList()
        for outputs, size in reversed(list(zip(widths[:-1], sizes[:-1], strict=True))):
            self.blocks.append(UpBlock(wide, outputs, size, classes))
            self.attention.append(SelfAttention(outputs) if min(size) == attention else nn.Identity())
            wide = outputs
        last = nn.Conv2d(wide, spec.shape[0], 3, padding=1)
        self.last = nn.Sequential(nn.BatchNorm2d(wide), nn.ReLU(), last, squash(output))
        _initialise(self, init)
        if spectral_norm:
            normalise_spectrum(self)

    def first_layer(self, w: Tensor) -> Tensor:
        """w (N, width) to the output of the linear layer, (N, features)."""
        z, _, c = self.latent.split(w)
        return self.stem(torch.cat([z, c], 1) if self.classes else w)

    def synthesize(self, w: Tensor) -> Tensor:
        """w (N, width), which is z with class and codes, to (N, C, H, W)."""
        _, y, _ = self.latent.split(w)
        x = self.first_layer(w).view(-1, *self.base).contiguous(memory_format=torch.channels_last)
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(x, y))
        return self.last(x)


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        width: channels of the first block; each later one has twice as many.
        most: the largest number of channels.
        base: the shortest side that feature maps may be halved to.
        blocks: after these, which keep the size.
        wide: between a block's convolutions there are as many channels as come out of it (Brock et al. 2019), instead
            of as many as go in (Miyato et al. 2018).
        spectral_norm: divide every weight by its largest singular value (Miyato et al. 2018, section 2.1).
        attention: self-attention at the feature maps whose shortest side this is; 0 for none.
        conditional: it also takes the class, by a projection (Miyato and Koyama 2018, equation 3).
        init: initial weights.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 16,
        most: Width = 64,
        base: Base = 4,
        blocks: Blocks = 1,
        wide: bool = False,
        spectral_norm: bool = True,
        attention: Side = 0,
        conditional: bool = False,
        init: Init = "glorot",
    ) -> None:
        super().__init__(spec)
        self.conditional = conditional
        sizes = halvings(*spec.shape[1:], most=12, smallest=base)
        inputs, downs = spec.shape[0], len(sizes) - 1
        body: list[nn.Module] = []
        for number in range(max(1, downs + blocks)):
            outputs = min(width * 2**number, most)
            hidden = outputs if wide or not number else inputs
            body.append(DownBlock(inputs, outputs, hidden, down=number < downs, of_pixels=not number))
            if number < downs and min(sizes[number + 1]) == attention:
                body.append(SelfAttention(outputs))
            inputs = outputs
        self.body = nn.Sequential(*body, SumPool(), nn.Linear(inputs, 1))
        self.classes = Projection(spec, inputs) if conditional else None
        _initialise(self, init)
        if spectral_norm:
            normalise_spectrum(self)

    def forward(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W), with y (N,) if it is conditional, to logits (N, 1)."""
        features = self.features(images)
        logits = self.body[-1](features)
        return logits if self.classes is None or y is None else logits + self.classes.of_class(features, y)


NETWORKS = {"generator": Generator, "discriminator": Discriminator}
