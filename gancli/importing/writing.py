"""Import a file of weights: read it, find the place of every tensor, and write a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gancli
from gancli import checkpoint, recipe
from gancli.architectures import Generator
from gancli.architectures._build import assemble, build, images_at_once, spec_of
from gancli.errors import GancliError, UsageError, printable
from gancli.files import check_file
from gancli.importing import isolated, matching, stylegan2
from gancli.importing.matching import Row
from gancli.recipe import Recipe
from gancli.zoo import catalogue

NETWORK = "generator"
"""The network that is imported."""


@dataclass(frozen=True)
class Imported:
    """What became of a file.

    Attributes:
        path: of the model file.
        network: the part of the file that was imported; empty for the whole.
        rows: where each layer went.
        left: tensors of that part that went nowhere.
        others: tensors of other parts of the file.
        recipe: of the model.
        licence: of the weights, where it is known; else empty.
    """

    path: Path
    network: str
    rows: list[Row]
    left: list[str]
    others: int
    recipe: Recipe
    licence: str


def import_weights(
    file: Path, model: str, out: Path, assignments: Sequence[str] = (), network: str | None = None
) -> Imported:
    """Write a model file with the weights of another program.

    Args:
        file: a state dict or a checkpoint that holds some, by PyTorch or safetensors, or a pickle of StyleGAN2-ADA.
        model: whose recipe describes the network: of the zoo, or a recipe's file.
        out: the model file.
        assignments: ``section.key=value``, of the recipe.
        network: the part of the file with the generator; None for the only one that fits.

    Raises:
        UsageError: a recipe that does not describe the network in the file.
        GancliError: a file that is not read.
    """
    _check_out(file, out)
    table = catalogue.recipe_table(model)
    described = _described(table, {}, assignments, labelled=False)  # before the file is read, which takes longer
    weights = isolated.read(file)
    licence = ""
    if weights.parts:
        family = described.networks[NETWORK].architecture
        if family != "stylegan2":
            raise UsageError(
                f"'{file.name}' holds objects of StyleGAN2-ADA, and the generator of '{described.model}' is '{family}'",
                "`model=stylegan2`",
            )
        converted = stylegan2.convert(weights, network)
        labelled = converted.recipe["latent"]["classes"] > 0
        described = _described(table, converted.recipe, assignments, labelled=labelled)
        match = matching.Match(converted.network, converted.tensors, converted.rows, [])
        licence = stylegan2.LICENCE
    else:
        _check_size(described, file)
        labelled = spec_of(described).latent.classes > 0
        match = matching.match(weights.tensors, build(described, NETWORK, blank=True).state_dict(), network)
    _write(file, out, described, match, weights.sha256, licence, labelled)
    prefix = f"{match.network}." if match.network else ""
    others = sum(not name.startswith(prefix) for name in weights.tensors)
    return Imported(out, match.network, match.rows, match.left, others, described, licence)


def _check_out(file: Path, out: Path) -> None:
    if out.suffix != ".safetensors":
        raise UsageError(f"'{out}' does not end in .safetensors", f"`out={out.stem or 'model'}.safetensors`")
    check_file(out)
    if out.exists() and file.exists() and out.samefile(file):
        raise UsageError(f"'{out}' is the file that is read", f"`out={out.stem}-gancli.safetensors`")


def _described(
    table: Mapping[str, Any], found: Mapping[str, Any], assignments: Sequence[str], *, labelled: bool
) -> Recipe:
    """The recipe with what follows from the file, and then with what the user says.

    Raises:
        UsageError: it is not valid, or its generator makes images from images.
    """
    own = recipe.merge(recipe.for_data(table, "", ["labelled"] if labelled else []), found)
    made = recipe.parse(recipe.override(own, assignments))
    if NETWORK not in made.networks:
        raise UsageError(f"the recipe of '{made.model}' has no network '{NETWORK}'", "name another recipe")
    return made


def _check_size(described: Recipe, file: Path) -> None:
    """Make sure that the recipe says what weights do not say."""
    data = described.data
    if data.size is None or data.channels is None:
        raise UsageError(
            f"the size of the images does not stand in '{file.name}'",
            "name it with `data.size=64` and `data.channels=3`",
        )


def _write(
    file: Path, out: Path, described: Recipe, match: matching.Match, sha256: str, licence: str, labelled: bool
) -> None:
    """Write the model file, if its network can be made of it."""
    tensors = {f"{NETWORK}.{name}": value for name, value in match.tensors.items()}
    try:
        images_at_once(described, NETWORK)
        if not isinstance(assemble(described, NETWORK, tensors), Generator):
            raise GancliError("the recipe's network makes images from images, not from latents")
    except GancliError as error:
        raise UsageError(
            f"'{file.name}' does not fit the recipe of '{described.model}': {error.message}", "name another recipe"
        ) from None
    header = {
        "format": checkpoint.FORMAT,
        "kind": "model",
        "gancli": gancli.__version__,
        "recipe": described.to_dict(),
        "networks": [NETWORK],
        "takes": "latent",
        "labelled": labelled,
        "latent": spec_of(described).latent.to_dict(),
        "dataset": {"name": described.data.name, **({"licence": licence} if licence else {})},
        "imported": {"file": printable(file.name), "sha256": sha256, "network": match.network},
        "images": 0,
        "rounds": 0,
    }
    checkpoint.write(out, tensors, header)
