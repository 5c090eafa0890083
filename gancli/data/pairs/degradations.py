"""Degradations by name: from an image to the degraded one that a translator learns to restore.

Each is a pure function of a batch of float images (N, C, H, W) in [0, 1] and gives images of the same shape. Random
ones (the position of a hole, noise) take a seed for each image, so that an image is degraded in the same way in every
batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from gancli.alpha import premultiply, straighten
from gancli.errors import UsageError

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey: ITU-R 601-2."""

_BLOCK = 1024


def mosaic(images: Tensor, block: float, seeds: Sequence[int]) -> Tensor:
    """Blocks of ``block`` x ``block`` pixels, each of its mean colour; those at the far edges may be smaller."""
    whole = _means(images, int(block)).repeat_interleave(int(block), -2).repeat_interleave(int(block), -1)
    return whole[..., : images.shape[-2], : images.shape[-1]].contiguous()


def mask(images: Tensor, share: float, seeds: Sequence[int]) -> Tensor:
    """A hole at a random position, ``share`` as high and wide as the image, filled with the mean colour of the rest."""
    hole = _holes(images, share, seeds)
    left = (images * ~hole).sum((2, 3), keepdim=True) / (~hole).sum((2, 3), keepdim=True)
    return torch.where(hole, left, images)


def gray(images: Tensor, amount: float, seeds: Sequence[int]) -> Tensor:
    """Luma in every channel but alpha."""
    made = _luma(images).expand(-1, min(3, images.shape[1]), -1, -1)
    return torch.cat([made, images[:, 3:]], 1)


def downscale(images: Tensor, factor: float, seeds: Sequence[int]) -> Tensor:
    """``factor`` times smaller by area, then bicubic back to the same size."""
    return _bicubic(images, factor)


def noise(images: Tensor, std: float, seeds: Sequence[int]) -> Tensor:
    """Gaussian noise of standard deviation ``std`` in levels of 255; the result is clipped to [0, 1]."""
    drawn = [torch.randn(images.shape[1:], generator=_generator(seed)) for seed in seeds]
    return (images + torch.stack(drawn).to(images) * (std / 255)).clamp(0, 1)


def edges(images: Tensor, amount: float, seeds: Sequence[int]) -> Tensor:
    """The gradient magnitude of the luma (Sobel's filter), bright on opaque black: a step from black to white gives
    1."""
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(images) / 4
    padded = F.pad(_luma(images), (1, 1, 1, 1), mode="replicate")
    gradient = F.conv2d(padded, torch.stack([across, across.T])[:, None])
    made = gradient.square().sum(1, keepdim=True).sqrt().clamp(0, 1).expand(-1, min(3, images.shape[1]), -1, -1)
    return torch.cat([made, torch.ones_like(images[:, 3:])], 1)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _holes(images: Tensor, share: float, seeds: Sequence[int]) -> Tensor:
    """The mask of each image's hole: bool (N, 1, H, W)."""
    sides = images.shape[2:]
    height, width = (min(side - 1, max(1, round(side * share))) for side in sides)
    places = torch.tensor([sides[0] - height + 1, sides[1] - width + 1])
    holes = torch.zeros(len(images), 1, *sides, dtype=torch.bool)
    for hole, seed in zip(holes, seeds, strict=True):
        top, left = (torch.rand(2, generator=_generator(seed)) * places).long().tolist()
        hole[:, top : top + height, left : left + width] = True
    return holes.to(images.device)


def _luma(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    return (images[:, :3] * torch.tensor(_LUMA).to(images).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _means(images: Tensor, block: int) -> Tensor:
    """The mean of every block: (N, C, ceil(H / block), ceil(W / block))."""
    return F.avg_pool2d(images, block, ceil_mode=True, count_include_pad=False)


def _bicubic(images: Tensor, factor: float) -> Tensor:
    """Means of blocks, enlarged again to the size of the images."""
    small = _means(images, int(factor))
    whole = F.interpolate(small, scale_factor=int(factor), mode="bicubic", align_corners=False).clamp(0, 1)
    return whole[..., : images.shape[-2], : images.shape[-1]].contiguous()


def _unchanged(degraded: Tensor, amount: float) -> Tensor:
    return degraded


@dataclass(frozen=True)
class Kind:
    """One kind of degradation.

    Attributes:
        spoil: images, amount and one seed an image, to images of the same shape.
        what: the amount in words; empty for a degradation without one.
        usual: the default amount; where it is an int, amounts are whole numbers.
        limits: the least and the greatest amount.
        baseline: the simplest restoration, of degraded images and the amount; None where there is none.
        words: the baseline in words.
    """

    spoil: Callable[[Tensor, float, Sequence[int]], Tensor]
    what: str = ""
    usual: float = 0
    limits: tuple[float, float] = (0, 0)
    baseline: Callable[[Tensor, float], Tensor] | None = _unchanged
    words: str = ""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "mosaic": Kind(mosaic, "pixels a block", 4, (2, 64), _bicubic, "bicubic"),
        "mask": Kind(mask, "the hole's share of each side", 0.5, (0.05, 0.9), words="mean fill"),
        "gray": Kind(gray, words="grey"),
        "downscale": Kind(downscale, "times smaller", 4, (2, 64), words="bicubic"),
        "noise": Kind(noise, "standard deviation in levels of 255", 25.0, (1, 255), words="the noisy image"),
        "edges": Kind(edges, baseline=None),
    }
)


@dataclass(frozen=True)
class Degradation:
    """A degradation with its amount, as ``mosaic:8`` names it.

    Attributes:
        name: of :data:`KINDS`.
        amount: how strong.
    """

    name: str
    amount: float

    @property
    def kind(self) -> Kind:
        """Its entry in :data:`KINDS`."""
        return KINDS[self.name]

    def __str__(self) -> str:
        return f"{self.name} {self.amount:g}" if self.kind.what else self.name

    def spoil(self, images: Tensor, first: int = 0) -> Tensor:
        """Degrade images uint8 (N, C, H, W); the seed of image i is ``first + i``."""
        if self.name == "gray" and images.shape[1] == 1:
            raise UsageError("the images are grey already: there is no colour to give back", "choose a set in colour")
        return in_blocks(
            images,
            lambda block, start: self.kind.spoil(block, self.amount, range(first + start, first + start + len(block))),
        )

    def baseline(self, spoiled: Tensor) -> Tensor | None:
        """The simplest restoration of degraded images uint8 (N, C, H, W); None where there is none."""
        restore = self.kind.baseline
        return None if restore is None else in_blocks(spoiled, lambda block, start: restore(block, self.amount))


def in_blocks(images: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Change uint8 images (N, C, H, W), block by block as floats in [0, 1], with the position of the block's first;
    with alpha, in premultiplied colours."""
    made = torch.empty_like(images)
    for start in range(0, len(images), _BLOCK):
        block = premultiply(images[start : start + _BLOCK].float()) / 255
        made[start : start + _BLOCK] = straighten(change(block, start) * 255).round_().clamp_(0, 255).byte()
    return made


def parse(source: str) -> Degradation | None:
    """The degradation that a recipe's ``data.source`` names, as in ``mosaic`` or ``mosaic:8``; None for other sources.

    Raises:
        UsageError: an impossible amount.
    """
    name, colon, amount = source.partition(":")
    if name not in KINDS:
        return None
    kind = KINDS[name]
    if not colon:
        return Degradation(name, kind.usual)
    if not kind.what:
        raise UsageError(f"data.source = '{source}': {name} takes no number", f"write '{name}' alone")
    try:
        value = float(amount)
    except ValueError:
        value = math.nan
    least, most = kind.limits
    whole = isinstance(kind.usual, int)
    if not least <= value <= most or (whole and value != int(value)):
        number = "a whole number" if whole else "a number"
        raise UsageError(
            f"data.source = '{source}': {kind.what} is {number} from {least:g} to {most:g}",
            f"as in `data.source={name}:{kind.usual:g}`",
        )
    return Degradation(name, value)
