"""Output functions of generators, the ranges of pixel values that they give, and what leads from and to 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from gancli.alpha import premultiply, straighten

Output = Literal["tanh", "sigmoid", "identity", "linear"]
PixelOutput = Literal["tanh", "sigmoid"]

RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "identity": (-1.0, 1.0), "linear": None}
"""(lowest, highest) value that an output function gives; None for numbers that are no pixels. What "identity" gives
outside of its range is cut off in images."""

# Inverses of the output functions; the ends of their ranges, which no finite input reaches, are drawn in a little.
INVERSES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda source: torch.atanh(0.99 * source.float()),
    "sigmoid": lambda source: torch.logit(0.005 + 0.99 * source.float()),
}


def squash(output: Output) -> nn.Module:
    """The output function of that name."""
    return {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "identity": nn.Identity, "linear": nn.Identity}[output]()


def to_uint8(images: Tensor, limits: tuple[float, float]) -> Tensor:
    """Float images in [low, high] to uint8 on the CPU, rounded; what lies outside is cut off.

    Colours of four channels, premultiplied, become straight; see :mod:`gancli.alpha`.
    """
    return straighten(to_255(images, limits)).round_().clamp_(0, 255).to(torch.uint8).cpu()


def to_255(images: Tensor, limits: tuple[float, float]) -> Tensor:
    """Float images in [low, high] to float32 in [0, 255], neither rounded nor cut off."""
    low, high = limits
    return (images.float() - low) * (255 / (high - low))


def from_uint8(images: Tensor, limits: tuple[float, float]) -> Tensor:
    """Images uint8 (N, C, H, W) to float32 in [low, high], where they are; with alpha, to premultiplied colours."""
    low, high = limits
    return (premultiply(images.float()) * ((high - low) / 255) + low).contiguous(memory_format=torch.channels_last)
