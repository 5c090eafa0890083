"""Whether the parts of a recipe fit together, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from gancli.architectures import Discriminator
from gancli.architectures._layers import MinibatchDeviation
from gancli.architectures._transfer import blocks
from gancli.errors import UsageError
from gancli.processes import World
from gancli.recipe import Recipe


def rows_of_parts(recipe: Recipe, world: World) -> list[slice]:
    """The rows of the batch that this process works on, one part after the other.

    Raises:
        UsageError: the batch cannot be divided evenly.
    """
    batch, parts = recipe.training.batch, recipe.training.accumulate
    rows, rest = divmod(batch, world.size * parts)
    if rest:
        shares = f"{world.size} processes" + (f" times {parts} parts" if parts > 1 else "")
        even = max(1, round(batch / (world.size * parts))) * world.size * parts
        raise UsageError(
            f"training.batch = {batch} cannot be divided evenly by {shares}", f"as in `training.batch={even}`"
        )
    first = world.share(batch).start
    return [slice(first + part * rows, first + (part + 1) * rows) for part in range(parts)]


def check_groups(networks: Iterable[nn.Module], batch: int, rows: int) -> None:
    """Where a batch is worked on in parts, each part has whole groups of the images that minibatch deviation compares.

    Args:
        networks: any.
        batch: images in the whole batch.
        rows: images in a part.

    Raises:
        UsageError: a group would be divided.
    """
    for module in (module for network in networks for module in network.modules()):
        if isinstance(module, MinibatchDeviation) and rows < batch and rows % module.group:
            raise UsageError(
                f"training.batch = {batch}: minibatch_std compares {module.group} images, and a part has {rows}",
                f"as in `training.batch={batch // rows * module.group * max(1, round(rows / module.group))}`",
            )


def check_networks(recipe: Recipe, objective: Any) -> None:
    """The recipe has the networks that the objective trains, in their roles, and no other."""
    needed = objective.networks_needed
    if missing := sorted(set(needed) - set(recipe.networks)):
        has = ", ".join(sorted(recipe.networks))
        raise UsageError(f"objective '{recipe.objective.name}' needs networks.{missing[0]}", f"the recipe has {has}")
    if idle := sorted(set(recipe.networks) - set(needed)):
        raise UsageError(f"networks.{idle[0]} plays no part in '{recipe.objective.name}'", "leave it out")
    for name, role in needed.items():
        if (recipe.networks[name].role or name) != role:
            raise UsageError(f"networks.{name} has the role '{recipe.networks[name].role or name}'", f"it plays {role}")


def frozen(recipe: Recipe, networks: Mapping[str, nn.Module]) -> list[str]:
    """Names of the discriminator's parameters that keep the weights that the training starts from (Mo et al. 2020,
    "Freeze the discriminator: a simple baseline for fine-tuning GANs"): its lower layers, next to the image.

    Raises:
        UsageError: there is no discriminator, or it has fewer layers.
    """
    count = recipe.training.start.freeze_d if recipe.training.start else 0
    if not count:
        return []
    network = networks.get("discriminator")
    if not isinstance(network, Discriminator):
        raise UsageError(f"'{recipe.model}' has no discriminator whose layers could be frozen", "leave out `freeze_d`")
    layers = blocks(network)
    if count >= len(layers):
        raise UsageError(
            f"{count} layers of the discriminator cannot be frozen: it has {len(layers)}, and the last one is trained",
            f"`freeze_d={max(1, len(layers) // 2)}`",
        )
    kept = {id(parameter) for block in layers[:count] for layer in block for parameter in layer.parameters()}
    return [name for name, parameter in network.named_parameters() if id(parameter) in kept]
