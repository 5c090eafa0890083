"""Images to images by a U-Net (Ronneberger et al. 2015; Isola et al. 2017, section 3.2.1 and appendix 6.1.1).

4x4 convolutions of stride 2 halve the source down to a bottleneck, transposed ones double it up again, and each
stage on the way up also takes the features that the way down had at its size. An odd side is halved rounding up, and
reached again by cutting a row or column off the doubled one, so that any size from 8 pixels up is served.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import _base
from gancli.architectures._base import InitStd, Share, Sizes, Spec, Width
from gancli.architectures._layers import Up, dropping, halvings, initialise
from gancli.architectures._norms import Norm, normalisation
from gancli.architectures._ranges import PixelOutput

SLOPE = 0.2


class Down(nn.Module):
    """A 4x4 convolution of stride 2 that rounds up: an odd side gets its last row or column twice."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, ceil(h / 2), ceil(w / 2))."""
        height, width = x.shape[2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        return self.convolution(x)


class Generator(_base.Translator):
    """Source images (N, C, H, W) to images (N, C, H, W), both in its range.

    Args:
        spec: shape of the images.
        width: channels of the first stage; each further one has twice as many. 64 in the paper.
        most: the largest number of channels; 512 in the paper.
        levels: halvings at most; the paper's go on down to one pixel, 8 for an image of 256.
        norm: after every layer but the first, the innermost and the last.
        dropout: on the innermost three stages of the way up but for the outermost; the paper's 0.5 is its only source
            of randomness. None is applied when the network is used.
        residual: it adds to the source rather than making the image anew (Zhang et al. 2017, section 3), which suits
            sources that are nearly right. The paper's does not.
        flips: in evaluation mode, the mean of its outputs for the source and its three mirror images, mirrored back:
            nearer to the truth, at four times the work (Timofte et al. 2016, "Seven ways to improve example-based
            single image super resolution", "enhanced prediction").
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        output: the output function, which sets the range of pixel values.
    """

    serves = Sizes(minimum=8)

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
        init_std: InitStd = 0.02,
        output: PixelOutput = "tanh",
    ) -> None:
        super().__init__(spec, output, residual)
        self.flips = flips
        channels, height, image_width = spec.shape
        sizes = halvings(height, image_width, levels)
        widths = [min(width * 2**stage, most) for stage in range(len(sizes) - 1)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        last = len(widths) - 1
        for stage, outputs in enumerate(widths):
            inputs = widths[stage - 1] if stage else channels
            # A single pixel has no deviation to be normalised by.
            kind: Norm = norm if 0 < stage < last else "none"
            entry = [nn.LeakyReLU(SLOPE)] if stage else []
            convolution = Down(inputs, outputs, bias=kind == "none")
            self.down.append(nn.Sequential(*entry, convolution, *normalisation(kind, outputs)))
        for stage in range(last, 0, -1):
            inputs = widths[stage] * (1 if stage == last else 2)
            convolution = Up(inputs, widths[stage - 1], sizes[stage], norm == "none")
            after = [*normalisation(norm, widths[stage - 1]), *dropping(dropout if stage > last - 3 else 0)]
            self.up.append(nn.Sequential(nn.ReLU(), convolution, *after))
        inputs = widths[0] * (2 if last else 1)
        self.out = nn.Sequential(nn.ReLU(), Up(inputs, channels, sizes[0]))
        initialise(self, init_std)

    def forward(self, source: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        if self.training or not self.flips:
            return super().forward(source)
        mirrors: list[list[int]] = [[], [2], [3], [2, 3]]
        return torch.stack([super(Generator, self).forward(source.flip(axes)).flip(axes) for axes in mirrors]).mean(0)

    def translate(self, source: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W), before the output function."""
        seen = [source]
        for stage in self.down:
            seen.append(stage(seen[-1]))
        x = seen.pop()
        for stage in self.up:
            x = torch.cat([stage(x), seen.pop()], 1)
        return self.out(x)


NETWORKS = {"generator": Generator}
