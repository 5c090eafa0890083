"""Images to images by residual blocks (Johnson et al. 2016; Zhu et al. 2017, appendix 7.2), for small sizes too.

In the paper's words: c7s1-k is a 7x7 convolution of k channels, dk a 3x3 convolution of stride 2, Rk a block of two 3x3
convolutions with a shortcut, uk a 3x3 transposed convolution that doubles the size. The paper's network for 128 pixels
is c7s1-64, d128, d256, six R256, u128, u64, c7s1-3: the defaults here. Every convolution is followed by instance
normalisation (or another, or none), and borders are mirrored rather than filled with zeros.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from gancli.architectures import _base
from gancli.architectures._base import InitStd, Share, Sizes, Spec, Width
from gancli.architectures._layers import Up, dropping, halvings, initialise
from gancli.architectures._norms import Norm, normalisation
from gancli.architectures._ranges import PixelOutput

MINIMUM = 4


def bottleneck(height: int, width: int, downsamplings: int) -> list[tuple[int, int]]:
    """(height, width) of the image and after each downsampling, which rounds up.

    Raises:
        UsageError: too small for borders to be mirrored at the innermost size.
    """
    least = max(MINIMUM, 2**downsamplings + 1)
    Sizes(minimum=least).check(f"resnet with {downsamplings} downsamplings", (height, width))
    return halvings(height, width, downsamplings)


def _same(inputs: int, outputs: int, side: int) -> nn.Module:
    """A convolution of stride 1 whose border is mirrored, so that the size stays."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, padding_mode="reflect")


class Block(nn.Module):
    """Rk: two 3x3 convolutions whose result is added to what came in (He et al. 2016), without a ReLU after it."""

    def __init__(self, channels: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        layers = [_same(channels, channels, 3), *normalisation(norm, channels), nn.ReLU()]
        layers += [*dropping(dropout), _same(channels, channels, 3), *normalisation(norm, channels)]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) to the same."""
        return x + self.body(x)


class Generator(_base.Translator):
    """Source images (N, C, H, W) to images (N, C, H, W), both in its range.

    Args:
        spec: shape of the images.
        width: channels after the first layer; each downsampling doubles them.
        downsamplings: how often the size is halved; 2 in the paper, 1 suits images under 64 pixels.
        blocks: residual blocks; the paper takes 6 for 128 pixels and 9 for 256.
        norm: after every layer but the last; without one, contrast is kept as it is, which suits repairs (Lim et al.
            2017, section 3.1).
        residual: it adds to the source rather than making the image anew (Zhang et al. 2017, section 3), which suits
            sources that are nearly right. The paper's does not.
        dropout: within the blocks; 0 in the paper.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        output: the output function, which sets the range of pixel values.
    """

    serves = Sizes(minimum=MINIMUM)

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        downsamplings: Annotated[int, Field(ge=0, le=6)] = 2,
        blocks: Annotated[int, Field(ge=0, le=64)] = 6,
        norm: Norm = "instance",
        residual: bool = False,
        dropout: Share = 0.0,
        init_std: InitStd = 0.02,
        output: PixelOutput = "tanh",
    ) -> None:
        super().__init__(spec, output, residual)
        channels, *size = spec.shape
        sizes = bottleneck(size[0], size[1], downsamplings)
        widths = [width * 2**stage for stage in range(downsamplings + 1)]
        layers = [_same(channels, width, 7), *normalisation(norm, width), nn.ReLU()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), *normalisation(norm, outputs), nn.ReLU()]
        layers += [Block(widths[-1], norm, dropout) for _ in range(blocks)]
        for stage in range(downsamplings, 0, -1):
            narrower = widths[stage - 1]
            layers += [
                Up(widths[stage], narrower, sizes[stage - 1], kernel=3),
                *normalisation(norm, narrower),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers, _same(width, channels, 7))
        initialise(self, init_std)

    def translate(self, source: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W), before the output function."""
        return self.body(source)


NETWORKS = {"generator": Generator}
