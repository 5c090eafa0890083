"""``evaluate``: one way to evaluate whatever is a subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gancli.data.loading import exists
from gancli.data.paths import is_table
from gancli.data.synthetic import FORMULAS
from gancli.data.types import Progress, no_progress
from gancli.errors import UsageError
from gancli.evaluation.evaluators import cycles, numbers, pairs
from gancli.evaluation.evaluators import images as image_sets
from gancli.evaluation.evaluators.checks import IMAGES, Options
from gancli.evaluation.report import Report
from gancli.evaluation.scores import beaten, number, title
from gancli.evaluation.subjects import Pictures, Subject, as_subject
from gancli.model import Model


def evaluate(
    subject: Model | Subject,
    data: str | None = None,
    metrics: Sequence[str] | None = None,
    images: int | None = None,
    *,
    extractor: str | None = None,
    seed_start: int = 0,
    repeats: int = 1,
    most: int = IMAGES,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Images are compared by the features of an extractor, numbers with the formula of their data, and translations
    with the true images, where these are known, or by what remains after a round trip.

    Args:
        subject: a model from :func:`gancli.load`, or images from elsewhere.
        data: the data set; None is the one that the model was trained on.
        metrics: names of the figures; none for all that there are.
        images: how many images to generate; None for what is usual.
        extractor: the extractor's name, for images; None is the one that knows the data.
        seed_start: the first seed.
        repeats: independent sets of images.
        most: images to generate, unless a number is given.
        data_dir: where data sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: an option that does not fit the subject, or see :mod:`gancli.evaluation.evaluators`.
        GancliError: missing weights, too few held-out images.
    """
    subject = as_subject(subject)
    options = Options(
        tuple(metrics or ()), images, extractor, seed_start, repeats, most, data_dir, progress or no_progress
    )
    if images is not None and images < 1:
        raise UsageError(f"cannot evaluate by {images} images", "one at least is needed")
    model, name = subject.model, data or subject.data_name
    if not name:
        raise UsageError(f"'{subject.name}' does not say what to compare it with", "name a data set with `data`")
    if not data and not exists(name):
        raise UsageError(f"'{subject.name}' was trained on '{name}', which is not here", "`data=PATH` says where it is")
    if isinstance(subject, Pictures) and seed_start:
        raise UsageError(f"`seed_start={seed_start}` is for models, and '{subject.name}' is images", "leave it out")
    makes_numbers = model is not None and model.numbers
    translates = model is not None and model.takes == "source"
    if extractor is not None and (makes_numbers or translates):
        raise UsageError(f"'{subject.name}' is not compared by features of an extractor", "leave out `extractor`")
    if model is not None and translates:
        evaluator = pairs if model.recipe.data.paired else cycles
        return _warned(evaluator.evaluate(subject, model, data, options))
    if makes_numbers and is_table(name):
        raise UsageError(
            f"there are no figures for the points of '{name}', since no formula is known for them",
            "look at a plot of samples, as `gancli sample` draws it",
        )
    if makes_numbers != (name in FORMULAS):
        kinds = ("numbers", "images") if makes_numbers else ("images", "numbers")
        raise UsageError(
            f"'{subject.name}' {'makes' if model else 'holds'} {kinds[0]}, and '{name}' holds {kinds[1]}",
            "`data=NAME` says what to compare with",
        )
    if makes_numbers:
        return _warned(numbers.evaluate(subject, name, options))
    return _warned(image_sets.evaluate(subject, data, options))


def _warned(report: Report) -> Report:
    """The report with a warning first if its first figure is no better than the baseline's."""
    first = report.results[0].to_dict()
    if not beaten(first):
        return report
    name = first["metric"]
    value, baseline = (number(name, first[key]) for key in ("value", "baseline"))
    warning = f"the model is no better than the simplest baseline: {title(name)} {value} against {baseline}"
    return replace(report, warnings=(warning, *report.warnings))
