"""The smallest training there is, shared by the tests of this folder."""

from pathlib import Path
from typing import Any

import torch

from gancli import checkpoint, recipe, registry
from gancli.data import Dataset
from gancli.data.requested import load_for
from gancli.recipe import Recipe
from gancli.runs import planning
from gancli.runs.run import Run
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

CPU = torch.device("cpu")

NARROW = {"width": 4, "dense": 8, "hidden": [8], "depth": 4, "depths": [4, 4, 4], "features": 8, "blocks": 1}
"""Values for whatever of these a network has."""


def tiny(rounds: int = 6, model: str = "quick", **sections: Any) -> Recipe:
    """A resolved recipe for 8x8 digits, or for numbers where the model makes numbers, with small networks."""
    table = catalogue.recipe_table(model)
    numbers = table["networks"].get("generator", {}).get("output") == "linear"
    table = recipe.for_data(table, "sine" if numbers else "digits")
    small: dict[str, Any] = {
        "data": {"channels": 3} if table["data"].get("source") == "gray" else {},
        "latent": {"dim": 6},
        "training": {"rounds": rounds, "batch": 12, "precision": "fp32", "samples": 4},
        "networks": {name: narrow(name, network) for name, network in table["networks"].items()},
    }
    made = recipe.parse(recipe.merge(recipe.merge(table, small), sections))
    return planning.resolve(made, dataset(made), CPU)


def narrow(name: str, network: dict[str, Any]) -> dict[str, Any]:
    """Small values for the options that a network has."""
    role = registry.get("architecture", network["architecture"])[network.get("role") or name]
    options = registry.options(role).model_fields
    return {key: value for key, value in NARROW.items() if key in options and network.get(key) != 0}


def dataset(made: Recipe) -> Dataset:
    """What a recipe is trained on."""
    return load_for(made.data)


def trainer(made: Recipe) -> Trainer:
    """In memory."""
    return Trainer(made, dataset(made), CPU)


def run(folder: Path, made: Recipe) -> Run:
    """In a folder."""
    return Run(folder, made, dataset(made), CPU)


def left(folder: Path) -> dict[str, str]:
    """What a run ends as, but for times: digests of the tensors of state and model, and the recipe."""
    names = (catalogue.STATE_FILE, catalogue.MODEL_FILE)
    found = {name: checkpoint.digest(checkpoint.read(folder / name)[0]) for name in names}
    return found | {"recipe": (folder / "recipe.toml").read_text()}


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the bit, tensors and all else."""
    (tensors, plain), (there, plain_there) = checkpoint.flatten(one), checkpoint.flatten(other)
    alike = plain == plain_there and tensors.keys() == there.keys()
    return alike and all(torch.equal(tensors[name], there[name]) for name in tensors)


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.grids = 0

    def row(self, values: dict[str, float]) -> None:
        self.rows.append(values)

    def replanned(self, rounds: int) -> None:
        self.planned = rounds

    def pictures(self, images: torch.Tensor) -> None:
        self.grids += 1
        assert images.dtype == torch.uint8
