"""The real side of an evaluation, the same for every model: computed once, then kept in the cache folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from gancli import checkpoint
from gancli.data.paths import cache_folder
from gancli.errors import GancliError
from gancli.evaluation.features import BATCH, Features, Reader
from gancli.metrics import Sets, measure, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data import Dataset
    from gancli.evaluation.protocol import Protocol
    from gancli.metrics import Metric

log = logging.getLogger("gancli")

FORMAT = 3
"""Raised whenever the same images and weights would give other features or floors than before."""
MOST_TRAINING = 100_000
"""Training images that the nearest ones are looked for in."""
DRAW = 0
"""Seed of the draw of images from a larger set."""
TOLD = " told"
"""Ends the names under which figures by class are kept that go by labels, and not by what the extractor reads."""


@dataclass(frozen=True)
class Reference:
    """What models are compared with.

    Attributes:
        real: what the extractor sees in the held-out images.
        floors: figures of training images against the held-out ones, by metric.
        baselines: figures of images whose pixels are each drawn from those of the training images at its place.
    """

    real: Features
    floors: Mapping[str, float]
    baselines: Mapping[str, float]


def reference(
    protocol: Protocol,
    held_out: Dataset,
    training: Dataset,
    metrics: Sequence[Metric],
    reader: Reader,
    *,
    told: bool = False,
) -> Reference:
    """The real side under a protocol, from the cache folder as far as it is there.

    Args:
        protocol: what the figures will depend on.
        held_out: the images to compare with.
        training: the images that were trained on.
        metrics: whose floors and baselines are wanted.
        reader: the extractor.
        told: whether generated images count for the class that they were asked for: figures by class then go by the
            labels of the real images, which both sets must have.
    """
    # Baselines are of as many images as are generated, of which the other numbers may know nothing.
    key = {**_key(protocol, training, reader), "generated_images": protocol.generated_images}
    # The rest of the key stands in the file, so that a new version of the program takes the place of the old one's.
    name = "-".join(str(key[part]) for part in ("extractor", "data_fingerprint", "generated_images", "device"))
    path = cache_folder() / "evaluation" / f"{name}.safetensors"
    count = protocol.generated_images
    found = _read(path, key)
    if found is None:
        found = Reference(reader.read(f"{held_out.split} images", *some(held_out.images, count)), {}, {})
    ends = {metric.name: TOLD if told and metric.by_class else "" for metric in metrics}
    missing = [metric for metric in metrics if metric.name + ends[metric.name] not in found.baselines]
    if missing:
        trained_on = partial(training_features, protocol, training, reader)
        other = reader.read(f"{training.split} images", *some(training.images, count))
        if plain := [metric for metric in missing if not ends[metric.name]]:
            simplest = reader.read("baseline", mixed(training.images, count), count)
            found = _with(found, plain, Sets(found.real, other, trained_on), Sets(found.real, simplest, trained_on))
        if within := [metric for metric in missing if ends[metric.name]]:
            labels, of_training = drawn_labels(held_out, count), drawn_labels(training, count)
            asked = of_training[torch.arange(count) % len(of_training)]
            simplest = reader.read("baseline", mixed_by_class(training, asked), count)
            floor = Sets(found.real, other, trained_on, (labels, of_training))
            found = _with(found, within, floor, Sets(found.real, simplest, trained_on, (labels, asked)), TOLD)
        reader.progress("floor", 1, 1)
        _write(path, key, found)
    floors, baselines = (
        {name: figures[name + end] for name, end in ends.items()} for figures in (found.floors, found.baselines)
    )
    return Reference(found.real, floors, baselines)


def _with(found: Reference, metrics: Sequence[Metric], other: Sets, simplest: Sets, end: str = "") -> Reference:
    """What was found, with floors and baselines of more metrics; ``end`` is put to their names."""
    floors = {metric.name: metric.floor for metric in metrics if metric.floor is not None}
    floors |= measure([metric for metric in metrics if metric.name not in floors], other)
    baselines = measure(metrics, simplest)
    more = [{name + end: figure for name, figure in figures.items()} for figures in (floors, baselines)]
    return Reference(found.real, {**found.floors, **more[0]}, {**found.baselines, **more[1]})


def drawn_labels(dataset: Dataset, count: int) -> Tensor:
    """The labels int64 (N,) of the images that :func:`some` gives of a labelled set."""
    assert dataset.labels is not None
    return dataset.labels[positions(len(dataset.labels), count)]


def mixed(images: Tensor, count: int) -> Iterator[Tensor]:
    """Batches of the simplest generator: every pixel (all its channels) is that of some image, whichever.

    Args:
        images: uint8 (N, C, H, W).
        count: how many to make; always the same ones.
    """
    generator = torch.Generator().manual_seed(DRAW)
    total, channels, height, width = images.shape
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        chosen = torch.randint(total, (size, 1, height, width), generator=generator)
        yield images.gather(0, chosen.expand(-1, channels, -1, -1))


def mixed_by_class(dataset: Dataset, classes: Tensor) -> Iterator[Tensor]:
    """Batches of the simplest generator that is told classes: every pixel is that of some image of the class.

    Args:
        dataset: labelled.
        classes: int64 (N,), of the images to make, of which the data set has images.
    """
    assert dataset.labels is not None
    generator = torch.Generator().manual_seed(DRAW)
    _, channels, height, width = dataset.images.shape
    order, counts = dataset.labels.argsort(stable=True), dataset.labels.bincount()
    first = counts.cumsum(0) - counts
    for part in classes.split(BATCH):
        drawn = torch.rand((len(part), 1, height, width), generator=generator, dtype=torch.float64)
        number, of_class = (values[part][:, None, None, None] for values in (first, counts))
        chosen = order[number + (drawn * of_class).long()]
        yield dataset.images.gather(0, chosen.expand(-1, channels, -1, -1))


def training_features(protocol: Protocol, training: Dataset, reader: Reader) -> Tensor:
    """The features (M, D) of the training images, from the cache folder if they are there."""
    count = min(len(training.images), MOST_TRAINING)
    key = {**_key(protocol, training, reader), "real_images": count, "floor_images": count, "data_fingerprint": ""}
    name = "-".join((protocol.extractor, training.fingerprint, "training", reader.device.type))
    path = cache_folder() / "evaluation" / f"{name}.safetensors"
    if kept := _read(path, key):
        return kept.real.values
    found = reader.read("all training images", *some(training.images, count))
    # What is read in them, a thousand classes for some, is not asked for.
    _write(path, key, Reference(replace(found, probabilities=found.values.new_zeros(len(found.values), 0)), {}, {}))
    return found.values


def usual_distances(
    protocol: Protocol, training: Dataset, reader: Reader, real: Features, trained_on: Callable[[], Tensor]
) -> Tensor:
    """Squared distance (N,) of each held-out image to its nearest training image, from the cache folder if it is there.

    It is half the work of ``memorisation``, and the same for every model.
    """
    key = _key(protocol, training, reader)
    parts = (protocol.extractor, protocol.data_fingerprint, str(protocol.real_images), training.fingerprint)
    path = cache_folder() / "evaluation" / f"{'-'.join(parts)}-{reader.device.type}.safetensors"
    if kept := _read(path, key):
        return kept.real.values[:, 0]
    found = nearest(real.values, trained_on())[0]
    _write(path, key, Reference(Features(found[:, None], found.new_zeros(len(found), 0)), {}, {}))
    return found


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
        if header["key"] != key or header["sha256"] != checkpoint.digest(tensors):
            return None
        floors, baselines = (_numbered(tensors, kind) for kind in ("floor.", "baseline."))
        return Reference(Features(tensors["values"], tensors["probabilities"]), floors, baselines)
    except (GancliError, OSError, KeyError, TypeError, ValueError):
        return None


def _numbered(tensors: Mapping[str, Tensor], kind: str) -> dict[str, float]:
    return {name.removeprefix(kind): float(tensors[name]) for name in tensors if name.startswith(kind)}


def _write(path: Path, key: Mapping[str, Any], found: Reference) -> None:
    """Keep it where the disk allows it."""
    # Figures are tensors too: the digest then stands for them as well.
    figures = {"floor.": found.floors, "baseline.": found.baselines}
    numbers = {
        kind + name: torch.tensor(value, dtype=torch.float64)
        for kind, values in figures.items()
        for name, value in values.items()
    }
    tensors = {**vars(found.real), **numbers}
    try:
        checkpoint.write(path, tensors, {"key": key, "sha256": checkpoint.digest(tensors)})
    except (GancliError, OSError, SafetensorError) as error:
        log.warning("the cache folder %s cannot be used (%s)", path.parent, error)
