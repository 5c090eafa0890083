"""DiffAugment (Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", section 3)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from gancli.terms.augmentation.base import Augmentation, Random, Transform, blank, cut_out, on_colors, per_image

_MAX_SHIFT = 1 / 8
"""Of a side."""

Policy = Annotated[list[Literal["color", "translation", "cutout"]], Field(min_length=1)]


class DiffAugment(Augmentation):
    """The same policy on every image, real or fake, in the steps of both players.

    ``color`` adds U(-0.5, 0.5) to an image, scales the distance of its pixels from their own mean over the channels by
    U(0, 2), and from the image's mean by U(0.5, 1.5). ``translation`` shifts by up to an eighth of each side.
    ``cutout`` covers a rectangle of half of each side. What comes in from outside, or is covered, is zero, as in the
    paper: the middle of the range, grey. There is no probability: ``strength`` is ignored.

    With one channel, saturation does nothing. With four, ``color`` leaves alpha alone, and what comes in or is
    covered is transparent.

    Args:
        limits: see :class:`Augmentation`.
        policy: what is done, in this order.
    """

    def __init__(
        self,
        limits: tuple[float, float] = (-1.0, 1.0),
        *,
        policy: Policy = ["color", "translation", "cutout"],  # noqa: B006 (only read)
    ) -> None:
        super().__init__(limits)
        draws = {"color": _color, "translation": _translation, "cutout": _cutout}
        self.policy = [draws[name] for name in policy]

    def draw(self, count: int, random: Random, strength: float | Tensor | None) -> Transform:
        """Three numbers an image for colour, two for translation, two for cutout."""
        transforms = [draw(count, random) for draw in self.policy]

        def transform(images: Tensor) -> Tensor:
            for each in transforms:
                images = each(images)
            return images

        return transform


def _color(count: int, random: Random) -> Transform:
    brightness, saturation, contrast = random.uniform((count, 3)).unbind(1)

    def transform(images: Tensor, opacity: Tensor) -> Tensor:
        images = images + per_image(brightness - 0.5, images) * opacity
        if images.shape[1] > 1:
            images = torch.lerp(images.mean(1, keepdim=True), images, per_image(2 * saturation, images))
        mean = images.mean((1, 2, 3), keepdim=True)
        if opacity.dim():  # of what is seen
            mean = mean / opacity.mean((1, 2, 3), keepdim=True).clamp_min(1e-3) * opacity
        return torch.lerp(mean, images, per_image(contrast + 0.5, images))

    return lambda images: on_colors(transform, images)


def _translation(count: int, random: Random) -> Transform:
    right, down = random.uniform((count, 2)).unbind(1)

    def transform(images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        rows, inside_rows = _shifted(height, down)
        columns, inside_columns = _shifted(width, right)
        pixels = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)[:, None]
        moved = images.flatten(2).gather(2, pixels.expand(-1, images.shape[1], -1)).view(images.shape)
        return torch.where((inside_rows[:, :, None] & inside_columns[:, None, :])[:, None], moved, blank(images))

    return transform


def _shifted(size: int, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """For each pixel along a side, (N, size): which one moves there, and whether that is inside the image."""
    most = round(size * _MAX_SHIFT)
    shift = (uniform * (2 * most + 1)).long() - most
    origin = torch.arange(size, device=uniform.device) - shift[:, None]
    return origin.clamp(0, size - 1), (origin >= 0) & (origin < size)


def _cutout(count: int, random: Random) -> Transform:
    x, y = random.uniform((count, 2)).unbind(1)
    return lambda images: cut_out(images, x, y)
