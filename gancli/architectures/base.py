"""What every network is built for, and the types of their options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError
from torch import nn
from torch.overrides import TorchFunctionMode

from gancli import registry
from gancli.errors import UsageError
from gancli.latent import LatentSpec
from gancli.recipe import Recipe

Width = Annotated[int, Field(ge=1, le=8192)]
"""Channels or features of a layer."""

Share = Annotated[float, Field(ge=0, lt=1)]
"""A dropout probability, a slope."""

# A recipe inside a file from a stranger may ask for any network: four billion parameters are nobody's honest wish.
LARGEST = 4_000_000_000

RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "linear": None}
"""What a generator's last function makes of its output: (lowest, highest) pixel value; None for numbers, no pixels."""

Output = Literal["tanh", "sigmoid", "linear"]


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


def spec_of(recipe: Recipe) -> Spec:
    """The spec of a recipe whose data section is resolved.

    Raises:
        UsageError: size or channels are not known yet.
    """
    if recipe.data.size is None or recipe.data.channels is None:
        raise UsageError("the recipe names no image size and channels", "add data.size and data.channels to it")
    if recipe.latent.classes == "data":
        raise UsageError("the recipe leaves its classes to the data", "give their number, as in latent.classes = 10")
    latent = LatentSpec(**recipe.latent.model_dump())
    return Spec((recipe.data.channels, *recipe.data.size), latent)


def build(recipe: Recipe, name: str, *, blank: bool = False) -> nn.Module:
    """One network of a recipe.

    Args:
        recipe: with its image size and channels.
        name: which of its networks.
        blank: without weights, on the meta device; otherwise with weights as the family initialises them.

    Raises:
        UsageError: the family cannot serve this shape, or the network would be absurdly large.
    """
    network = recipe.networks[name]
    roles, role = registry.get("architecture", network.architecture), network.role or name
    if role not in roles:
        raise UsageError(
            f"networks.{name}: '{network.architecture}' has no {role}", f"it has {', '.join(sorted(roles))}"
        )
    make: Any = roles[role]
    spec = spec_of(recipe)
    try:
        options = registry.options(make).model_validate(network.options).model_dump()
    except ValidationError as error:
        where = ".".join(["networks", name, *map(str, error.errors()[0]["loc"])])
        raise UsageError(f"{where} = {error.errors()[0]['input']!r} cannot be", "see the network's own file") from None
    with torch.device("meta"), _Blank():
        hollow = make(spec, **options)
    size = sum(parameter.numel() for parameter in hollow.parameters())
    if size > LARGEST:
        raise UsageError(f"{name} would have {size:,} parameters", "choose a smaller width or image size")
    return hollow if blank else make(spec, **options)


class _Blank(TorchFunctionMode):
    """Leaves weights undrawn: on the meta device there is nothing to draw, and trying imports PyTorch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
