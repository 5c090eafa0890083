"""What every augmentation has in common, and operations that several of them use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from gancli.alpha import has_alpha

Transform = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) to images of the same shape, values mostly in [-1, 1]. Four channels are premultiplied colours
and alpha (see :mod:`gancli.alpha`): -1 in all of them is transparent."""

TRANSPARENT = -1.0
"""The value of all four channels of what is not there."""


class Random(Protocol):
    """Random numbers whose first dimension is the batch's; those of an image depend on no other image."""

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform on [0, 1)."""
        ...

    def normal(self, shape: Sequence[int]) -> Tensor:
        """N(0, 1)."""
        ...


class Augmentation(nn.Module):
    """Random transforms of images, differentiable (also twice) with respect to the images.

    A subclass implements :meth:`draw`. Transforms work in float32 or float64, also under autocast, and never read a
    tensor's value, so that a GPU is not waited for.

    Args:
        limits: (lowest, highest) value of an image. Published transforms are for [-1, 1]; others are brought there and
            back, so that "zero" is the middle of the range.
    """

    def __init__(self, limits: tuple[float, float] = (-1.0, 1.0)) -> None:
        super().__init__()
        self.limits = limits

    def forward(
        self,
        images: Tensor,
        random: Random,
        source: Tensor | None = None,
        strength: float | Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Augmented images, and with a source both, transformed alike.

        Args:
            images: (N, C, H, W) with any C, H and W.
            random: where all random numbers come from.
            source: (N, C', H', W'), what a discriminator sees beside the images.
            strength: replaces an augmentation's own probability, for schedules.
        """
        transform = self.draw(len(images), random, strength)
        augmented = self._in_range(transform, images)
        return augmented if source is None else (augmented, self._in_range(transform, source))

    def _in_range(self, transform: Transform, images: Tensor) -> Tensor:
        low, high = self.limits
        middle, half = (low + high) / 2, (high - low) / 2
        with torch.autocast(images.device.type, enabled=False):
            values = images if images.dtype == torch.float64 else images.float()
            if (middle, half) == (0, 1):
                return transform(values).to(images.dtype)
            return (transform((values - middle) / half) * half + middle).to(images.dtype)

    def draw(self, count: int, random: Random, strength: float | Tensor | None) -> Transform:
        """Draw what happens to each of ``count`` images."""
        raise NotImplementedError

    def observe(self, real_logits: Tensor) -> None:
        """Take note of logits of real images, of any shape; called for each part of a batch before its update."""

    def adjust(self, images: int, mean: Callable[[Tensor], Tensor]) -> None:
        """Adapt to the logits since the last call; called after each update of the discriminator.

        Args:
            images: real images that the discriminator was trained on since the last call, in all processes.
            mean: averages a tensor over all processes.
        """

    def adapted(self) -> dict[str, Tensor]:
        """What has been adapted, by name, for a training that starts from these weights."""
        return {}

    def start_from(self, adapted: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`adapted` gave in another training, where it can be used here."""


def per_image(numbers: Tensor, images: Tensor) -> Tensor:
    """Numbers (N,) in a shape that broadcasts over images (N, C, H, W), in their type."""
    return numbers.to(images.dtype).view(-1, 1, 1, 1)


def on_colors(transform: Callable[[Tensor, Tensor], Tensor], images: Tensor) -> Tensor:
    """Transform colours, and leave alpha alone.

    Args:
        transform: from (N, C, H, W) with C of 1 to 3, and the opacity (N, 1, H, W) or one number, by which every
            constant in it is multiplied: colours in [-1, 1] come premultiplied by the opacity in [0, 1].
        images: to transform.
    """
    if not has_alpha(images):
        return transform(images, images.new_ones(()))
    colours, alpha = images.split([3, 1], 1)
    opacity = (alpha + 1) / 2
    # (c + 1) / 2 times opacity is what the channels hold, brought from [0, 1] to [-1, 1].
    centred = colours + 1 - opacity
    return torch.cat([transform(centred, opacity) - 1 + opacity, alpha], 1)


def blank(images: Tensor) -> float:
    """The value of what comes in from outside of images: zero, the middle of the range, or transparency."""
    return TRANSPARENT if has_alpha(images) else 0.0


def cut_out(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Set a rectangle of half the width and half the height to zero (DeVries and Taylor 2017), or to transparency.

    Args:
        images: (N, C, H, W).
        x: (N,) centre from 0, the left edge, to 1; where it lies near an edge, part of the rectangle is outside.
        y: the same from top to bottom.
    """
    height, width = images.shape[2:]
    columns = (torch.arange(width, device=images.device) + 0.5) / width
    rows = (torch.arange(height, device=images.device) + 0.5) / height
    within = ((rows - y[:, None]).abs() < 0.25)[:, :, None] & ((columns - x[:, None]).abs() < 0.25)[:, None, :]
    return images.masked_fill(within[:, None], blank(images))
