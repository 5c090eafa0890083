"""Judging translators without pairs: what is left of an image there, back, and there again.

There is no right answer to compare with, pixel by pixel. What can be asked of labelled images is whether a digit is
still the same digit (a classifier of the image side reads it), and what can be asked of any is how much a round trip
changes (Zhu et al. 2017, section 3.2). Between the two ways images are rounded to the 256 values of a file, which
leaves little room for messages too faint to be seen (Chu et al. 2017, "CycleGAN, a master of steganography").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import gancli
from gancli.data import DATASETS, load
from gancli.data.pairs import degradations
from gancli.data.pairs.sources import load_with_sources
from gancli.data.pairs.styles import STYLES
from gancli.errors import UsageError, nearest
from gancli.evaluation.extractors import EXTRACTORS
from gancli.evaluation.features import BATCH, Progress, Reader
from gancli.evaluation.protocol import PlainReport, averaged
from gancli.evaluation.reconstruction import HIGHEST, psnr
from gancli.evaluation.reference import positions

if TYPE_CHECKING:
    from gancli.data import Dataset
    from gancli.model import Model

Translate = Callable[[Tensor], Tensor]
"""uint8 (N, C, H, W) to as many uint8 images of the other side."""

IMAGES = 10_000
BACK = "back"
"""The network that makes sources of images."""

METHOD = (
    "class_kept is the share of translated sources that are read as their class, class_kept_round_trip that of images "
    "taken back and there again, beside that of the images as they are; PSNR is of 8-bit images after both ways, the "
    f"mean over images, of which each counts at most {HIGHEST:g} dB"
)
TITLES = {
    "class_kept": "class kept",
    "class_kept_round_trip": "class kept, round trip",
    "psnr_round_trip": "PSNR, image round trip",
    "psnr_source_round_trip": "PSNR, source round trip",
}
"""What each figure is called in tables, the most telling first."""


@dataclass(frozen=True)
class Result:
    """One figure.

    Attributes:
        metric: of :data:`TITLES`.
        value: a share, or dB.
        floor: of the images as they are: the most that can be expected; None for a PSNR.
        better: "higher".
    """

    metric: str
    value: float
    floor: float | None = None
    better: str = "higher"


@dataclass(frozen=True)
class Protocol:
    """Everything that a figure depends on beside the model's weights.

    Attributes:
        method: what is measured, in words.
        data: the data set.
        data_fingerprint: digest of its held-out images.
        split: which images.
        source: what the other side is.
        extractor: the classifier; None where none knows the data.
        extractor_sha256: digest of its weights.
        real_images: how many images.
        generated_images: how many sources.
        ema: whether the running average of the weights was judged; None when the model does not say.
        gancli: version of this program.
    """

    method: str
    data: str
    data_fingerprint: str
    split: str
    source: str
    extractor: str | None
    extractor_sha256: str | None
    real_images: int
    generated_images: int
    ema: bool | None
    gancli: str


class CycleReport(PlainReport):
    """What an evaluation of a translator without pairs found."""


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
    """What both directions leave of images and sources.

    Args:
        there: sources to images.
        back: images to sources.
        sides: what to translate.
        reader: a classifier that knows the images' classes; None where there is none.
    """
    made, sources_again = round_trip(there, back, sides.sources)
    _, images_again = round_trip(back, there, sides.images)
    found = []
    if reader is not None and sides.labels is not None:
        plain = share_read(reader, "images", sides.images, sides.labels)
        again = share_read(reader, "round trips", images_again, sides.labels)
        found.append(Result("class_kept_round_trip", again, plain))
        if sides.source_labels is not None:
            kept = share_read(reader, "translated sources", made, sides.source_labels)
            found.insert(0, Result("class_kept", kept, plain))
    found.append(Result("psnr_round_trip", float(psnr(sides.images, images_again).mean())))
    found.append(Result("psnr_source_round_trip", float(psnr(sides.sources, sources_again).mean())))
    return found


def round_trip(first: Translate, second: Translate, images: Tensor) -> tuple[Tensor, Tensor]:
    """Images on the other side, and those brought back; both uint8 and as many as were given."""
    once = torch.cat([first(part) for part in images.split(BATCH)])
    return once, torch.cat([second(part) for part in once.split(BATCH)])


def share_read(reader: Reader, what: str, images: Tensor, labels: Tensor) -> float:
    """Share of the images that are read as what their labels say."""
    read = reader.read(what, images.split(BATCH), len(images)).classes
    return float((read == labels).double().mean())


def evaluate(
    model: Model,
    data: str | None = None,
    images: int | None = None,
    metrics: Sequence[str] = (),
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> CycleReport:
    """Judge a translator without pairs on held-out images.

    Args:
        model: what translates both ways.
        data: the data set; None is the one that the model was trained on.
        images: how many of each side; None for all that are held out, at most 10,000.
        metrics: names of the figures; none for all that the data allow.
        data_dir: where named sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: no such data, sources that the model's file does not tell how to make, an unknown figure.
    """
    if unknown := [name for name in metrics if name not in TITLES]:
        raise UsageError(f"a translator without pairs has no figure '{unknown[0]}'", nearest(unknown[0], TITLES))
    if images is not None and images < 1:
        raise UsageError(f"cannot judge by {images} images", "one at least is needed")
    report = progress or (lambda what, done, total: None)
    name = data or model.data_name or ""
    held_out, sides = _held_out(model, name, images or IMAGES, data_dir, report)
    reader = _reader(model, name, report)
    back = partial(model.translate, network=BACK)
    found = figures(model.translate, back, sides, reader)
    chosen = [result for result in found if not metrics or result.metric in metrics]
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
        ema=averaged(model.header),
        gancli=gancli.__version__,
    )
    return CycleReport(model.name, protocol, tuple(chosen))


def _held_out(model: Model, name: str, count: int, data_dir: Path | None, progress: Progress) -> tuple[Dataset, Sides]:
    """Both sides in the model's shape, of images that it has not seen."""
    channels, height, width = model.shape
    how, source = model.recipe.data, model.recipe.data.source
    options: dict[str, Any] = {
        "split": "test",
        "size": (height, width),
        "channels": channels,
        "fit": how.fit,
        "background": how.background,
        "data_dir": data_dir,
        "progress": progress,
    }
    if source in DATASETS:
        dataset, other = load(name, **options), load(source, **options)
        sources, labels = other.images, other.labels if other.classes == dataset.classes else None
    elif source in STYLES or degradations.parse(source):
        # Paired here, so that a source's class is known.
        dataset = load_with_sources(name, source, paired=True, **options)
        sources, labels = dataset.sources, dataset.labels
        assert sources is not None
    else:
        raise UsageError(
            f"'{model.name}' was trained on files of two folders, which it cannot find by itself",
            f"as in gancli translate {model.name} IMAGES",
        )
    # From anywhere in the set, which may come in the order of its classes.
    here, there = positions(len(dataset.images), count), positions(len(sources), count)
    sides = Sides(
        dataset.images[here],
        sources[there],
        None if dataset.labels is None else dataset.labels[here],
        None if labels is None else labels[there],
    )
    return dataset, sides


def _reader(model: Model, data: str, progress: Progress) -> Reader | None:
    """The classifier that knows the data, if there is one."""
    for extractor in EXTRACTORS.values():
        if data in extractor.datasets:
            network, digest = extractor.load()
            return Reader(extractor, network.to(model.device), digest, progress)
    return None


def examples(model: Model, data: str | None = None, count: int = 12, *, data_dir: Path | None = None) -> Tensor:
    """Held-out images as rows of ``count``: sources, translated, and back; images, on the other side, and back.

    Returns:
        uint8 (6 * count, C, H, W); fewer where fewer are held out.
    """
    name = data or model.data_name or ""
    _, sides = _held_out(model, name, count, data_dir, lambda what, done, total: None)
    back = partial(model.translate, network=BACK)
    few = min(len(sides.images), len(sides.sources))
    sources, images = sides.sources[:few], sides.images[:few]
    return torch.cat(
        [sources, *round_trip(model.translate, back, sources), images, *round_trip(back, model.translate, images)]
    )
