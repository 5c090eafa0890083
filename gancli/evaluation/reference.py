"""The real side of an evaluation, the same for every model: computed once, then cached in the cache folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

import gancli
from gancli import checkpoint
from gancli.data import Dataset
from gancli.data.paths import cache_folder
from gancli.data.types import combined_fingerprint
from gancli.errors import GancliError
from gancli.evaluation.features import BATCH, Reader
from gancli.evaluation.protocol import Protocol
from gancli.metrics import measure
from gancli.metrics.base import Features, Metric, Sets
from gancli.metrics.neighbours import nearest

log = logging.getLogger("gancli")

FORMAT = 3
"""Raised whenever the same images and weights would give other features or floors than before."""
MOST_TRAINING = 100_000
"""Training images among which the nearest ones are searched."""
DRAW = 0
"""Seed of the draw of images from a larger set."""


@dataclass(frozen=True)
class Cache:
    """A file of tensors; what they depend on stands in it, so that a new version replaces the old one's.

    Attributes:
        path: of the file.
        key: everything that the tensors depend on.
    """

    path: Path
    key: Mapping[str, Any]

    def read(self) -> dict[str, Tensor] | None:
        """The tensors that are cached under this key; None when there are none, or when they are damaged."""
        try:
            tensors, header = checkpoint.read(self.path)
            whole = header["key"] == self.key and "values" in tensors
        except (GancliError, OSError, KeyError, TypeError, ValueError):
            return None
        return dict(tensors) if whole else None

    def write(self, tensors: Mapping[str, Tensor]) -> None:
        """Cache them where the disk allows it."""
        try:
            checkpoint.write(self.path, tensors, {"key": self.key})
        except (GancliError, OSError, SafetensorError) as error:
            log.warning("the cache folder %s cannot be used (%s)", self.path.parent, error)


@dataclass(frozen=True)
class Reference:
    """What models are compared with under a protocol.

    Attributes:
        protocol: what the figures depend on.
        held_out: the images to compare with.
        training: the images that were trained on.
        reader: the extractor.
        labelled: whether generated images count for the class that was requested: figures within classes then go by the
            labels of the real images, which both sets must have.
        apart: where ``held_out`` is a part of the training images, what metrics that need held-out images compare with.
    """

    protocol: Protocol
    held_out: Dataset
    training: Dataset
    reader: Reader
    labelled: bool = False
    apart: Reference | None = None

    @cached_property
    def _cache(self) -> Cache:
        """Of the held-out images; of the number of generated images, the baselines depend."""
        protocol = self.protocol
        return self._named(
            [protocol.data_fingerprint, self._count, *(["labels"] if self.labelled else [])],
            data_fingerprint=protocol.data_fingerprint,
            real_images=protocol.real_images,
            floor_images=protocol.floor_images,
            generated_images=self._count,
        )

    @cached_property
    def _found(self) -> dict[str, Tensor]:
        """Features of the held-out images, with floors and baselines as far as they are cached."""
        if (found := self._cache.read()) is not None:
            return found
        real = self.reader.read(f"{self.held_out.split} images", *some(self.held_out.images, self._count))
        return dict(vars(real))

    @property
    def features(self) -> Features:
        """Features of the held-out images."""
        return Features(self._found["values"], self._found["probabilities"])

    @cached_property
    def training_features(self) -> Tensor:
        """The features (M, D) of the training images, at most 100,000."""
        count = min(len(self.training.images), MOST_TRAINING)
        cache = self._named([self.training.fingerprint, "training"], images=count)
        if (found := cache.read()) is None:
            found = {"values": self.reader.read("all training images", *some(self.training.images, count)).values}
            cache.write(found)
        return found["values"]

    def held_out_distances(self) -> Tensor:
        """Squared distance (N,) of each held-out image to its nearest training image.

        It is half the work of ``memorisation``, and the same for every model.
        """
        if "distances" not in self._found:
            self._found["distances"] = nearest(self.features.values, self.training_features)[0]
            self._cache.write(self._found)
        return self._found["distances"]

    def sets(self, generated: Features, labels: tuple[Tensor, Tensor] | None = None) -> Sets:
        """What metrics compare; of so many generated images as are compared."""
        some = Features(generated.values[: self._count], generated.probabilities[: self._count])
        apart = None if self.apart is None else partial(self.apart.sets, generated)
        return Sets(self.features, some, lambda: self.training_features, labels, self.held_out_distances, apart)

    def figures(self, metrics: Sequence[Metric]) -> tuple[dict[str, float], dict[str, float]]:
        """Floors and baselines by metric, from the cache as far as they are there.

        The floor is the figure of training images, or what held-out images get by definition; the baseline that of
        images whose pixels are each drawn from those of the training images at its position.
        """
        if self.apart and (theirs := [metric for metric in metrics if metric.needs_held_out]):
            ours = self.figures([metric for metric in metrics if metric not in theirs])
            others = self.apart.figures(theirs)
            return ours[0] | others[0], ours[1] | others[1]
        found = self._found
        missing = [metric for metric in metrics if f"baseline.{metric.name}" not in found]
        if missing:
            other = self.reader.read(f"{self.training.split} images", *some(self.training.images, self._count))
            by_label = [metric for metric in missing if self.labelled and metric.within_classes]
            if plain := [metric for metric in missing if metric not in by_label]:
                simplest = self.reader.read("baseline", mixed(self.training.images, self._count), self._count)
                found |= _measured(plain, self.sets(other), self.sets(simplest))
            if by_label:
                labels, of_training = (drawn_labels(data, self._count) for data in (self.held_out, self.training))
                requested = of_training[torch.arange(self._count) % len(of_training)]
                simplest = self.reader.read("baseline", mixed_by_class(self.training, requested), self._count)
                floor, baseline = self.sets(other, (labels, of_training)), self.sets(simplest, (labels, requested))
                found |= _measured(by_label, floor, baseline)
            self.reader.progress("floor", 1, 1)
            self._cache.write(found)
        floors, baselines = (
            {metric.name: float(found[f"{kind}.{metric.name}"]) for metric in metrics} for kind in ("floor", "baseline")
        )
        return floors, baselines

    @property
    def _count(self) -> int:
        return self.protocol.generated_images

    def _named(self, names: Sequence[object], **what: object) -> Cache:
        """A cache by this extractor: of these names, and of what else it depends on."""
        key = {
            "format": FORMAT,
            "draw": DRAW,
            "gancli": gancli.__version__,
            "extractor": self.protocol.extractor,
            "extractor_sha256": self.reader.digest,
            "training_fingerprint": self.training.fingerprint,
            "device": self.reader.device.type,
        }
        if self.reader.background:
            key["background"], names = self.reader.background, [*names, self.reader.background]
        name = "-".join(map(str, (key["extractor"], *names, key["device"])))
        return Cache(cache_folder() / "evaluation" / f"{name}.safetensors", {**key, **what})


def halves(dataset: Dataset, count: int) -> tuple[Dataset, Dataset]:
    """Two parts of a data set without a common image, always the same: each of ``count`` images, or half of them."""
    size = min(count, len(dataset.images) // 2)
    order = torch.randperm(len(dataset.images), generator=torch.Generator().manual_seed(DRAW))

    def half(name: str, part: Tensor) -> Dataset:
        labels = None if dataset.labels is None else dataset.labels[part]
        digest = combined_fingerprint([dataset.fingerprint, name, str(size)])
        return replace(dataset, images=dataset.images[part], labels=labels, fingerprint=digest)

    return half("first half", order[:size]), half("second half", order[size : 2 * size])


def _measured(metrics: Sequence[Metric], floor: Sets, baseline: Sets) -> dict[str, Tensor]:
    """Floors and baselines as tensors under the names by which they are cached."""
    floors = {metric.name: metric.floor for metric in metrics if metric.floor is not None}
    floors |= measure([metric for metric in metrics if metric.name not in floors], floor)
    return {
        f"{kind}.{name}": torch.tensor(value, dtype=torch.float64)
        for kind, values in (("floor", floors), ("baseline", measure(metrics, baseline)))
        for name, value in values.items()
    }


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
    """Batches of the simplest class-conditional generator: every pixel is that of some image of the class.

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


def some(images: Tensor, count: int) -> tuple[Iterator[Tensor], int]:
    """Batches of ``count`` images, always the same and from anywhere in the set, or of all; and how many they are."""
    index = positions(len(images), count)
    return (images[part] for part in index.split(BATCH)), len(index)


def positions(total: int, count: int) -> Tensor:
    """Indices of the images of :func:`some`.

    Test sets are not in random order (the first half of MNIST's is easier than the second): the first ones will not do.
    """
    return torch.randperm(total, generator=torch.Generator().manual_seed(DRAW))[:count].sort().values
