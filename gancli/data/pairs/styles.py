"""Styles: images redrawn by a rule, one domain of an unpaired translation.

A style keeps what an image shows (a 7 stays a 7) and changes how it shows it. ``data.source`` names it, and with
``data.paired = false`` there is no correspondence between sources and images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from gancli.alpha import has_alpha
from gancli.data.pairs.degradations import in_blocks
from gancli.errors import UsageError

Style = Callable[[Tensor, torch.Generator], Tensor]
"""Images (N, C, H, W) in [0, 1] in another style, with a random generator."""

GRAIN = 4
"""Random values along a side of the texture."""

DIMMEST = 0.45
"""The darkest value of the texture; the lightest is 1."""


def inverted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Dark strokes on a smooth texture of light and shade, a random one for each image and channel."""
    count, channels, height, width = images.shape
    coarse = torch.rand(count, channels, GRAIN, GRAIN, generator=generator)
    texture = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True).clamp_(0, 1)
    shade = DIMMEST + (1 - DIMMEST) * texture
    if has_alpha(images):
        return torch.cat([(images[:, 3:] - images[:, :3]) * shade[:, :3], images[:, 3:]], 1)
    return (1 - images) * shade


def thick(images: Tensor, generator: torch.Generator) -> Tensor:
    """Light strokes wider by about a pixel on either side: the lightest of each pixel's neighbours."""
    return _dilated(images, 1.0)


def thin(images: Tensor, generator: torch.Generator) -> Tensor:
    """Light strokes narrower by about half a pixel on either side: the darkest of each pixel's neighbours."""
    return 1 - _dilated(1 - images, 0.5)


def _dilated(images: Tensor, reach: float) -> Tensor:
    """Grey dilation (Serra 1982) by a square, at twice the size, so that the reach may be half pixels."""
    size = images.shape[2:]
    fine = F.interpolate(images, scale_factor=2.0, mode="bilinear")
    side = round(2 * reach)
    wide = F.max_pool2d(fine, 2 * side + 1, stride=1, padding=side)
    return F.interpolate(wide, size, mode="area")


STYLES: Mapping[str, Style] = {"inverted": inverted, "thick": thick, "thin": thin}


def restyle(name: str, images: Tensor, seed: int = 0) -> Tensor:
    """Redraw images in a style.

    Args:
        name: of :data:`STYLES`.
        images: uint8 (N, C, H, W).
        seed: of the textures.

    Returns:
        uint8 (N, C, H, W).
    """
    generator = torch.Generator().manual_seed(seed)
    return in_blocks(images, lambda block, start: STYLES[name](block, generator))


def halves(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Positions of two random halves of a set, so that no image is in both domains of an unpaired translation.

    Raises:
        UsageError: there are not two images.
    """
    if count < 2:
        raise UsageError("one image cannot be on two sides", "give more images, or a second folder as data.source")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    first, second = order.tensor_split(2)
    return first.sort().values, second.sort().values
