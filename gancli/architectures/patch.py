"""A discriminator of patches (Isola et al. 2017, section 3.2.2 and appendix 6.1.2): one logit for each patch.

In the paper's words C64-C128-C256-C512, then a convolution to one channel: 4x4 convolutions, of stride 2 but for the
last two, which judge patches of 70x70 pixels. With one halving less each, patches are 34x34 and 16x16. A small image
takes fewer halvings than asked for, so that there is a place left to judge.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.architectures import _base
from gancli.architectures._base import InitStd, Share, Sizes, Spec, Width
from gancli.architectures._layers import dropping, initialise, normalise_spectrum
from gancli.architectures._norms import Norm, normalisation


def halvings(height: int, width: int, most: int) -> int:
    """How often the image is halved, rounding down: at most ``most`` times, and to no side under 3 pixels."""
    side, count = min(height, width), 0
    while count < most and side // 2 >= 3:
        side, count = side // 2, count + 1
    return count


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W), with their sources where it is conditional, to logits (N, 1, h, w).

    Args:
        spec: shape of the images.
        width: channels of the first layer; each later one has twice as many.
        most: the largest number of channels.
        layers: halvings at most: 3 judge patches of 70x70, 2 of 34x34, 1 of 16x16.
        conditional: it also takes the source of each image.
        norm: after every layer but the first and the last.
        slope: of the leaky ReLU.
        dropout: probability after each convolution but the last, of whole channels; 0 in the papers.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        spectral_norm: divide every weight by its largest singular value (Miyato et al. 2018).
    """

    serves = Sizes(minimum=6)

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        most: Width = 512,
        layers: Annotated[int, Field(ge=1, le=8)] = 3,
        conditional: bool = True,
        norm: Norm = "batch",
        slope: Share = 0.2,
        dropout: Share = 0.0,
        init_std: InitStd = 0.02,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__(spec)
        channels, height, image_width = spec.shape
        self.takes_source, self.batch_independent = conditional, norm != "batch"
        inputs, body = channels * (2 if conditional else 1), []
        strides = [2] * halvings(height, image_width, layers) + [1]
        for stage, stride in enumerate(strides):
            kind: Norm = norm if stage else "none"
            outputs = min(width * 2**stage, most)
            body += [nn.Conv2d(inputs, outputs, 4, stride, padding=1, bias=kind == "none")]
            body += [*normalisation(kind, outputs), nn.LeakyReLU(slope), *dropping(dropout, channels=True)]
            inputs = outputs
        self.body = nn.Sequential(*body, nn.Conv2d(inputs, 1, 4, padding=1))
        initialise(self, init_std)
        if spectral_norm:
            normalise_spectrum(self)

    def features(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """(N, C, H, W), twice where it is conditional, to (N, features, h, w)."""
        if self.takes_source:
            if source is None:
                raise ValueError("a conditional discriminator of patches needs the source")
            images = torch.cat([source, images], 1)
        return super().features(images)


NETWORKS = {"discriminator": Discriminator}
