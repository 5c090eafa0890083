"""Sets of images are compared with held-out images by the features of an extractor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from gancli.data import DATASETS, Dataset, load
from gancli.data.holding_out import Split, divide, remaining, stored_split
from gancli.data.pixels import convert, parse_colour, parse_fit
from gancli.data.selection import class_positions, only_class
from gancli.data.types import NoHeldOutError, Progress
from gancli.errors import UsageError
from gancli.evaluation.evaluators import checks, reconstruction
from gancli.evaluation.evaluators.checks import IMAGES, Options
from gancli.evaluation.extractors import Extractor, find, usual
from gancli.evaluation.features import BATCH, Reader, readout
from gancli.evaluation.reference import MOST_TRAINING, Reference, drawn_labels, halves, positions
from gancli.evaluation.report import Closest, Further, Report, Result
from gancli.evaluation.subjects import Subject
from gancli.metrics import choose, measure
from gancli.metrics import usual as usual_metrics
from gancli.metrics.base import Metric, Sets
from gancli.metrics.classes import CATEGORY_ACCURACY, CLASS_ACCURACY, category_accuracy, class_accuracy
from gancli.metrics.intervals import prediction
from gancli.model import Model

FEW = 5_000
"""Held-out images below which figures by an extractor of other data compare with training images, as is usual for small
sets: FID by so few is mostly bias."""
VIEW = {"size", "channels", "fit", "background"}
"""What a recipe says of how images are read."""
SHOWN = 24
"""Generated images of which the nearest training image is reported."""


def evaluate(subject: Subject, data: str | None, options: Options) -> Report:
    """Compare a model's images, or a folder's, with the held-out split of a data set.

    Of what classes are predicted, and which images are closest to training images, the report tells of the first set.
    Images with alpha are compared over black and over white, and figures are the means of both.

    Args:
        subject: what makes the images.
        data: the data set; None is the one that the model was trained on.
        options: ``images`` are as many as are held
            out, at most 10,000, or as there are, unless given; on the real side stand as many, or all there are.
            Figures of ``repeats`` sets are their means, with intervals; sets from a folder share no image.

    Raises:
        UsageError: an unknown metric, extractor or data set, a number out of range, a metric that was named and is not
            possible.
        GancliError: missing weights, too few held-out images.
    """
    wanted, named = options.metrics or tuple(usual_metrics()), bool(options.metrics)
    chosen = choose(wanted)
    model = subject.model
    own, data = not data, data or subject.data_name or ""
    split = stored_split(subject.header)
    extractor = find(options.extractor) if options.extractor else usual(data)
    reader = Reader.load(extractor, subject.device, options.progress)
    # A named data set has a size of its own; that of other images is how the model was trained on them.
    view = model.recipe.data.model_dump(include=VIEW) if model and data not in DATASETS else {}
    alone = subject.recipe("data").get("only_class")
    alone = alone if isinstance(alone, str) else None
    read = cache(partial(load, data, data_dir=options.data_dir, progress=options.progress))
    fingerprint = split.fingerprint if split else checks.trained_on(subject)
    if view and fingerprint is not None and not own:
        own = _same_data(read(split="train", **view), alone, fingerprint)
    if not own:
        view, alone, split = {key: 4 for key in view if key == "channels" and view[key] == 4}, None, None
    training, held_out, origin = _splits(partial(read, **view), extractor, alone, split)
    if own:
        checks.check_own(subject, data, training)
    few = held_out is None or (not extractor.datasets and len(held_out.images) < FEW)
    real, floor = halves(training, IMAGES) if held_out is None or few else (held_out, training)
    count = checks.count(options, real, floor, subject.supply)
    seeds = checks.seeds_of(options, count * options.repeats)
    drawn = [seeds[first : first + count] for first in range(0, len(seeds), count)]
    readers = checks.over_backgrounds(reader, subject, real)
    protocol = checks.protocol(subject, data, reader, real, floor, drawn)
    chosen = checks.applicable(chosen, named, extractor, real, floor, protocol.real_images)
    apart = None
    if few:
        protocol = replace(protocol, held_out_images=min(count, len(held_out.images)) if held_out else 0)
        chosen = checks.without_held_out(chosen, named, data) if held_out is None else chosen
        if held_out is not None:
            apart = partial(Reference, checks.of_held_out(protocol, held_out, training), held_out, training)

    # Whether the model is conditioned on classes, by any one seed.
    conditional = subject.conditioning(drawn[0][:1], extractor.class_names)[0] is not None
    references = [Reference(protocol, real, floor, one, conditional, apart(one) if apart else None) for one in readers]
    measured = [[_measure(subject, chosen, reference, seeds) for reference in references] for seeds in drawn]
    sets, _ = measured[0][0]
    backgrounds = [one.background for one in readers if one.background]
    of_sets = [_over(backgrounds, [results for _, results in each]) for each in measured]
    results = [_mean(same) for same in zip(*of_sets, strict=True)]
    warnings = checks.warnings(chosen, protocol, extractor)
    if alone:
        warnings += (
            f"the model knows one class, '{alone}', and is compared with the images of that class in '{data}'",
        )
    names, done = extractor.class_names, {metric.name for metric in chosen}
    return Report(
        model=subject.name,
        protocol=protocol,
        results=tuple(results),
        warnings=warnings + subject.warnings,
        class_names=names,
        generated=readout(sets.generated, len(names)),
        real=readout(sets.real, len(names)),
        further=_further(model, held_out or training, options.progress)
        if model is not None and model.has_encoder
        else (),
        closest=_closest(sets, drawn[0], len(training.images), origin) if "memorisation" in done else (),
        class_fids=sets.class_fids if "class-fid" in done else (),
        identity=subject.identity,
    )


def _splits(
    read: Callable[..., Dataset], extractor: Extractor, alone: str | None, split: Split | None
) -> tuple[Dataset, Dataset | None, Tensor | None]:
    """Training images, held-out ones, and the positions of the former in the data set where they are a part of it.

    No images are held out where the data has none, the training held none out and the extractor is that of other data.

    Args:
        read: loads a split of the data.
        extractor: that compares them.
        alone: the class that the model knows; None for all.
        split: which images were held out of the training.
    """
    whole = read(split="train")
    training = whole if alone is None else only_class(whole, alone)
    origin = None if alone is None else class_positions(whole, alone)[1]
    if split is not None:
        divided = divide(training, split)
        rest = remaining(split, len(training.images))
        return divided, divided.held_out, rest if origin is None else origin[rest]
    try:
        held_out = read(split="test")
    except NoHeldOutError:
        if extractor.datasets:
            raise
        return training, None, origin
    return training, held_out if alone is None else only_class(held_out, alone), origin


def _same_data(found: Dataset, alone: str | None, fingerprint: str) -> bool:
    """Whether data that were named are those of the training, of which images may be held out, at another path."""
    if alone is not None and alone in found.classes:
        found = only_class(found, alone)
    return found.fingerprint == fingerprint


def _measure(
    subject: Subject, metrics: Sequence[Metric], reference: Reference, seeds: range
) -> tuple[Sets, list[Result]]:
    """A subject's images of these seeds, and their figures."""
    held_out, reader, real = reference.held_out, reference.reader, reference.features
    floors, baselines = reference.figures(metrics)
    generated = reader.read("generated images", subject.images(seeds, BATCH), len(seeds), shared=True)
    reader.progress("metrics", 0, 1)
    known = checks.knows_classes(held_out, reader.extractor.class_names)
    labels = drawn_labels(held_out, len(real.values)) if known else None
    classes, categories = subject.conditioning(seeds, reader.extractor.class_names)
    sets = reference.sets(generated, None if classes is None or labels is None else (labels, classes))
    values = measure(metrics, sets)
    reader.progress("metrics", 1, 1)
    results = [Result(each, values[each.name], floors[each.name], baselines[each.name]) for each in metrics]
    right = None if labels is None else class_accuracy(labels, real.classes)
    if classes is not None:
        results.append(Result(CLASS_ACCURACY, class_accuracy(classes, generated.classes), right))
    if categories is not None:
        results.append(Result(CATEGORY_ACCURACY, category_accuracy(categories, generated.classes), right))
    return sets, results


def _over(backgrounds: Sequence[str], measured: Sequence[Sequence[Result]]) -> Sequence[Result]:
    """The figures of one set over each background, as their means; without backgrounds, as they are."""
    if not backgrounds:
        return measured[0]

    def mean(figures: Sequence[float | None]) -> float | None:
        there = [figure for figure in figures if figure is not None]
        return fmean(there) if there else None

    return [
        replace(
            same[0],
            value=fmean(result.value for result in same),
            floor=mean([result.floor for result in same]),
            baseline=mean([result.baseline for result in same]),
            over=dict(zip(backgrounds, (result.value for result in same), strict=True)),
        )
        for same in zip(*measured, strict=True)
    ]


def _mean(same: Sequence[Result]) -> Result:
    """One figure of several sets, with an interval cut to the possible values; of one set, as it is."""
    if len(same) == 1:
        return same[0]
    values, first = [result.value for result in same], same[0]
    if first.over:
        over = {name: fmean((each.over or {})[name] for each in same) for name in first.over}
        same = [replace(first, over=over), *same[1:]]
    (low, high), (least, most) = prediction(values), same[0].figure.limits
    return replace(same[0], value=fmean(values), interval=(max(low, least), min(high, most)))


def _closest(sets: Sets, seeds: range, total: int, origin: Tensor | None) -> tuple[Closest, ...]:
    distances, indices, held_out = sets.with_held_out.to_training
    median = float(held_out.sqrt().median().clamp_min(1e-12))
    where = positions(total, MOST_TRAINING)
    where = where if origin is None else origin[where]
    first = distances.argsort(stable=True)[:SHOWN].tolist()
    return tuple(Closest(seeds[i], int(where[indices[i]]), float(distances[i].sqrt()) / median) for i in first)


def neighbours(subject: Subject, report: Report, *, data_dir: Path | None = None) -> Tensor:
    """The generated images of ``report.closest``, each followed by its training image: uint8 (2 * N, C, H, W).

    Args:
        subject: the one that was evaluated.
        report: what :func:`evaluate` found.
        data_dir: where data sets lie.

    Raises:
        UsageError: memorisation was not measured.
    """
    if not report.closest:
        raise UsageError("the nearest training images were not searched", "add memorisation to `metrics`")
    training = load(report.protocol.data, split="train", data_dir=data_dir)
    near = training.images[[pair.training for pair in report.closest]]
    made = torch.cat(list(subject.images([pair.seed for pair in report.closest], BATCH))).cpu()
    _, channels, height, width = near.shape
    made = convert(made, (height, width), channels, parse_fit("stretch"), parse_colour("white"))
    return torch.stack([made, near], 1).flatten(0, 1)


def _further(model: Model, held_out: Dataset, progress: Progress) -> tuple[Further, ...]:
    """How well a model with an encoder reconstructs the held-out images."""
    how, (channels, height, width) = model.recipe.data, model.shape
    fit, background = parse_fit(how.fit), parse_colour(how.background)
    images = convert(held_out.images[: checks.IMAGES], (height, width), channels, fit, background)
    found: Mapping[str, float] = reconstruction.figures(model, images, progress)
    return tuple(Further(name, reconstruction.TITLES[name], value) for name, value in found.items())
