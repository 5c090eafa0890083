"""``gancli.evaluate``: an evaluation as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from gancli.data.types import Progress
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate as measure
from gancli.evaluation.evaluators.checks import refuse_addresses
from gancli.evaluation.report import Report
from gancli.evaluation.subjects import Pictures, Subject, as_subject, of_run, open_subject
from gancli.library.trained import Trained
from gancli.model import Model


def evaluate(
    subject: Model | Trained | Subject | Tensor | str | Path | None = None,
    data: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    images: int | None = None,
    *,
    extractor: str | None = None,
    seed_start: int = 0,
    repeats: int = 1,
    device: str = "auto",
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Evaluate a model, or images, on held-out data as ``gancli evaluate`` does.

    Args:
        subject: a model from :func:`gancli.load`, what :func:`gancli.train` returned, images as a uint8 tensor
            (N, C, H, W), or a name: of a model, a run, or a folder or zip of images. None: the newest run.
        data: the data set to compare with; None: the one that the model was trained on. Images need one.
        metrics: names of the metrics, as in ``["fid", "kid"]``; None: all that apply.
        images: how many to generate, 6 to 100,000; None: as many as are held out, at most 10,000.
        extractor: the feature extractor; None: the one trained on the data, else ``imagenet``.
        seed_start: the first seed.
        repeats: independent sets of generated images, 1 to 30; results are then means with intervals.
        device: where to compute, for a name; a model computes where it is.
        data_dir: where data sets are looked for first.
        progress: called with the task, how much of it is done, and the total.

    Returns:
        ``report.results`` has one entry a metric, with ``metric``, ``value``, ``floor`` (the same of real images) and
        ``interval``; ``report.warnings`` what to be careful with; ``report.to_dict()`` all of it as JSON.

    Raises:
        UsageError: an unknown name or metric, images of another type or shape, or data that do not fit.
        GancliError: missing weights, too few held-out images.
    """
    opened = _opened(subject, device, progress)
    if data is None:
        refuse_addresses(opened)
    return measure(
        opened,
        None if data is None else str(data),
        metrics,
        images,
        extractor=extractor,
        seed_start=seed_start,
        repeats=repeats,
        data_dir=None if data_dir is None else Path(data_dir),
        progress=progress,
    )


def _opened(subject: object, device: str, progress: Progress | None) -> Subject:
    """What is evaluated, of whatever is named."""
    if isinstance(subject, Trained):
        subject = subject.model
    if isinstance(subject, Model):
        return as_subject(of_run(subject))
    if isinstance(subject, Subject):
        return subject
    if isinstance(subject, Tensor):
        _check_images(subject)
        return Pictures("images", subject)
    return open_subject(None if subject is None else str(subject), device=device, progress=progress)


def _check_images(images: Tensor) -> None:
    kind = str(images.dtype).removeprefix("torch.")
    if kind != "uint8" or images.ndim != 4 or images.shape[1] not in (1, 3, 4):
        raise UsageError(
            f"the images are {kind} {tuple(images.shape)}", "pass uint8 (N, C, H, W) with 1, 3 or 4 channels"
        )
