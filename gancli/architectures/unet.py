"""Images to images by a U-Net (Ronneberger et al. 2015; Isola et al. 2017, section 3.2.1 and appendix 6.1.1).

Convolutions 4x4 with stride 2 halve the source down to a bottleneck, transposed ones double it up again, and each
stage on the way up also sees what the way down had at its size. An odd side is halved rounding up, and reached again
by cutting a row or column off the doubled one, so that any size from 8 pixels up is served.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures._base import INVERSES, RANGES, Share, Spec, Width, squash
from gancli.architectures._layers import Dropout
from gancli.architectures.dcgan import Up, initialise
from gancli.errors import UsageError

MINIMUM = 8
SLOPE = 0.2
Norm = Literal["batch", "instance", "none"]


def halvings(height: int, width: int, levels: int) -> list[tuple[int, int]]:
    """(height, width) of the image and after each halving, rounded up: ``levels`` of them, fewer where one side is
    down to a pixel before.

    Raises:
        UsageError: a side is under 8 pixels.
    """
    if min(height, width) < MINIMUM:
        raise UsageError(
            f"unet needs images of at least {MINIMUM}x{MINIMUM} pixels, these are {height}x{width}",
            f"choose a larger size, as in --set data.size=[{max(height, MINIMUM)},{max(width, MINIMUM)}]",
        )
    sizes = [(height, width)]
    while len(sizes) <= levels and min(sizes[-1]) > 1:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def normed(norm: Norm, channels: int) -> list[nn.Module]:
    """The normalisation of that name over channels."""
    kinds = {"batch": [nn.BatchNorm2d], "instance": [nn.InstanceNorm2d], "none": []}
    return [kind(channels) for kind in kinds[norm]]


class Down(nn.Module):
    """A 4x4 convolution that halves, rounding up: an odd side gets its last row or column twice."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, ceil(h / 2), ceil(w / 2))."""
        height, width = x.shape[2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        return self.convolution(x)


class Generator(nn.Module):
    """Source images (N, C, H, W) to images (N, C, H, W), both in its range.

    Args:
        spec: shape of the images.
        width: channels of the first stage; each further one has twice as many. 64 in the paper.
        most: the largest number of channels; 512 in the paper.
        levels: halvings at most; the paper's go on down to one pixel, 8 for an image of 256.
        norm: after every layer but the first, the innermost and the last.
        dropout: on the innermost three stages of the way up but for the outermost; the paper's 0.5 is its only source
            of chance. None is applied when the network is used.
        residual: it corrects the source rather than making the image anew (Zhang et al. 2017, section 3), which suits
            sources that are nearly right. The paper's does not.
        flips: where it is used (not while it learns), the mean of what it makes of the source and of its three mirror
            images, turned back: nearer to the truth, at four times the work (Timofte et al. 2016, "Seven ways to
            improve example-based single image super resolution", "enhanced prediction").
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        output: the last function, which sets the range of pixel values.
    """

    takes = "source"

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        most: Width = 512,
        levels: Annotated[int, Field(ge=1, le=12)] = 8,
        norm: Norm = "batch",
        dropout: Share = 0.5,
        residual: bool = False,
        flips: bool = False,
        init_std: Annotated[float, Field(ge=0, le=1)] = 0.02,
        output: Literal["tanh", "sigmoid"] = "tanh",
    ) -> None:
        super().__init__()
        self.range, self.shape = RANGES[output], spec.shape
        self.inverse, self.flips = INVERSES[output] if residual else None, flips
        channels, height, image_width = spec.shape
        sizes = halvings(height, image_width, levels)
        widths = [min(width * 2**stage, most) for stage in range(len(sizes) - 1)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        last = len(widths) - 1
        for stage, outputs in enumerate(widths):
            inputs = widths[stage - 1] if stage else channels
            # A single pixel has no deviation to be normalised by.
            kind = norm if 0 < stage < last else "none"
            entry = [nn.LeakyReLU(SLOPE)] if stage else []
            convolution = Down(inputs, outputs, bias=kind == "none")
            self.down.append(nn.Sequential(*entry, convolution, *normed(kind, outputs)))
        for stage in range(last, 0, -1):
            inputs = widths[stage] * (1 if stage == last else 2)
            convolution = Up(inputs, widths[stage - 1], sizes[stage], norm == "none")
            chance = [Dropout(dropout)] if dropout and stage > last - 3 else []
            self.up.append(nn.Sequential(nn.ReLU(), convolution, *normed(norm, widths[stage - 1]), *chance))
        inputs = widths[0] * (2 if last else 1)
        self.out = nn.Sequential(nn.ReLU(), Up(inputs, channels, sizes[0], True))
        self.squash = squash(output)
        initialise(self, init_std)

    def forward(self, source: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        if self.training or not self.flips:
            return self._make(source)
        mirrors: list[list[int]] = [[], [2], [3], [2, 3]]
        return torch.stack([self._make(source.flip(axes)).flip(axes) for axes in mirrors]).mean(0)

    def _make(self, source: Tensor) -> Tensor:
        seen = [source]
        for stage in self.down:
            seen.append(stage(seen[-1]))
        x = seen.pop()
        for stage in self.up:
            x = torch.cat([stage(x), seen.pop()], 1)
        x = self.out(x)
        return self.squash(x if self.inverse is None else x + self.inverse(source))


NETWORKS = {"generator": Generator}
