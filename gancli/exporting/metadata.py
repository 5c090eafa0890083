"""What an exported file says about itself: one JSON document under one key, as in files of weights."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import gancli
from gancli.architectures import MappingGenerator
from gancli.latents.truncation import MOST_PSI

if TYPE_CHECKING:
    from gancli.model import Model

DRAWS = {"normal": "N(0, 1)", "uniform": "U(-1, 1)"}
SEEDS = (
    "torch.Generator().manual_seed(seed) draws z by normal_() or uniform_(-1, 1) of a float32 tensor (1, dim), then y, "
    "then c by uniform_(-1, 1) of (1, codes)"
)
EVENLY = "random_(classes) of an int64 tensor (1,)"
BY_SHARES = "the class in whose part of [0, 1), divided by the shares, torch.rand(1, dtype=float64) lies"
CUTOFF = (
    "of z, before it goes in: under a limit T each value becomes sqrt(2) erfinv(erf(z / sqrt(2)) erf(T / sqrt(2))) if "
    "z is normal, z min(T, 1) if it is uniform; from 2 down to about 1, quality rises and variety falls"
)
TOWARD_MEAN = (
    f"the input psi, from -{MOST_PSI:g} to {MOST_PSI:g}: 1 is none, at 0 all images are those of the mean of w"
)


def describe(model: Model, network: str | None = None, *, mixing: bool = False) -> dict[str, Any]:
    """The document of a model's export: JSON.

    Args:
        model: any.
        network: of a translator, the one exported if it is not the first.
        mixing: classes are weights (N, classes).
    """
    recipe = json.dumps(model.header["recipe"], sort_keys=True)
    about = {
        "gancli": gancli.__version__,
        "model": model.name,
        "network": network or next(iter(model.networks)),
        "identity": model.identity,
        "recipe_sha256": hashlib.sha256(recipe.encode()).hexdigest(),
        "data": {"name": model.data_name, "licence": model.terms[:200] or None},
        "inputs": _inputs(model, mixing),
        "outputs": _outputs(model),
    }
    if model.takes == "source":
        return about
    mapped = isinstance(model.generator, MappingGenerator)
    return about | {"seeds": SEEDS, "truncation": TOWARD_MEAN if mapped else CUTOFF}


def _inputs(model: Model, mixing: bool) -> dict[str, Any]:
    if model.takes == "source":
        return {"source": _images(model)}
    latent = model.latent
    found: dict[str, Any] = {
        "z": {"type": "float32", "shape": ["batch", latent.dim], "drawn_from": DRAWS[latent.distribution]}
    }
    if latent.classes:
        drawn = {"drawn_by": BY_SHARES, "shares": list(latent.shares)} if latent.shares else {"drawn_by": EVENLY}
        kind: dict[str, Any] = {"type": "int64", "shape": ["batch"]}
        if mixing:
            kind = {"type": "float32", "shape": ["batch", latent.classes]}
        found["y"] = {**kind, "classes": list(model.classes), **drawn}
    if latent.codes:
        found["c"] = {"type": "float32", "shape": ["batch", latent.codes], "drawn_from": DRAWS["uniform"]}
    if isinstance(model.generator, MappingGenerator):
        found["psi"] = {"type": "float32", "shape": []}
    return found


def _outputs(model: Model) -> dict[str, Any]:
    if model.numbers:
        return {"numbers": {"type": "float32", "shape": ["batch", model.shape[-1]]}}
    return {"images": _images(model)}


def _images(model: Model) -> dict[str, Any]:
    names = {1: "grey", 3: "RGB", 4: "RGB and alpha, premultiplied"}
    channels = names.get(model.shape[0], f"{model.shape[0]} channels")
    return {"type": "float32", "shape": ["batch", *model.shape], "range": [0, 1], "channels": channels}
