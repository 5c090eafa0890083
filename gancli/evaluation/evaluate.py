"""``evaluate``: one way to evaluate whatever is a subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gancli.data.synthetic import FORMULAS
from gancli.data.types import Progress, no_progress
from gancli.errors import UsageError
from gancli.evaluation.evaluators import cycles, files, numbers, pairs
from gancli.evaluation.evaluators import images as image_sets
from gancli.evaluation.evaluators.checks import Options
from gancli.evaluation.report import Report
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
        data_dir: where data sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: an option that does not fit the subject, or see :mod:`gancli.evaluation.evaluators`.
        GancliError: missing weights, too few held-out images.
    """
    subject = as_subject(subject)
    options = Options(tuple(metrics or ()), images, extractor, seed_start, repeats, data_dir, progress or no_progress)
    if isinstance(subject, Pictures):
        return _of_pictures(subject, data, options)
    model = subject.model
    if model is not None and model.takes == "source":
        if extractor is not None:
            by = "the true images" if model.recipe.data.paired else "the classifier that knows the data"
            raise UsageError(f"'{subject.name}' is compared by {by}", "leave out --extractor")
        evaluator = pairs if model.recipe.data.paired else cycles
        return evaluator.evaluate(subject, model, data, options)
    if model is None:
        return image_sets.evaluate(subject, data, options)
    name = data or model.data_name or ""
    if model.numbers != (name in FORMULAS):
        makes = "numbers" if model.numbers else "images"
        raise UsageError(
            f"'{subject.name}' makes {makes}, and '{name}' holds {'numbers' if makes == 'images' else 'images'}",
            "--data NAME says what to compare with",
        )
    if not model.numbers:
        return image_sets.evaluate(subject, data, options)
    if extractor is not None:
        raise UsageError(f"an extractor is for images, and '{subject.name}' makes numbers", "leave out --extractor")
    return numbers.evaluate(subject, name, options)


def _of_pictures(subject: Pictures, data: str | None, options: Options) -> Report:
    if not data:
        raise UsageError(f"'{subject.name}' does not say what its images should be like", "name a data set with --data")
    if data in FORMULAS:
        raise UsageError(
            f"'{subject.name}' holds images, and '{data}' numbers", "--data NAME says what to compare with"
        )
    if options.seed_start:
        raise UsageError(
            f"--seed-start {options.seed_start} is for models, and '{subject.name}' is images", "leave it out"
        )
    if pairs.of_files(options.metrics):
        return files.evaluate(subject, data, options)
    return image_sets.evaluate(subject, data, options)
