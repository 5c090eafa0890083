"""The real side of an evaluation, the same for every model: computed once, then kept in the cache folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from gancli import checkpoint
from gancli.data.places import cache_folder
from gancli.errors import GancliError
from gancli.evaluation.extractors import digest
from gancli.evaluation.features import BATCH, Features, Reader
from gancli.evaluation.metrics import Sets, measure

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data import Dataset
    from gancli.evaluation.metrics import Metric
    from gancli.evaluation.protocol import Protocol

log = logging.getLogger("gancli")

FORMAT = 2
"""Raised whenever the same images and weights would give other features or floors than before."""
MOST_TRAINING = 100_000
"""Training images that the nearest ones are looked for in."""
DRAW = 0
"""Seed of the draw of images from a larger set."""


@dataclass(frozen=True)
class Reference:
    """What models are compared with.

    Attributes:
        real: what the extractor sees in the held-out images.
        floors: figures of training images against the held-out ones, by metric.
    """

    real: Features
    floors: Mapping[str, float]


def reference(
    protocol: Protocol, held_out: Dataset, training: Dataset, metrics: Sequence[Metric], reader: Reader
) -> Reference:
    """The real side under a protocol, from the cache folder as far as it is there."""
    key = _key(protocol, training, reader)
    # The rest of the key stands in the file, so that a new version of the program takes the place of the old one's.
    name = "-".join(str(key[part]) for part in ("extractor", "data_fingerprint", "floor_images", "device"))
    path = cache_folder() / "evaluation" / f"{name}.safetensors"
    kept = _read(path, key)
    count = protocol.generated_images
    real = kept.real if kept else reader.read(f"{held_out.split} images", *some(held_out.images, count))
    floors = kept.floors if kept else {}
    floors = {**floors, **{metric.name: metric.floor for metric in metrics if metric.floor is not None}}
    if missing := [metric for metric in metrics if metric.name not in floors]:
        floor = reader.read(f"{training.split} images", *some(training.images, count))
        reader.progress("floor", 0, 1)
        # No metric whose floor has to be measured asks for the training images.
        floors = {**floors, **measure(missing, Sets(real, floor, lambda: floor.values))}
        reader.progress("floor", 1, 1)
        _write(path, key, Reference(real, floors))
    return Reference(real, floors)


def training_features(protocol: Protocol, training: Dataset, reader: Reader) -> Tensor:
    """The features (M, D) of the training images, from the cache folder if they are there."""
    count = min(len(training.images), MOST_TRAINING)
    key = {**_key(protocol, training, reader), "real_images": count, "floor_images": count, "data_fingerprint": ""}
    name = "-".join((protocol.extractor, training.fingerprint, "training", reader.device.type))
    path = cache_folder() / "evaluation" / f"{name}.safetensors"
    if kept := _read(path, key):
        return kept.real.values
    found = reader.read("all training images", *some(training.images, count))
    _write(path, key, Reference(found, {}))
    return found.values


def some(images: Tensor, count: int) -> tuple[Iterator[Tensor], int]:
    """Batches of ``count`` images, always the same and from anywhere in the set, or of all; and how many they are."""
    index = positions(len(images), count)
    return (images[part] for part in index.split(BATCH)), len(index)


def positions(total: int, count: int) -> Tensor:
    """Where the images of :func:`some` lie.

    Test sets are not in random order (the first half of MNIST's is easier than the second): the first ones will not do.
    """
    return torch.randperm(total, generator=torch.Generator().manual_seed(DRAW))[:count].sort().values


def _key(protocol: Protocol, training: Dataset, reader: Reader) -> dict[str, Any]:
    """Everything that the real side depends on."""
    return {
        "format": FORMAT,
        "gancli": protocol.gancli,
        "extractor": protocol.extractor,
        "extractor_sha256": protocol.extractor_sha256,
        "data_fingerprint": protocol.data_fingerprint,
        "training_fingerprint": training.fingerprint,
        "real_images": protocol.real_images,
        "floor_images": protocol.floor_images,
        "draw": DRAW,
        "device": reader.device.type,
    }


def _read(path: Path, key: Mapping[str, Any]) -> Reference | None:
    """What was kept under this key; None when there is nothing, or when it is damaged."""
    try:
        tensors, header = checkpoint.read(path)
        if header["key"] != key or header["sha256"] != digest(tensors):
            return None
        floors = {name.removeprefix("floor."): float(tensors[name]) for name in tensors if name.startswith("floor.")}
        return Reference(Features(tensors["values"], tensors["probabilities"]), floors)
    except (GancliError, OSError, KeyError, TypeError, ValueError):
        return None


def _write(path: Path, key: Mapping[str, Any], found: Reference) -> None:
    """Keep it where the disk allows it."""
    # Floors are tensors too: the digest then stands for them as well.
    floors = {f"floor.{name}": torch.tensor(value, dtype=torch.float64) for name, value in found.floors.items()}
    tensors = {**vars(found.real), **floors}
    try:
        checkpoint.write(path, tensors, {"key": key, "sha256": digest(tensors)})
    except (GancliError, OSError, SafetensorError) as error:
        log.warning("the cache folder %s cannot be used (%s)", path.parent, error)
