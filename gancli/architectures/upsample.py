"""The DCGAN of the Keras tutorials: nearest upsampling and stride-1 transposed convolutions, 5x5 throughout.

Everything that Keras does by default and PyTorch does otherwise is spelt out: Glorot uniform weights (Glorot and Bengio
2010, equation 16) with zero biases, TensorFlow's "same" padding, which puts the odd pixel after the image, and batch
norm over single features before the reshape.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import _base
from gancli.architectures._base import Share, Sizes, Spec, Width
from gancli.architectures._layers import WEIGHTED, Dropout, normalise_spectrum
from gancli.architectures._ranges import Output, squash

SIZES = Sizes(minimum=8, instead=", or `model=gan`, which takes any size")
Depths = Annotated[list[Width], Field(min_length=1, max_length=8)]


def _glorot(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, WEIGHTED):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _phases(kernel: Tensor) -> Tensor:
    """Along the last side, five taps to those of three places for each phase: (C, D, …, 5) to (C, D, 2, …, 3).

    An output pixel of phase p sees the taps u = -2 … 2 of the doubled image at the input's i + floor((p + u) / 2), so
    that taps which meet in one place are added.
    """
    both = torch.stack([F.pad(kernel, (0, 1)), F.pad(kernel, (1, 0))], 2)
    return both.unflatten(-1, (3, 2)).sum(-1)


class UpsampledConvolution(nn.ConvTranspose2d):
    """Nearest upsampling x2, then a 5x5 transposed convolution of stride 1 with "same" padding.

    Computed as one 3x3 convolution of the small image with four times the outputs, each phase of which gives one pixel
    of every 2x2 block: the same sums with 9/25 of the multiplications.

    Args:
        inputs: channels in.
        outputs: channels out.
        size: (height, width) to cut the doubled image to.
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, 5, padding=2)
        self.size = size

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, *size)."""
        kernel = self.weight.flip(2, 3)  # a transposed convolution is a convolution by the turned kernel
        phases = _phases(_phases(kernel).transpose(-1, -2)).permute(1, 2, 3, 0, 5, 4).flatten(0, 2)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        doubled = F.pixel_shuffle(F.conv2d(input, phases, bias, padding=1), 2)
        return doubled[..., : self.size[0], : self.size[1]]


class Generator(_base.Generator):
    """Latents (N, dim) to images (N, C, H, W).

    Args:
        spec: shape and latent.
        depth: channels that the dense layer gives, at a quarter of the image's size.
        depths: channels of the convolutions; the first two upsample.
        dropout: probability after the dense layer.
        output: the output function, which sets the range of pixel values.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        depth: Width = 256,
        depths: Annotated[list[Width], Field(min_length=2, max_length=8)] = [128, 64, 32],  # noqa: B006 (only read)
        dropout: Share = 0.4,
        output: Output = "sigmoid",
    ) -> None:
        super().__init__(spec, output)
        channels, height, width = spec.shape
        sizes = [((height + part - 1) // part, (width + part - 1) // part) for part in (4, 2, 1)]
        self.base = (depth, *sizes[0])
        features = depth * sizes[0][0] * sizes[0][1]
        self.stem = nn.Sequential(
            nn.Linear(spec.latent.width, features),
            nn.BatchNorm1d(features, eps=1e-3, momentum=0.1),
            nn.ReLU(),
            Dropout(dropout),
        )
        body: list[nn.Module] = []
        inputs = depth
        for number, outputs in enumerate(depths):
            if number < 2:
                body.append(UpsampledConvolution(inputs, outputs, sizes[number + 1]))
            else:
                body.append(nn.ConvTranspose2d(inputs, outputs, 5, padding=2))
            body += [nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.1), nn.ReLU()]
            inputs = outputs
        self.body = nn.Sequential(*body, nn.ConvTranspose2d(inputs, channels, 5, padding=2), squash(output))
        _glorot(self)

    def first_layer(self, w: Tensor) -> Tensor:
        """w (N, width) to the output of the dense layer, (N, features)."""
        return self.stem[0](w)

    def synthesize(self, w: Tensor) -> Tensor:
        """w (N, width) to (N, C, H, W)."""
        return self.body(self.stem(w).view(-1, *self.base).contiguous(memory_format=torch.channels_last))


class SameConvolution(nn.Conv2d):
    """A 5x5 convolution with TensorFlow's "same" padding: the output has ceil(side / stride) pixels.

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: 1 or 2.
        size: (height, width) of the input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, size: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, 5, stride)
        total = [max((-(-side // stride) - 1) * stride + 5 - side, 0) for side in size]
        (top, bottom), (left, right) = ((pad // 2, pad - pad // 2) for pad in total)
        self.border = (left, right, top, bottom)

    def forward(self, input: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        return super().forward(F.pad(input, self.border))


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        depths: channels of the convolutions; all but the last have stride 2.
        slope: of the leaky ReLU.
        dropout: probability after each convolution.
        spectral_norm: divide every weight by its largest singular value (Miyato et al. 2018).
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        depths: Depths = [64, 128, 256, 512],  # noqa: B006 (read, never written)
        slope: Share = 0.2,
        dropout: Share = 0.4,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__(spec)
        inputs, *size = spec.shape
        layers: list[nn.Module] = []
        for number, outputs in enumerate(depths):
            stride = 1 if number == len(depths) - 1 else 2
            layers += [SameConvolution(inputs, outputs, stride, (size[0], size[1]))]
            layers += [nn.LeakyReLU(slope), Dropout(dropout)]
            inputs, size = outputs, [-(-side // stride) for side in size]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * size[0] * size[1], 1))
        _glorot(self)
        if spectral_norm:
            normalise_spectrum(self)


NETWORKS = {"generator": Generator, "discriminator": Discriminator}
