"""What a training exports: a model file that sampling needs no other file for, and its discriminator."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import gancli
from gancli import checkpoint
from gancli.data import Dataset
from gancli.data.pairs.sources import title
from gancli.training.loop import Trainer

File = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors and header of a file: the trainer's own tensors, not copies of them."""


def model_file(trainer: Trainer, dataset: Dataset) -> File:
    """The sampled network and what else the objective exports."""
    objective = trainer.objective
    networks = trainer.exported
    recipe = trainer.recipe.to_dict()
    # A model that is passed on contains no path of this machine.
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
        "dataset": describe(dataset),
        "ema": trainer.ema is not None,
        "images": trainer.batches.drawn,
        "rounds": trainer.rounds,
    }
    tensors = {f"{name}.{k}": v for name, network in networks.items() for k, v in network.state_dict().items()}
    return tensors, header


def discriminator_file(trainer: Trainer, dataset: Dataset) -> File | None:
    """The discriminator of images that are generated from latents; None where there is none."""
    network = trainer.networks.get("discriminator")
    if network is None or trainer.objective.takes != "latent" or trainer.generator.range is None:
        return None
    header = model_file(trainer, dataset)[1] | {"kind": "discriminator", "networks": ["discriminator"]}
    tensors = {f"discriminator.{name}": value for name, value in network.state_dict().items()}
    # The augmentation belongs to what the discriminator has learned: a training that starts from it continues both.
    augmentation = getattr(trainer.objective, "augmentation", None)
    adapted = augmentation.adapted() if augmentation is not None else {}
    return tensors | {f"augmentation.{name}": value for name, value in adapted.items()}, header


def describe(dataset: Dataset) -> dict[str, Any]:
    """The data set as headers have it."""
    held_out = {} if dataset.divided is None else {"held_out": dataset.divided.to_dict()}
    return {
        "name": dataset.name,
        "split": dataset.split,
        "fingerprint": dataset.fingerprint,
        "images": dataset.count,
        "classes": list(dataset.classes),
        **({"licence": dataset.licence} if dataset.licence else {}),
        **held_out,
    }
