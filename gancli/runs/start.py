"""Starting a training from trained weights instead of from noise."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gancli import checkpoint, registry
from gancli.alpha import CHANNELS
from gancli.architectures import Network, Spec
from gancli.architectures._build import build, options_of, spec_of
from gancli.architectures._transfer import Misfit, Transfer, transfer
from gancli.data.paths import is_table
from gancli.data.synthetic import FORMULAS
from gancli.errors import UsageError
from gancli.model import discriminator_of, load
from gancli.recipe import Recipe, merge
from gancli.training.checks import frozen
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

CARRIED = ("batch", "rate_decay", "ema", "accumulate", "share_norm", "samples", "columns")
"""What a training takes over from the section ``training`` of the weights' recipe. Budget, seed, precision and threads
belong to the training that made them."""


@dataclass(frozen=True)
class Weights:
    """Trained weights to start from.

    The networks of a model file are averages where its recipe has an EMA. The generator and its new average both start
    from these, since the average is the better generator; the discriminator, of which there is no average, starts from
    its weights as trained.

    Attributes:
        name: of the model, as in reports.
        sha256: of the model's file.
        recipe: that the weights were trained by.
        networks: by name, with the discriminator where one lies beside the model.
        augmentation: what the discriminator's augmentation has adapted.
        labelled: whether the classes that the generator takes are the labels of its data.
        numbers: whether it makes numbers and not images.
        licence: that holds for what is trained from them; empty for weights that gancli trained from noise.
    """

    name: str
    sha256: str
    recipe: Recipe
    networks: Mapping[str, nn.Module]
    augmentation: Mapping[str, Tensor]
    labelled: bool
    numbers: bool
    licence: str = ""

    @property
    def spec(self) -> Spec:
        """What the networks were built for."""
        return spec_of(self.recipe)

    def start(self, freeze_d: int = 0) -> dict[str, Any]:
        """The recipe's section ``training.start``."""
        return {"model": self.name, "sha256": self.sha256, "freeze_d": freeze_d, "licence": self.licence}


@dataclass(frozen=True)
class Source:
    """Where a network's weights come from.

    Attributes:
        network: its name.
        parameters: how many values it has.
        taken: how many of them are taken over.
        adapted: names of the tensors that were adapted to another shape.
        misfits: tensors that start from noise.
        reason: what is different in the trained network; empty where that is nothing.
        found: whether there is a trained network.
    """

    network: str
    parameters: int
    taken: int = 0
    adapted: tuple[str, ...] = ()
    misfits: tuple[Misfit, ...] = ()
    reason: str = ""
    found: bool = True


def read(name: str) -> Weights:
    """The weights of a model, on the CPU.

    Args:
        name: of the zoo, a run folder, or a ``.safetensors`` file.

    Raises:
        GancliError: no such model, or a file that is not one; a discriminator's file beside it that is damaged.
    """
    path = catalogue.find(name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    model = load(path, device="cpu")
    networks, augmentation = dict(model.networks), {}
    if (discriminator := discriminator_of(model)) is not None:
        networks["discriminator"] = discriminator
        tensors, _ = checkpoint.read(catalogue.discriminator_path(path))
        prefix = "augmentation."
        augmentation = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    return Weights(
        model.name,
        digest,
        model.recipe,
        networks,
        augmentation,
        model.labelled,
        model.numbers,
        model.licence[:200] if "imported" in model.header else model.inherited_licence,
    )


def recipe_table(weights: Weights, data: str, labelled: bool = True) -> dict[str, Any]:
    """The recipe of the weights for a new training on other data, unchecked.

    Images have the size that the networks were trained for, so that all layers fit, and alpha where those had it;
    channels otherwise and classes are those of the data.

    Args:
        weights: whose recipe.
        data: a data set's name, a path, or shards.
        labelled: whether the data has classes, on which a model of the zoo is conditioned then, if its recipe says so.
    """
    table = weights.recipe.to_dict()
    before, training = table["data"], table["training"]
    numbers = weights.numbers or data in FORMULAS or is_table(data)
    keys = ("source", "paired") if numbers else ("size", "source", "paired")
    table["data"] = {key: before[key] for key in keys if key in before}
    if before.get("channels") == CHANNELS:
        table["data"]["channels"] = CHANNELS
    table["training"] = {key: training[key] for key in CARRIED if key in training}
    table["latent"].pop("shares", None)
    if weights.labelled:
        table["latent"]["classes"] = "data"
    model = table["model"]
    if labelled == weights.labelled or model not in catalogue.models():
        return table
    base = catalogue.recipe_table(model)
    variant = base.get("labelled", {})
    return merge(table, variant) if labelled else _without(table, variant, base)


def _without(table: Mapping[str, Any], variant: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Tables with what a variant had laid over them as it is in the base."""
    restored = dict(table)
    for key, value in variant.items():
        old, inner = base.get(key), restored.get(key)
        if old is None:
            restored.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(inner, Mapping):
            restored[key] = _without(inner, value, old if isinstance(old, Mapping) else {})
        else:
            restored[key] = old
    return restored


def check(recipe: Recipe, weights: Weights | None) -> list[Source]:
    """Where the weights of each network come from, before anything is trained; nothing without weights.

    Args:
        recipe: with its image size, channels and classes.
        weights: that its ``training.start`` names.

    Raises:
        UsageError: no layer of the generator fits; a layer that would be frozen starts from noise; a recipe that starts
            from weights without any, or from others.
    """
    start = recipe.training.start
    if start is None:
        return []
    if weights is None or weights.sha256 != start.sha256:
        raise UsageError(
            f"the recipe of '{recipe.model}' starts from the weights of {start.model}, and these were not named",
            f"`weights={start.model}`, or `training.start=none` to start from noise",
        )
    networks = {name: build(recipe, name, blank=True) for name in recipe.networks}
    sources = {name: _source(name, network, recipe, weights) for name, network in networks.items()}
    first = registry.get("objective", recipe.objective.name).exported[0]
    if not any(value.dim() > 1 for value in _transferred(first, networks[first], recipe, weights).tensors.values()):
        raise UsageError(
            f"no layer of {weights.name} fits the {first} of '{recipe.model}': {sources[first].reason or 'no weights'}",
            f"leave out `model` to train networks like those of {weights.name}",
        )
    _check_frozen(frozen(recipe, networks), sources, weights)
    return list(sources.values())


def _check_frozen(names: list[str], sources: Mapping[str, Source], weights: Weights) -> None:
    if not names:
        return
    if not sources["discriminator"].found:
        raise UsageError(
            f"there are no weights of a discriminator beside {weights.name}, so no layer of it can be frozen",
            "leave out `freeze_d`",
        )
    noise = {misfit.name for misfit in sources["discriminator"].misfits}
    if unfit := next((name for name in names if name in noise), None):
        raise UsageError(
            f"the discriminator's tensor {unfit} would be frozen, and it starts from noise: "
            f"{sources['discriminator'].reason}",
            "leave out `freeze_d`, or freeze fewer layers",
        )


def take_over(trainer: Trainer, weights: Weights | None) -> None:
    """Put weights into the networks of a training, into their average and its augmentation, before the first round.

    The optimizers start anew: their moments are those of another data set's gradients.

    Raises:
        UsageError: as :func:`check`.
    """
    check(trainer.recipe, weights)
    assert weights is not None
    with torch.no_grad():
        for name, network in trainer.networks.items():
            own = network.state_dict()
            for key, value in _transferred(name, network, trainer.recipe, weights).tensors.items():
                own[key].copy_(value)
    if trainer.ema is not None:
        trainer.ema.begin_at(trainer.networks)
    augmentation = getattr(trainer.objective, "augmentation", None)
    if augmentation is not None:
        augmentation.start_from(weights.augmentation)


def _transferred(name: str, network: nn.Module, recipe: Recipe, weights: Weights) -> Transfer:
    there = weights.networks.get(name)
    if not isinstance(network, Network) or not isinstance(there, Network) or type(there) is not type(network):
        return Transfer(misfits=[Misfit(key, tuple(v.shape), None) for key, v in network.state_dict().items()])
    return transfer(network, spec_of(recipe), there, weights.spec)


def _source(name: str, network: nn.Module, recipe: Recipe, weights: Weights) -> Source:
    sizes = {key: value.numel() for key, value in network.named_parameters()}
    total = sum(sizes.values())
    if name not in weights.networks:
        return Source(name, total, found=False)
    found = _transferred(name, network, recipe, weights)
    taken = sum(size for key, size in sizes.items() if key in found.tensors)
    reason = _reason(name, recipe, weights)
    return Source(name, total, taken, tuple(found.adapted), tuple(found.misfits), reason)


def _reason(name: str, recipe: Recipe, weights: Weights) -> str:
    """What is different in a trained network, in words."""
    here, there = recipe.networks[name], weights.recipe.networks[name]
    if here.architecture != there.architecture:
        return f"another architecture ({here.architecture} here, {there.architecture} there)"
    spec, other = spec_of(recipe), weights.spec
    latent, latent_there = spec.latent, other.latent
    options, options_there = options_of(recipe, name), options_of(weights.recipe, name)
    pairs = {
        "channels": (spec.shape[0], other.shape[0]),
        "size": ("x".join(map(str, spec.shape[1:])), "x".join(map(str, other.shape[1:]))),
        "classes": (latent.classes, latent_there.classes),
        "latent": (latent.dim + latent.codes, latent_there.dim + latent_there.codes),
        **{option: (value, options_there.get(option)) for option, value in options.items()},
    }
    different = [f"other {key} ({new} here, {old} there)" for key, (new, old) in pairs.items() if new != old]
    return ", ".join(different)
