"""What every network is built for, and the types of their options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.latents import LatentSpec

Width = Annotated[int, Field(ge=1, le=8192)]
"""Channels or features of a layer."""

Share = Annotated[float, Field(ge=0, lt=1)]
"""A dropout probability, a slope."""

RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "linear": None}
"""What a generator's last function makes of its output: (lowest, highest) pixel value; None for numbers, no pixels."""

Output = Literal["tanh", "sigmoid", "linear"]

# What the last function makes a source of again; its ends, which no finite value gives, are drawn in a little.
INVERSES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda source: torch.atanh(0.99 * source.float()),
    "sigmoid": lambda source: torch.logit(0.005 + 0.99 * source.float()),
}


@dataclass(frozen=True)
class Spec:
    """What the networks of one recipe have in common.

    Attributes:
        shape: (channels, height, width) of an image.
        latent: what the generator takes.
    """

    shape: tuple[int, int, int]
    latent: LatentSpec


def squash(output: str) -> nn.Module:
    """The generator's last function by its name in :data:`RANGES`."""
    return {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}[output]()
