"""A recipe's networks: its options checked, built without weights first, and refused where absurdly large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gancli import registry
from gancli.architectures._base import Spec
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.recipe import Recipe
from gancli.recipe.validation_errors import shown

# A recipe inside a file from a stranger may ask for any network: four billion parameters are nobody's honest wish.
LARGEST = 4_000_000_000


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
        value = shown(error.errors()[0]["input"])
        raise UsageError(f"{where} = {value} cannot be", "see the network's own file") from None
    try:
        with torch.device("meta"), _Blank():
            hollow = make(spec, **options)
    except (RuntimeError, ArithmeticError, TypeError, ValueError) as error:
        # Options that are right each by itself, of a recipe that nobody may ever have tried.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"networks.{name} cannot be built: {reason[:200]}", "change its options") from error
    size = sum(parameter.numel() for parameter in hollow.parameters())
    if size > LARGEST:
        raise UsageError(f"{name} would have {size:,} parameters", "choose a smaller width or image size")
    return hollow if blank else make(spec, **options)


def activations(network: nn.Module, inputs: Mapping[str, Tensor]) -> int:
    """Bytes that the largest layer takes in and gives out, from shapes alone.

    Args:
        network: on the meta device, as :func:`build` makes it blank.
        inputs: what it is called with, on the meta device.
    """
    most = 0

    def see(_layer: nn.Module, taken: Any, given: Any) -> None:
        nonlocal most
        tensors = [each for each in (*taken, given) if isinstance(each, Tensor)]
        most = max(most, sum(each.nbytes for each in tensors))

    hooks = [layer.register_forward_hook(see) for layer in network.modules()]
    try:
        with torch.inference_mode():
            network(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return most


class _Blank(TorchFunctionMode):
    """Leaves weights undrawn: on the meta device there is nothing to draw, and trying imports PyTorch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
