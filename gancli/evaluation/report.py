"""``evaluate``: one model, one data set, figures with the floor beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import inf
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import torch

from gancli.data import load
from gancli.data.pixels import convert, parse_colour, parse_fit
from gancli.data.selection import class_positions, only_class
from gancli.errors import UsageError
from gancli.evaluation import conditional, reconstruction, smoothness, terms
from gancli.evaluation.extractors import find, usual
from gancli.evaluation.features import BATCH, Progress, Reader, Readout, readout
from gancli.evaluation.intervals import left_out, prediction
from gancli.evaluation.protocol import section
from gancli.evaluation.reference import (
    MOST_TRAINING,
    Reference,
    drawn_labels,
    positions,
    reference,
    training_features,
    usual_distances,
)
from gancli.evaluation.results import Closest, Further, Report, Result
from gancli.evaluation.terms import IMAGES, MOST_IMAGES
from gancli.metrics import METRICS, SHARE, Sets, choose, measure
from gancli.model import Model

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data import Dataset
    from gancli.metrics import Metric

__all__ = [
    "IMAGES",
    "MOST_IMAGES",
    "Closest",
    "Further",
    "Readout",
    "Report",
    "Result",
    "Subject",
    "evaluate",
    "neighbours",
]

SPLIT = "test"
SHOWN = 24
"""Generated images whose nearest training image is told."""


class Subject(Interface):
    """What can be judged: :class:`gancli.model.Model`, or anything with these six.

    One that has an end says with ``supply`` how many images it has, and with ``warnings`` what to be careful with.
    """

    @property
    def name(self) -> str:
        """How the report calls it."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of its images."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes; features are computed there too."""
        ...

    @property
    def header(self) -> Mapping[str, Any]:
        """What its file says of itself."""
        ...

    @property
    def data_name(self) -> str | None:
        """The data set that it was trained on."""
        ...

    def images(self, seeds: Sequence[int], batch: int) -> Iterable[Tensor]:
        """One image a seed, in batches of uint8 (N, C, H, W)."""
        ...


def evaluate(
    model: Subject,
    data: str | None = None,
    metrics: Iterable[str] | None = None,
    images: int | None = None,
    *,
    extractor: str | None = None,
    seed_start: int = 0,
    repeats: int = 1,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge a model against the held-out split of a data set.

    Args:
        model: a model from :func:`gancli.load`.
        data: the data set; None is the one that the model was trained on.
        metrics: names from :data:`gancli.metrics.METRICS`, and ``path`` (see
            :mod:`gancli.evaluation.smoothness`); None for all of the former that the data allow.
        images: how many to generate; None is as many as are held out, at most 10,000, or as there are. On the real
            side stand as many, or all there are.
        extractor: the extractor's name; None is the one that knows the data, or pixels where none does.
        seed_start: the first seed.
        repeats: independent sets of images; figures are their means, with intervals. Of images that others made and
            that are too few for that, a single set, its intervals by leaving out so many parts in turn. What classes
            the images show, and which of them are closest to training images, is told of the first set.
        data_dir: where data sets lie.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: an unknown metric, extractor or data set, a number out of range, a metric that was named and is not
            possible.
        GancliError: missing weights, too few held-out images.
    """
    wanted = tuple(METRICS if metrics is None else metrics)
    chosen, smooth = choose(wanted), smoothness.NAME in wanted
    if smooth:
        smoothness.check(model)
    own, data = not data, data or terms.own_data(model)
    spec = find(extractor) if extractor else usual(data)
    if smooth and spec.rounds:
        raise UsageError(f"{smoothness.NAME} cannot be measured by {spec.name}, which rounds images", "leave it out")
    chosen = spec.allowed(chosen, metrics is not None)
    network, digest = spec.load()
    reader = Reader(spec, network.to(model.device), digest, progress or (lambda what, done, total: None))
    held_out, training = (load(data, split=split, data_dir=data_dir, progress=progress) for split in (SPLIT, "train"))
    whole, alone = training, section(model.header, "data").get("only_class") if own else None
    if isinstance(alone, str):
        held_out, training = only_class(held_out, alone), only_class(training, alone)
    if own:
        terms.check_own(model, data, training)
    supply = getattr(model, "supply", None)
    count = terms.count(images, held_out, training, supply)
    drawn, parts = terms.draws(seed_start, count, repeats, model)
    protocol = terms.protocol(model, data, reader, held_out, training, drawn, parts)
    names = terms.class_names(spec)
    chosen = terms.applicable(chosen, metrics is not None, held_out, training, names, protocol.real_images)

    # By whether the model is told classes, of any one seed.
    told = conditional.asked_for(model.header, drawn[0][:1], names) is not None
    real = reference(protocol, held_out, training, chosen, reader, told=told)
    trained_on = cache(partial(training_features, protocol, training, reader))
    distances = cache(partial(usual_distances, protocol, training, reader, real.real, trained_on))
    labels = drawn_labels(held_out, len(real.real.values)) if terms.knows_classes(held_out, names) else None
    work = _Comparison(model, chosen, reader, real, trained_on, distances, names, labels, smooth)
    judged = [work.judge(seeds) for seeds in drawn]
    if parts:
        judged = [work.with_intervals(judged[0], parts)]
    sets, measured = judged[0].sets, {metric.name for metric in chosen}
    return Report(
        model=model.name,
        protocol=protocol,
        results=tuple(_mean(same) for same in zip(*(one.results for one in judged), strict=True)),
        class_names=names,
        generated=readout(sets.generated, len(names)),
        real=readout(real.real, len(names)),
        warnings=(
            *terms.warnings(chosen, protocol, spec),
            *terms.alone(alone, protocol),
            *getattr(model, "warnings", ()),
        ),
        further=_further(model, held_out, reader.progress),
        closest=_closest(sets, drawn[0], training, whole, alone) if "memorisation" in measured else (),
        class_fids=sets.class_fids if "class-fid" in measured else (),
        identity=getattr(model, "identity", ""),
    )


@dataclass(frozen=True)
class _Judged:
    """One set of images: what was compared, and the figures."""

    sets: Sets
    results: tuple[Result, ...]


@dataclass(frozen=True)
class _Comparison:
    """What every set of a subject's images is compared with, and by which figures.

    Attributes:
        model: the subject.
        chosen: the metrics.
        reader: the extractor.
        real: features of the held-out images, floors and baselines.
        trained_on: gives the features of the training images.
        usual: gives the distances of the held-out images to their nearest ones.
        names: the classes that the extractor knows.
        labels: of the held-out images, int64 (N,), where they are such classes.
        smooth: whether the paths between latents are measured too.
    """

    model: Subject
    chosen: Sequence[Metric]
    reader: Reader
    real: Reference
    trained_on: Callable[[], Tensor]
    usual: Callable[[], Tensor]
    names: Sequence[str]
    labels: Tensor | None
    smooth: bool

    def judge(self, seeds: range) -> _Judged:
        """The figures of the images of these seeds."""
        model, real, labels = self.model, self.real, self.labels
        fake = self.reader.read("generated images", model.images(seeds, BATCH), len(seeds), shared=True)
        self.reader.progress("metrics", 0, 1)
        asked = conditional.asked_for(model.header, seeds, self.names)
        told = None if asked is None or labels is None else (labels, asked)
        sets = Sets(real.real, fake, self.trained_on, told, self.usual)
        values = measure(self.chosen, sets)
        self.reader.progress("metrics", 1, 1)
        figures = [
            Result(each.name, values[each.name], real.floors[each.name], each.better, real.baselines[each.name])
            for each in self.chosen
        ]
        if self.smooth:
            assert isinstance(model, Model)
            length = smoothness.of_model(model, seeds, self.reader, real.real.values)
            figures.append(Result(smoothness.NAME, length, None, "lower"))
        right = None if labels is None else conditional.class_accuracy(labels, real.real.classes)
        obeyed = conditional.figures(model.header, seeds, fake.classes, self.names, right, asked)
        return _Judged(sets, (*figures, *(Result(name, value, floor, "higher") for name, value, floor in obeyed)))

    def with_intervals(self, judged: _Judged, parts: int) -> _Judged:
        """The figures of a single set with intervals, by leaving out its parts in turn."""
        found = []
        for part in range(parts):
            self.reader.progress("intervals", part, parts)
            found.append(measure(self.chosen, judged.sets.without(part, parts)))
        self.reader.progress("intervals", parts, parts)
        results = [
            replace(each, interval=_within(each.metric, left_out(each.value, [one[each.metric] for one in found])))
            if each.metric in found[0]
            else each
            for each in judged.results
        ]
        return replace(judged, results=tuple(results))


def _mean(same: Sequence[Result]) -> Result:
    """One figure of several sets."""
    if len(same) == 1:
        return same[0]
    values = [result.value for result in same]
    return replace(same[0], value=fmean(values), interval=_within(same[0].metric, prediction(values)))


def _within(metric: str, interval: tuple[float, float]) -> tuple[float, float]:
    """An interval as far as there can be figures."""
    least, most = _limits(metric)
    return max(interval[0], least), min(interval[1], most)


def _limits(metric: str) -> tuple[float, float]:
    """The least and the greatest figure that there can be."""
    if metric in METRICS:
        return METRICS[metric].limits
    return (0, inf) if metric == smoothness.NAME else SHARE


def _closest(sets: Sets, seeds: range, training: Dataset, whole: Dataset, alone: object) -> tuple[Closest, ...]:
    distances, numbers, held_out = sets.to_training
    usual = float(held_out.sqrt().median().clamp_min(1e-12))
    where = positions(len(training.images), MOST_TRAINING)
    if isinstance(alone, str):
        where = class_positions(whole, alone)[where]
    first = distances.argsort(stable=True)[:SHOWN].tolist()
    return tuple(Closest(seeds[i], int(where[numbers[i]]), float(distances[i].sqrt()) / usual) for i in first)


def neighbours(model: Subject, report: Report, *, data_dir: Path | None = None) -> Tensor:
    """The generated images of ``report.closest``, each beside its training image: uint8 (2 * N, C, H, W).

    Args:
        model: the one that was judged.
        report: what :func:`evaluate` found.
        data_dir: where data sets lie.

    Raises:
        UsageError: memorisation was not measured.
    """
    if not report.closest:
        raise UsageError("the nearest training images were not looked for", "add memorisation to --metrics")
    training = load(report.protocol.data, split="train", data_dir=data_dir)
    near = training.images[[pair.training for pair in report.closest]]
    made = torch.cat(list(model.images([pair.seed for pair in report.closest], BATCH))).cpu()
    _, channels, height, width = near.shape
    made = convert(made, (height, width), channels, parse_fit("stretch"), parse_colour("white"))
    return torch.stack([made, near], 1).flatten(0, 1)


def _further(model: Subject, held_out: Dataset, progress: Progress) -> tuple[Further, ...]:
    """What a model with an encoder makes of the held-out images."""
    if not (isinstance(model, Model) and model.has_encoder):
        return ()
    how, (channels, height, width) = model.recipe.data, model.shape
    fit, background = parse_fit(how.fit), parse_colour(how.background)
    images = convert(held_out.images[:IMAGES], (height, width), channels, fit, background)
    found = reconstruction.figures(model, images, progress)
    return tuple(Further(name, reconstruction.TITLES[name], value) for name, value in found.items())
