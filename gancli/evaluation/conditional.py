"""Whether a generator makes what it is asked for, as a classifier reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gancli.latents import LatentSpec

TITLES = {"class-accuracy": "class accuracy", "category-accuracy": "category accuracy"}
"""How a table heads the figures."""

MOST = 12
"""Categories that are matched with classes: the effort doubles with each."""


def figures(
    header: Mapping[str, Any],
    seeds: Sequence[int],
    read: Tensor,
    names: Sequence[str],
    floor: float | None,
    asked: Tensor | None = None,
) -> Iterator[tuple[str, float, float | None]]:
    """(name, value, floor) of each figure that a model has: none for one that is told no class.

    Args:
        header: what the model's file says of itself.
        seeds: of the images.
        read: int64 (N,), the classes that an extractor reads in them.
        names: the classes that the extractor knows.
        floor: the share of real images that it reads as what they are, if known.
        asked: what :func:`asked_for` gives of these seeds, where that is known: it takes a while for many.
    """
    spec = _spec(header)
    if spec is None:
        return
    if not header.get("labelled"):
        if spec.classes == len(names) <= MOST:
            yield "category-accuracy", category_accuracy(spec.from_seeds(seeds)["y"], read), floor
    elif (asked := asked_for(header, seeds, names) if asked is None else asked) is not None:
        yield "class-accuracy", class_accuracy(asked, read), floor


def asked_for(header: Mapping[str, Any], seeds: Sequence[int], names: Sequence[str]) -> Tensor | None:
    """The classes int64 (N,) that seeds ask for, numbered as in ``names``; None of a model that is told no such class.

    Args:
        header: what the model's file says of itself.
        seeds: of the images.
        names: the classes that an extractor knows.
    """
    spec, dataset = _spec(header), header.get("dataset")
    if spec is None or not header.get("labelled"):
        return None
    if not isinstance(dataset, Mapping) or dataset.get("classes") != list(names):
        return None
    return spec.from_seeds(seeds)["y"]


def _spec(header: Mapping[str, Any]) -> LatentSpec | None:
    """The latent of a model that is told classes, whatever they mean."""
    latent = header.get("latent")
    spec = LatentSpec.from_dict(latent) if isinstance(latent, Mapping) else None
    return spec if spec is not None and spec.classes else None


def class_accuracy(asked: Tensor, read: Tensor) -> float:
    """Share of the images that are read as the class asked for.

    Args:
        asked: int64 (N,), the classes given to the generator.
        read: int64 (N,), the classes that an extractor reads in its images.
    """
    return float((asked == read).double().mean())


def category_accuracy(asked: Tensor, read: Tensor) -> float:
    """Share of the images whose category means their class, under the best one-to-one match of categories and classes.

    For categories that were found without labels, whose numbers mean nothing (Chen et al. 2016, section 7.2, match
    each category with a digit type in the same way).

    Args:
        asked: int64 (N,), the categories given to the generator, less than :data:`MOST`.
        read: int64 (N,), the classes that an extractor reads in its images, less than :data:`MOST`.
    """
    size = int(max(asked.max(), read.max())) + 1
    counts = torch.bincount(asked * size + read, minlength=size * size).view(size, size).tolist()
    # The most images that the categories so far can explain with each set of classes, a set being a number's bits.
    best = {0: 0}
    for row in counts:
        longer: dict[int, int] = {}
        for used, total in best.items():
            for column in range(size):
                if not used >> column & 1:
                    key = used | 1 << column
                    longer[key] = max(longer.get(key, 0), total + row[column])
        best = longer
    return max(best.values()) / len(asked)
