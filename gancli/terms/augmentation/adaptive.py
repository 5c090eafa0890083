"""Adaptive discriminator augmentation, ADA (Karras et al. 2020b, "Training generative adversarial networks with limited
data", sections 2 and 3, appendix B).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from gancli.recipe.schedules import MAY_BE_SCHEDULED
from gancli.terms.augmentation.base import Augmentation, Random, Transform, cut_out, on_colors, per_image
from gancli.terms.augmentation.resampling import Affine, resample


class AdaptiveAugmentation(Augmentation):
    """Each transform happens to an image with probability p, which a controller adapts to the discriminator.

    The groups of transforms, in the order in which they are applied:

    - ``blit``: horizontal flips, quarter turns, shifts by whole pixels up to an eighth of a side;
    - ``geometry``: scaling (log2 of it N(0, 0.2^2)), rotation by any angle, scaling of one side against the other,
      another rotation, shifts by N(0, 0.125^2) of a side;
    - ``color``: brightness (+ N(0, 0.2^2)), contrast (log2 N(0, 0.5^2)), inverted luminance, hue rotated by any angle,
      saturation (log2 N(0, 1));
    - ``cutout``: a rectangle of half of each side becomes zero, the middle of the range, or transparent.

    ``blit`` and ``geometry`` are one resampling, beyond whose edges an image is reflected, or transparent where it has
    alpha. With fewer than three channels ``color`` leaves out hue and saturation; it leaves alpha alone. Image-space
    filters and noise, which did not help in the paper, are not offered.

    Args:
        limits: see :class:`Augmentation`.
        target: the controller aims at this mean sign of the logits of real images, which grows with overfitting; "off"
            leaves the probability as it is.
        kimg: thousands of real images in which p can rise from 0 to 1.
        every: updates of the discriminator between two of the controller's decisions.
        probability: p at the beginning, or throughout with ``target = "off"``, where it may be a schedule.
        pipeline: the groups in use.
        color_factor: the transforms of ``color`` and their probability: this times p.
    """

    probability: Tensor
    interval: Tensor
    _update: Tensor

    def __init__(
        self,
        limits: tuple[float, float] = (-1.0, 1.0),
        *,
        target: Annotated[float, Field(gt=-1, lt=1)] | Literal["off"] = 0.6,
        kimg: Annotated[float, Field(gt=0)] = 500.0,
        every: Annotated[int, Field(ge=1)] = 4,
        probability: Annotated[float, Field(ge=0, le=1), *MAY_BE_SCHEDULED] = 0.0,
        pipeline: Annotated[list[Literal["blit", "geometry", "color", "cutout"]], Field(min_length=1)] = [  # noqa: B006
            "blit",
            "geometry",
            "color",
        ],
        color_factor: Annotated[float, Field(ge=0, le=1)] = 1.0,
    ) -> None:
        super().__init__(limits)
        self.target = None if target == "off" else float(target)
        self.kimg, self.every = kimg, every
        self.pipeline, self.color_factor = frozenset(pipeline), color_factor
        self.register_buffer("probability", torch.tensor(float(probability)))
        # Since the last decision, in all processes: sum of signs and number of signs, in images; images; updates.
        self.register_buffer("interval", torch.zeros(4))
        # In this update, in this process: sum of signs, logits. Zero whenever a state is saved.
        self.register_buffer("_update", torch.zeros(2), persistent=False)

    @staticmethod
    def validation_errors(options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """A scheduled probability that a controller would change as well."""
        if isinstance(options.get("probability"), Mapping) and options.get("target") != "off":
            yield (
                f"objective.augment.target = {options.get('target')}: the probability is scheduled, "
                'leave it to the schedule by target = "off"'
            )

    @torch.no_grad()
    def observe(self, real_logits: Tensor) -> None:
        """Count the signs."""
        if self.target is not None:
            signs = real_logits.detach().float().sign()
            self._update[0] += signs.sum()
            self._update[1] += signs.numel()

    @torch.no_grad()
    def adjust(self, images: int, mean: Callable[[Tensor], Tensor]) -> None:
        """In every so many calls, p += sign(r_t - target) images / (1000 kimg), within [0, 1] (section 3).

        r_t is the mean sign of the logits of real images since the last decision, and ``images`` are those since then.
        """
        if self.target is None:
            return
        # Processes have equally many logits: counted in images, the sums are the same for any number of them.
        update = mean(self._update)
        self.interval[0] += update[0] / update[1].clamp(min=1) * images
        self.interval[1] += images
        self.interval[2] += images
        self.interval[3] += 1
        self._update.zero_()
        signs, logits, shown, updates = self.interval.clone().unbind()
        due = updates >= self.every
        change = (signs / logits.clamp(min=1) - self.target).sign() * shown / (1000 * self.kimg)
        self.probability.copy_(torch.where(due, (self.probability + change).clamp(0, 1), self.probability))
        self.interval.mul_(~due)

    def adapted(self) -> dict[str, Tensor]:
        """The probability, where a controller adapts it."""
        return {} if self.target is None else {"probability": self.probability}

    def start_from(self, adapted: Mapping[str, Tensor]) -> None:
        """The probability, for the controller to continue from."""
        found = adapted.get("probability")
        if self.target is not None and found is not None and found.numel() == 1:
            self.probability.copy_(found.float().view(()).nan_to_num(0.0).clamp(0, 1))

    def draw(self, count: int, random: Random, strength: float | Tensor | None) -> Transform:
        """Of each group in use, whether each transform happens, and how."""
        p = self.probability if strength is None else strength
        draws = _Draws(count, random)
        transforms: list[Transform] = []
        moves = _blit(draws, p) if "blit" in self.pipeline else []
        moves += _geometry(draws, p) if "geometry" in self.pipeline else []
        if moves:
            transforms.append(lambda images: _move(images, moves))
        if "color" in self.pipeline:
            transforms.append(_color(draws, p * self.color_factor))
        if "cutout" in self.pipeline:
            transforms.append(_cutout(draws, p))

        def transform(images: Tensor) -> Tensor:
            for each in transforms:
                images = each(images)
            return images

        return transform


Probability = float | Tensor
Move = Callable[[int, int], Affine]
"""From height and width to the inverse of an affine map of each image."""


class _Draws:
    """Random numbers of each image, (N,) at each call."""

    def __init__(self, count: int, random: Random) -> None:
        self._shape, self._random = (count,), random

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * self._random.uniform(self._shape)

    def whole(self, below: int) -> Tensor:
        """0, 1, … below - 1, as floats."""
        return (below * self._random.uniform(self._shape)).floor()

    def normal(self, deviation: float) -> Tensor:
        return deviation * self._random.normal(self._shape)

    def gate(self, probability: Probability) -> Tensor:
        """1 with that probability, otherwise 0."""
        return (self._random.uniform(self._shape) < probability).float()


def _blit(draws: _Draws, p: Probability) -> list[Move]:
    mirror = 1 - 2 * draws.whole(2) * draws.gate(p)
    turns = draws.whole(4) * draws.gate(p)
    gate = draws.gate(p)
    right, down = draws.uniform(-0.125, 0.125) * gate, draws.uniform(-0.125, 0.125) * gate
    # Exact, where cosine and sine of a quarter turn are only nearly 0 and 1.
    cosine, sine = torch.where(turns % 2 == 0, 1 - turns, 0), torch.where(turns % 2 == 1, 2 - turns, 0)
    return [
        lambda height, width: Affine(xx=mirror),
        lambda height, width: Affine(cosine, sine, -sine, cosine),
        lambda height, width: Affine(x=-(right * width).round(), y=-(down * height).round()),
    ]


def _geometry(draws: _Draws, p: Probability) -> list[Move]:
    # Two rotations, of which at least one happens with probability p.
    rotates = 1 - (1 - p) ** 0.5
    scale = torch.exp2(-draws.normal(0.2) * draws.gate(p))
    first = draws.uniform(-math.pi, math.pi) * draws.gate(rotates)
    aspect = torch.exp2(-draws.normal(0.2) * draws.gate(p))
    second = draws.uniform(-math.pi, math.pi) * draws.gate(rotates)
    gate = draws.gate(p)
    right, down = draws.normal(0.125) * gate, draws.normal(0.125) * gate
    return [
        lambda height, width: Affine(xx=scale, yy=scale),
        lambda height, width: _rotation(first),
        lambda height, width: Affine(xx=aspect, yy=1 / aspect),
        lambda height, width: _rotation(second),
        lambda height, width: Affine(x=-right * width, y=-down * height),
    ]


def _rotation(angle: Tensor) -> Affine:
    return Affine(angle.cos(), angle.sin(), -angle.sin(), angle.cos())


def _move(images: Tensor, moves: list[Move]) -> Tensor:
    """All moves, in that order, as one resampling; images that none of them moves stay exactly as they are."""
    height, width = images.shape[2:]
    inverse = reduce(Affine.after, (move(height, width) for move in moves))
    columns = torch.broadcast_tensors(*(torch.as_tensor(value, device=images.device) for value in inverse))
    moved = torch.stack([value != same for value, same in zip(columns, Affine(), strict=True)]).any(0)
    if images.device.type == "cpu":
        # Resample only those that move. Elsewhere the CPU would have to wait for their number.
        rows = moved.nonzero().flatten()
        some = Affine(*(value[rows] for value in columns))
        return images.index_copy(0, rows, resample(images[rows], some))
    return torch.where(moved.view(-1, 1, 1, 1), resample(images, Affine(*columns)), images)


def _color(draws: _Draws, p: Probability) -> Transform:
    """Transforms along the grey axis (1, 1, 1) and around it, which commute and so need no matrices.

    Along the axis brightness adds b, contrast scales by c, inversion changes the sign. Across it contrast scales by c,
    saturation by s, and hue rotates.
    """
    brightness = draws.normal(0.2) * draws.gate(p)
    contrast = torch.exp2(draws.normal(0.5) * draws.gate(p))
    along = contrast * (1 - 2 * draws.whole(2) * draws.gate(p))
    hue = draws.uniform(-math.pi, math.pi) * draws.gate(p)
    across = contrast * torch.exp2(draws.normal(1.0) * draws.gate(p))
    cosine, sine = across * hue.cos(), across * hue.sin() / 3**0.5

    def transform(images: Tensor, opacity: Tensor) -> Tensor:
        offset = per_image(along * brightness, images) * opacity
        if images.shape[1] < 3:
            return images * per_image(along, images) + offset
        grey = images.mean(1, keepdim=True)
        # The cross product of the axis and a colour is the difference of its other two channels.
        turned = images.roll(1, 1) - images.roll(-1, 1)
        colors = images * per_image(cosine, images) + turned * per_image(sine, images)
        return colors + (grey * per_image(along - cosine, images) + offset)

    return lambda images: on_colors(transform, images)


def _cutout(draws: _Draws, p: Probability) -> Transform:
    # A centre far outside the image covers none of it.
    outside = 2 * (1 - draws.gate(p))
    x, y = draws.uniform(0, 1) + outside, draws.uniform(0, 1)
    return lambda images: cut_out(images, x, y)
