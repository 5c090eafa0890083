"""``judge``: one way to judge a model, whatever it makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.data.synthetic import FORMULAS
from gancli.errors import UsageError
from gancli.evaluation import cycles, pairs, pairs_of_files, report, synthetic
from gancli.evaluation.subjects import Pictures, check_options

if TYPE_CHECKING:
    from gancli.evaluation.cycles import CycleReport
    from gancli.evaluation.features import Progress
    from gancli.evaluation.pairs import PairReport
    from gancli.evaluation.report import Report
    from gancli.evaluation.synthetic import FormulaReport
    from gancli.model import Model

    AnyReport = Report | FormulaReport | PairReport | CycleReport


def judge(
    subject: Model | Pictures,
    data: str | None = None,
    metrics: Sequence[str] = (),
    images: int | None = None,
    *,
    extractor: str | None = None,
    seed_start: int = 0,
    repeats: int = 1,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> AnyReport:
    """Images are judged by the features of an extractor, numbers by the formula of their data, and images that are made
    from others by the true ones, where these are known, or by what a round trip leaves of them.

    Args:
        subject: a model from :func:`gancli.load`, or images from elsewhere.
        data: the data set; None is the one that the model was trained on.
        metrics: names of the figures; none for all that there are.
        images: how many to generate; None for what is usual.
        extractor: the extractor's name, for images; None is the one that knows the data.
        seed_start: the first seed.
        repeats: independent sets of images.
        data_dir: where data sets lie.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: an option that does not fit the model, or see :func:`gancli.evaluation.report.evaluate`.
        GancliError: missing weights, too few held-out images.
    """
    if isinstance(subject, Pictures):
        check_options(subject, data, seed_start)
        if pairs.of_files(metrics):
            return pairs_of_files.evaluate(subject, data or "", images, metrics, progress=progress)
        return report.evaluate(
            subject,
            data,
            metrics or None,
            images,
            extractor=extractor,
            repeats=repeats,
            data_dir=data_dir,
            progress=progress,
        )
    model = subject
    if model.takes == "source" and model.recipe.data.paired:
        if extractor is not None:
            raise UsageError(f"'{model.name}' is judged by the true images", "leave out --extractor")
        return pairs.evaluate(model, data, images, metrics, data_dir=data_dir, progress=progress)
    if model.takes == "source":
        if extractor is not None:
            raise UsageError(f"'{model.name}' is judged by the classifier that knows the data", "leave out --extractor")
        return cycles.evaluate(model, data, images, metrics, data_dir=data_dir, progress=progress)
    own, data = not data, data or model.data_name or ""
    if model.numbers != (data in FORMULAS):
        makes = "numbers" if model.numbers else "images"
        raise UsageError(
            f"'{model.name}' makes {makes}, and '{data}' holds {'numbers' if makes == 'images' else 'images'}",
            "--data NAME says what to compare with",
        )
    if data is None or data not in FORMULAS:
        return report.evaluate(
            model,
            None if own else data,
            metrics or None,
            images,
            extractor=extractor,
            seed_start=seed_start,
            repeats=repeats,
            data_dir=data_dir,
            progress=progress,
        )
    if extractor is not None:
        raise UsageError(f"an extractor reads images, and '{model.name}' makes numbers", "leave out --extractor")
    return synthetic.evaluate(model, data, images, metrics, seed_start=seed_start, progress=progress)
