"""Images with transparency: red, green, blue and alpha, which is 0 where a pixel is transparent and 255 where it is
opaque.

8-bit images have straight colours, as in a PNG: those of a pixel, whatever its alpha. Networks take and make
premultiplied ones, colour times alpha (Porter and Duff 1984, "Compositing digital images", section 3). Images can be
averaged, resized, shifted and compared then, and no colour that cannot be seen takes part in it: edges stay clean.
Images of another number of channels stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHANNELS = 4
"""Of an image with transparency."""
KINDS = {1: "grey", 3: "colour", 4: "colour with alpha"}
"""Of images, by their number of channels."""


def has_alpha(images: Tensor) -> bool:
    """Whether images (…, C, H, W) have an alpha channel."""
    return images.shape[-3] == CHANNELS


def premultiply(images: Tensor) -> Tensor:
    """Straight colours to premultiplied ones: floats (…, C, H, W) from 0 to 255 to the same."""
    if not has_alpha(images):
        return images
    colours, alpha = images.split([3, 1], -3)
    return torch.cat([colours * (alpha / 255), alpha], -3)


def straighten(images: Tensor) -> Tensor:
    """Premultiplied colours to straight ones: floats (…, C, H, W) from 0 to 255 to the same, alpha in whole numbers.

    It reverses :func:`premultiply` exactly, but that transparent pixels become black.
    """
    if not has_alpha(images):
        return images
    colours, alpha = images.split([3, 1], -3)
    alpha = alpha.round().clamp(0, 255)
    return torch.cat([torch.where(alpha > 0, colours * (255 / alpha.clamp_min(1)), 0), alpha], -3)


def composite(images: Tensor, shade: int) -> Tensor:
    """Straight floats (…, 4, H, W) from 0 to 255 over a grey background: (…, 3, H, W), whole numbers.

    Args:
        images: those to show.
        shade: of the background, from 0 for black to 255 for white.
    """
    colours, alpha = premultiply(images).split([3, 1], -3)
    return (colours + (255 - alpha) * (shade / 255)).round()


def all_opaque(images: Tensor) -> bool:
    """Whether no pixel of images uint8 (N, 4, H, W) is transparent."""
    return all(int(part.min()) == 255 for part in images[:, 3].split(256))
