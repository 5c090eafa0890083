"""Translators without pairs: what remains of an image after a translation, and after a round trip.

There is no true image to compare with, pixel by pixel. Of labelled images, a classifier of the image side tells whether
a digit is still the same digit; of any, how much a round trip changes (Zhu et al. 2017, section 3.2). Between the two
ways images are rounded to the 256 values of a file, which leaves little room for messages too faint to be seen (Chu et
al. 2017, "CycleGAN, a master of steganography").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.alpha import has_alpha
from gancli.data import DATASETS, Dataset
from gancli.data.pairs import degradations
from gancli.data.pairs.styles import STYLES
from gancli.data.types import Progress, no_progress
from gancli.errors import UsageError
from gancli.evaluation.evaluators import checks
from gancli.evaluation.evaluators.checks import IMAGES, Options
from gancli.evaluation.evaluators.pairs import load_like
from gancli.evaluation.extractors import usual
from gancli.evaluation.features import BATCH, Reader
from gancli.evaluation.protocol import Protocol
from gancli.evaluation.reference import positions
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import Subject
from gancli.metrics.classes import SAME_CLASS, SAME_CLASS_ROUND_TRIP, class_accuracy
from gancli.metrics.images import HIGHEST_PSNR, PREMULTIPLIED, ROUND_TRIPS, psnr

if TYPE_CHECKING:
    from gancli.model import Model

Translate = Callable[[Tensor], Tensor]
"""uint8 (N, C, H, W) to as many uint8 images of the other side."""

BACK = "back"
"""The network that makes sources of images."""

METHOD = (
    "class_kept is the share of translated sources that are read as their class, class_kept_round_trip that of images "
    "taken back and there again, beside that of the images as they are; PSNR is of 8-bit images after both ways, the "
    f"mean over images, of which each counts at most {HIGHEST_PSNR:g} dB"
)
NAMES = [figure.name for figure in (SAME_CLASS, SAME_CLASS_ROUND_TRIP, *ROUND_TRIPS)]


@dataclass(frozen=True)
class Sides:
    """Held-out images of both sides.

    Attributes:
        images: uint8 (N, C, H, W).
        sources: uint8 (M, C, H, W).
        labels: classes of the images, int64 (N,), or None.
        source_labels: classes of the sources, int64 (M,), or None.
    """

    images: Tensor
    sources: Tensor
    labels: Tensor | None = None
    source_labels: Tensor | None = None


def figures(there: Translate, back: Translate, sides: Sides, reader: Reader | None) -> list[Result]:
    """What both directions leave of images and sources, the most informative first.

    Args:
        there: sources to images.
        back: images to sources.
        sides: what to translate.
        reader: a classifier that knows the images' classes; None where there is none.
    """
    made, sources_again = round_trip(there, back, sides.sources)
    _, images_again = round_trip(back, there, sides.images)

    def accuracy(what: str, images: Tensor, labels: Tensor) -> float:
        assert reader is not None
        return class_accuracy(labels, reader.read(what, images.split(BATCH), len(images)).classes)

    found = []
    if reader is not None and sides.labels is not None:
        floor = accuracy("images", sides.images, sides.labels)
        if sides.source_labels is not None:
            found.append(Result(SAME_CLASS, accuracy("translated sources", made, sides.source_labels), floor))
        found.append(Result(SAME_CLASS_ROUND_TRIP, accuracy("round trips", images_again, sides.labels), floor))
    trips = (sides.images, images_again), (sides.sources, sources_again)
    psnrs = [Result(figure, float(psnr(*trip).mean())) for figure, trip in zip(ROUND_TRIPS, trips, strict=True)]
    return found + psnrs


def round_trip(first: Translate, second: Translate, images: Tensor) -> tuple[Tensor, Tensor]:
    """Images on the other side, and those brought back; both uint8 and as many as were given."""
    once = torch.cat([first(part) for part in images.split(BATCH)])
    return once, torch.cat([second(part) for part in once.split(BATCH)])


def evaluate(subject: Subject, model: Model, data: str | None, options: Options) -> Report:
    """Translate held-out images of both sides there and back.

    Args:
        subject: the model as a subject.
        model: what translates both ways.
        data: the data set; None is the one that the model was trained on.
        options: ``images`` is how many of each side; all that are held out, at most 10,000, unless given.

    Raises:
        UsageError: no such data, sources that the model's file does not tell how to make, an unknown figure.
    """
    names = checks.figures(options, NAMES, "a translator without pairs")
    name = data or model.data_name or ""
    held_out, sides = _held_out(model, name, options.images or IMAGES, options.data_dir, options.progress)
    extractor = usual(name)
    # Classifiers know no transparency.
    knows = name in extractor.datasets and not has_alpha(sides.images)
    reader = Reader.load(extractor, model.device, options.progress) if knows else None
    found = figures(model.translate, partial(model.translate, network=BACK), sides, reader)
    chosen = [result for result in found if result.metric in names]
    if not chosen:
        raise UsageError(f"no classifier knows '{name}'", "psnr_round_trip needs none")
    protocol = Protocol(
        method=METHOD,
        data=name,
        data_fingerprint=held_out.fingerprint,
        split=held_out.split,
        source=model.recipe.data.source,
        extractor=reader.extractor.name if reader else None,
        extractor_sha256=reader.digest if reader else None,
        real_images=len(sides.images),
        generated_images=len(sides.sources),
        ema=subject.ema,
        alpha=PREMULTIPLIED if has_alpha(sides.images) else None,
    )
    return Report(model.name, protocol, tuple(chosen))


def _held_out(model: Model, name: str, count: int, data_dir: Path | None, progress: Progress) -> tuple[Dataset, Sides]:
    """Both sides in the model's shape, of images that it has not seen."""
    source = model.recipe.data.source
    load = partial(load_like, model, "test", data_dir, progress)
    if source in DATASETS:
        dataset, other = load(name=name, source=""), load(name=source, source="")
        sources, labels = other.images, other.labels if other.classes == dataset.classes else None
    elif source in STYLES or degradations.parse(source):
        # Paired here, so that a source's class is known.
        dataset = load(name=name, paired=True)
        sources, labels = dataset.sources, dataset.labels
        assert sources is not None
    else:
        raise UsageError(
            f"'{model.name}' was trained on files of two folders, which it cannot find by itself",
            f"as in `gancli translate {model.name} IMAGES`",
        )
    # From anywhere in the set, which may come in the order of its classes.
    here, there = positions(len(dataset.images), count), positions(len(sources), count)
    return dataset, Sides(
        dataset.images[here],
        sources[there],
        None if dataset.labels is None else dataset.labels[here],
        None if labels is None else labels[there],
    )


def examples(model: Model, data: str | None = None, count: int = 12, *, data_dir: Path | None = None) -> Tensor:
    """Held-out images as rows of ``count``: sources, translated, and back; images, on the other side, and back.

    Returns:
        uint8 (6 * count, C, H, W); fewer where fewer are held out.
    """
    _, sides = _held_out(model, data or model.data_name or "", count, data_dir, no_progress)
    back = partial(model.translate, network=BACK)
    few = min(len(sides.images), len(sides.sources))
    sources, images = sides.sources[:few], sides.images[:few]
    return torch.cat(
        [sources, *round_trip(model.translate, back, sources), images, *round_trip(back, model.translate, images)]
    )
