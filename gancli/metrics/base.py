"""What metrics work on, and what a metric is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import inf
from typing import Literal

import torch
from torch import Tensor

from gancli.metrics.moments import class_fids
from gancli.metrics.neighbours import DENSITY_NEIGHBOURS, manifolds, nearest

SMALLEST = DENSITY_NEIGHBOURS + 1
"""Images a side without which a metric is not defined: a sample and its neighbours."""
SHARE = (0.0, 1.0)
"""Limits of a share."""


@dataclass(frozen=True)
class Features:
    """What an extractor computes of N images.

    Attributes:
        values: float32 (N, D).
        probabilities: float32 (N, K), of each of the classes that it knows; (N, 0) where it knows none.
    """

    values: Tensor
    probabilities: Tensor

    @property
    def classes(self) -> Tensor:
        """int64 (N,), the most probable class; -1 where it knows none."""
        if not self.probabilities.shape[1]:
            return torch.full((len(self.values),), -1)
        return self.probabilities.argmax(1)

    @property
    def confidence(self) -> Tensor:
        """float32 (N,), the probability of that class."""
        return self.probabilities.amax(1)


@dataclass(frozen=True)
class Sets:
    """The images that a metric compares. What several metrics need is computed once.

    Attributes:
        real: features of the held-out images.
        generated: features of the images to evaluate.
        training: gives the features (M, D) of the training images; called when a metric needs them.
        labels: classes int64 (N,) of the held-out images and those requested of the generator, where both are known;
            None for the classes that the extractor predicts.
        held_out_distances: gives the squared distance (N,) of each held-out image to its nearest training image, where
            that is cached; None computes it.
        apart: gives what metrics that need held-out images compare, where the real images were trained on.
    """

    real: Features
    generated: Features
    training: Callable[[], Tensor]
    labels: tuple[Tensor, Tensor] | None = None
    held_out_distances: Callable[[], Tensor] | None = None
    apart: Callable[[], Sets] | None = None

    @cached_property
    def with_held_out(self) -> Sets:
        """Those whose real images were not trained on."""
        return self.apart() if self.apart else self

    @cached_property
    def to_training(self) -> tuple[Tensor, Tensor, Tensor]:
        """Squared distance of each generated image to the nearest training image, that one's index, and the squared
        distance of each held-out image to its own."""
        training = self.training()
        distances, indices = nearest(self.generated.values, training)
        held_out = self.held_out_distances() if self.held_out_distances else nearest(self.real.values, training)[0]
        return distances, indices, held_out

    @cached_property
    def manifolds(self) -> dict[str, float]:
        """Precision, recall, density and coverage: see :func:`gancli.metrics.neighbours.manifolds`."""
        return manifolds(self.real.values, self.generated.values)

    @cached_property
    def class_fids(self) -> tuple[float | None, ...]:
        """FID of each class: see :func:`gancli.metrics.moments.class_fids`."""
        classes = self.labels or (self.real.classes, self.generated.classes)
        return class_fids(self.real.values, self.generated.values, *classes, self.real.probabilities.shape[1])


@dataclass(frozen=True)
class Figure:
    """A named figure in a report.

    Attributes:
        name: in JSON and in ``--metrics``.
        title: in tables.
        better: "lower", "higher", or "equal" where the value of real data is the aim.
        digits: decimals in tables; None for as many as fit.
        unit: "dB", "%" for a share that tables show in percent, or nothing.
        limits: the least and the greatest possible value.
    """

    name: str
    title: str
    better: Literal["lower", "higher", "equal"]
    digits: int | None
    _: KW_ONLY
    unit: str = ""
    limits: tuple[float, float] = (-inf, inf)


@dataclass(frozen=True)
class Metric(Figure):
    """A figure of a set of images.

    Attributes:
        measure: the figure of two sets.
        floor: the value of held-out images by definition; None where training images are measured in the place of
            generated ones.
        within_classes: whether it compares images of each class, and so needs labelled data.
        needs_classes: whether it needs an extractor that predicts classes.
        needs_held_out: whether it takes images that were not trained on, however few there are.
    """

    measure: Callable[[Sets], float]
    floor: float | None = None
    within_classes: bool = False
    needs_classes: bool = False
    needs_held_out: bool = False
