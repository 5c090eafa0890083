"""What a training publishes: the file that needs nothing beside it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import gancli
from gancli import checkpoint
from gancli.data import Dataset
from gancli.data.pairs.sources import title
from gancli.training.loop import Trainer


def published(trainer: Trainer, dataset: Dataset) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a model file: the trainer's own tensors, not copies of them."""
    objective = trainer.objective
    networks = trainer.exported
    recipe = trainer.recipe.to_dict()
    # A model that is passed on tells no path of this machine.
    recipe["data"] |= {"name": dataset.name, "source": title(recipe["data"]["source"])}
    header = {
        "format": checkpoint.FORMAT,
        "kind": "model",
        "gancli": gancli.__version__,
        "recipe": recipe,
        "networks": list(networks),
        "takes": objective.takes,
        "labelled": objective.labelled,
        "latent": trainer.spec.latent.to_dict(),
        "dataset": facts(dataset),
        "ema": trainer.ema is not None,
        "images": trainer.batches.drawn,
        "rounds": trainer.rounds,
    }
    tensors = {f"{name}.{k}": v for name, network in networks.items() for k, v in network.state_dict().items()}
    return tensors, header


def facts(dataset: Dataset) -> dict[str, Any]:
    """What files say of the data."""
    return {
        "name": dataset.name,
        "split": dataset.split,
        "fingerprint": dataset.fingerprint,
        "images": dataset.count,
        "classes": list(dataset.classes),
    }
