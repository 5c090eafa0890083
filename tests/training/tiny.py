"""The smallest training there is, shared by the tests of this folder."""

from pathlib import Path
from typing import Any

import torch

from gancli import catalog, recipe
from gancli.data import load
from gancli.recipe import Recipe
from gancli.training.run import Run
from gancli.training.trainer import Trainer

CPU = torch.device("cpu")


def tiny(rounds: int = 6, model: str = "quick", **sections: Any) -> Recipe:
    """A resolved recipe for the 8x8 digits with small networks."""
    table = recipe.for_data(catalog.recipe_table(model), "digits")
    small = {
        "data": {"size": [8, 8], "channels": 1},
        "latent": {"dim": 6},
        "training": {"rounds": rounds, "batch": 12, "precision": "fp32", "samples": 4},
    }
    if model != "gan":
        narrow = {"width": 4, "dense": 8}
        small["networks"] = {"generator": narrow, "discriminator": narrow}
    return recipe.parse(recipe.merge(recipe.merge(table, small), sections))


def trainer(made: Recipe) -> Trainer:
    """In memory."""
    return Trainer(made, load("digits"), CPU)


def run(folder: Path, made: Recipe) -> Run:
    """In a folder."""
    return Run(folder, made, load("digits"), CPU)


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.grids = 0

    def row(self, values: dict[str, float]) -> None:
        self.rows.append(values)

    def pictures(self, images: torch.Tensor) -> None:
        self.grids += 1
        assert images.dtype == torch.uint8
