"""Differentiable augmentation of what a discriminator sees, real and fake alike (Zhao et al. 2020, arXiv 2006.10738).

A discriminator that sees the same images many times learns them by heart. Augmenting only the real ones would teach the
generator to augment; here both sides pass through the same changes, and the generator's gradient goes through them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Augmentation = Literal["colour", "translation", "cutout"]

SHIFT = 8
"""An image is moved by at most one part in so many of its sides."""


def translation(images: Tensor) -> Tensor:
    """Images (N, C, H, W), each moved by up to an eighth of its sides; its border is continued."""
    count, channels, height, width = images.shape
    rows, columns = (_moved(count, side, images) for side in (height, width))
    moved = images.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    return moved.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1))


def _moved(count: int, side: int, images: Tensor) -> Tensor:
    """Where each of the pixels along a side comes from: (count, side)."""
    reach = side // SHIFT
    shift = torch.randint(-reach, reach + 1, (count, 1), device=images.device)
    return (torch.arange(side, device=images.device) + shift).clamp_(0, side - 1)


def cutout(images: Tensor) -> Tensor:
    """Images (N, C, H, W) with a square of half their sides, anywhere, at the middle of the range."""
    count, _, height, width = images.shape
    rows, columns = (_outside(count, side, images) for side in (height, width))
    return images * (rows[:, None, :, None] | columns[:, None, None, :])


def _outside(count: int, side: int, images: Tensor) -> Tensor:
    """Which pixels along a side lie outside of the square: bool (count, side)."""
    middle = torch.randint(0, side + 1, (count, 1), device=images.device)
    return (torch.arange(side, device=images.device) - middle + 0.5).abs() >= side / 4


def colour(images: Tensor) -> Tensor:
    """Images (N, C, H, W) of other brightness (by up to a quarter of the range), saturation (0 to 2 times) and contrast
    (0.5 to 1.5 times), each drawn for each image."""

    def draw() -> Tensor:
        return torch.rand(len(images), 1, 1, 1, device=images.device)

    images = images + (draw() - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * draw())
    middle = images.mean((1, 2, 3), keepdim=True)
    return middle + (images - middle) * (draw() + 0.5)


AUGMENTATIONS: dict[Augmentation, Callable[[Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}
