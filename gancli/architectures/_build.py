"""A recipe's networks: its options checked, built without weights first, and refused where absurdly large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gancli import registry
from gancli.architectures._base import Generator, Spec, Translator
from gancli.errors import GancliError, UsageError
from gancli.latents import LatentSpec
from gancli.recipe import Recipe
from gancli.recipe.validation_errors import shown

# A recipe inside a file from a stranger may ask for any network: four billion parameters are nobody's honest wish.
LARGEST = 4_000_000_000

MODEST = 2**26
"""Bytes of a layer's images up to which their number is not limited."""

ALL = 2**20
"""Images at a time where none is large: no limit at all."""


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
    make, spec, options = _make(recipe, name), spec_of(recipe), options_of(recipe, name)
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


def _make(recipe: Recipe, name: str) -> Any:
    """The class of a recipe's network."""
    network = recipe.networks[name]
    roles, role = registry.get("architecture", network.architecture), network.role or name
    if role not in roles:
        raise UsageError(
            f"networks.{name}: '{network.architecture}' has no {role}", f"it has {', '.join(sorted(roles))}"
        )
    return roles[role]


def options_of(recipe: Recipe, name: str) -> dict[str, Any]:
    """The options of a recipe's network, defaults included.

    Raises:
        UsageError: one that is not valid.
    """
    try:
        return registry.options(_make(recipe, name)).model_validate(recipe.networks[name].options).model_dump()
    except ValidationError as error:
        where = ".".join(["networks", name, *map(str, error.errors()[0]["loc"])])
        value = shown(error.errors()[0]["input"])
        raise UsageError(f"{where} = {value} cannot be", "see the network's own file") from None


def images_at_once(recipe: Recipe, name: str) -> int:
    """How many images of a recipe's network there is memory for at a time, from shapes alone.

    A file of a few kilobytes may ask for convolutions of 4096x4096 pixels with thousands of channels.

    Raises:
        GancliError: not even one, or a network that makes no images.
    """
    spec = spec_of(recipe)
    network = build(recipe, name, blank=True).eval()
    if not isinstance(network, Generator | Translator):
        raise GancliError(f"its network '{name}' makes no images")
    widest = max((max(value.shape[:2]) for value in network.parameters() if value.dim() == 4), default=1)
    # At twice the size, as a layer may double an image before the next one cuts it.
    if 4 * widest * 4 * spec.shape[1] * spec.shape[2] <= MODEST:
        return ALL
    from gancli.data.memory import total_memory

    with torch.device("meta"):
        inputs = {"source": torch.empty(1, *spec.shape)} if isinstance(network, Translator) else spec.latent.hollow()
        try:
            each = _activations(network, inputs)
        except RuntimeError:  # its forward pass depends on values, of which there are none there
            each = 4 * widest * spec.shape[1] * spec.shape[2]
    if (most := total_memory() // 4) < each:
        raise GancliError(
            f"one image of it takes {each / 2**30:,.1f} GiB of memory, and {most / 2**30:,.1f} are to spare"
        )
    return max(1, min(ALL, most // max(1, each)))


def _activations(network: nn.Module, inputs: Mapping[str, Tensor]) -> int:
    """Bytes of the inputs and outputs of the layer that has most of them, of a network on the meta device."""
    most = 0

    def measure(_layer: nn.Module, inputs: Any, outputs: Any) -> None:
        nonlocal most
        tensors = [each for each in (*inputs, outputs) if isinstance(each, Tensor)]
        most = max(most, sum(each.nbytes for each in tensors))

    hooks = [layer.register_forward_hook(measure) for layer in network.modules()]
    try:
        with torch.inference_mode():
            network(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return most


def assemble(recipe: Recipe, name: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A network of a recipe with a file's weights, frozen, in evaluation mode; half precision becomes single.

    Args:
        recipe: with its image size and channels.
        name: which of its networks.
        tensors: of a file, under the network's name, a dot and their own.

    Raises:
        GancliError: a tensor is missing, superfluous, of another shape or type, or not finite.
    """
    network = build(recipe, name, blank=True)
    own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
    expected = network.state_dict()
    misfits = sorted(set(expected) ^ set(own))
    misfits += sorted(key for key in set(expected) & set(own) if not _fits(own[key], expected[key]))
    if misfits:
        raise GancliError(f"its tensor '{name}.{misfits[0]}' does not fit its recipe")
    network.load_state_dict({key: own[key].to(value.dtype) for key, value in expected.items()}, assign=True)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _fits(value: Tensor, expected: Tensor) -> bool:
    alike = value.shape == expected.shape and value.is_floating_point() == expected.is_floating_point()
    return alike and not value.is_complex() and bool(torch.isfinite(value).all())


class _Blank(TorchFunctionMode):
    """Leaves weights undrawn: on the meta device there is nothing to draw, and trying imports PyTorch's compiler."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
