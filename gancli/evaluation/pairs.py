"""Judging translators of pairs: how near an image comes to the true one, beside the simplest repair there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import gancli
from gancli.data.builtin.names import DATASETS
from gancli.data.folder import layout
from gancli.data.folder.files import open_source
from gancli.data.pairs import degradations
from gancli.data.pairs.sources import SPLIT, load_with_sources
from gancli.errors import UsageError, nearest
from gancli.evaluation.features import BATCH, Progress
from gancli.evaluation.protocol import PlainReport, averaged
from gancli.evaluation.reconstruction import HIGHEST, WINDOW, has_ssim, psnr, ssim
from gancli.evaluation.reference import positions

if TYPE_CHECKING:
    from gancli.data import Dataset
    from gancli.model import Model

IMAGES = 10_000
METHOD = (
    f"PSNR of 8-bit images over all channels; psnr is the mean over images, of which each counts at most {HIGHEST:g} "
    "dB, psnr_all is that of the mean squared error over all images; ssim is the mean structural similarity under a "
    f"Gaussian window of {WINDOW}x{WINDOW} pixels, over channels and images"
)
TITLES = {"psnr": "PSNR, mean over images, dB", "psnr_all": "PSNR of all images, dB", "ssim": "SSIM, mean over images"}


@dataclass(frozen=True)
class Result:
    """One figure.

    Attributes:
        metric: of :data:`TITLES`.
        value: of the results.
        baseline: of the simplest repair of the same sources; None where there is none.
        better: "higher".
        floor: None: no real images stand beside a translation.
    """

    metric: str
    value: float
    baseline: float | None
    better: str = "higher"
    floor: None = None


@dataclass(frozen=True)
class Protocol:
    """Everything that a figure depends on beside the model's weights.

    Attributes:
        method: what is measured, in words.
        data: the data set.
        data_fingerprint: digest of its held-out images.
        split: which images: "test", or "all" of a set that has no held-out split and was named for this.
        source: what sources were made by, with its amount.
        baseline: the simplest repair, in words; empty where there is none.
        real_images: how many true images.
        generated_images: how many results.
        ema: whether the running average of the weights was judged; None when the model does not say.
        gancli: version of this program.
    """

    method: str
    data: str
    data_fingerprint: str
    split: str
    source: str
    baseline: str
    real_images: int
    generated_images: int
    ema: bool | None
    gancli: str


class PairReport(PlainReport):
    """What an evaluation of a translator found."""


def figures(made: Tensor, true: Tensor) -> dict[str, float]:
    """PSNR in dB in both ways, and SSIM where its window fits; both uint8 (N, C, H, W)."""
    error = (made.double() - true.double()).square().mean()
    together = float((10 * (255**2 / error).log10()).clamp_max(HIGHEST))
    found = {"psnr": float(psnr(true, made).mean()), "psnr_all": together}
    return found | ({"ssim": float(ssim(true, made).mean())} if has_ssim(tuple(true.shape)) else {})


def of_files(metrics: Sequence[str]) -> bool:
    """Whether figures named for a set of images are those of pairs.

    Raises:
        UsageError: some are, and some are of sets.
    """
    paired = [name for name in metrics if name in TITLES]
    if paired and (others := [name for name in metrics if name not in TITLES]):
        raise UsageError(f"{paired[0]} is of pairs of images, and {others[0]} of sets", "ask for one after the other")
    return bool(paired)


def evaluate(
    model: Model,
    data: str | None = None,
    images: int | None = None,
    metrics: Sequence[str] = (),
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> PairReport:
    """Judge a translator of pairs on held-out images.

    Args:
        model: what makes an image from its source.
        data: the data set; None is the one that the model was trained on. One that is named and has no held-out split
            is taken whole.
        images: how many; None for all that are held out, at most 10,000.
        metrics: names of the figures; none for all that the images allow.
        data_dir: where named sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: no such data, pairs that the model's file does not tell how to make, an unknown figure, SSIM of
            images smaller than its window.
    """
    if unknown := [name for name in metrics if name not in TITLES]:
        raise UsageError(f"a translator of pairs has no figure '{unknown[0]}'", nearest(unknown[0], TITLES))
    if images is not None and images < 1:
        raise UsageError(f"cannot judge by {images} images", "one at least is needed")
    if "ssim" in metrics and not has_ssim(model.shape):
        _, height, width = model.shape
        raise UsageError(
            f"SSIM is of images of {WINDOW}x{WINDOW} pixels or more, and '{model.name}' makes {height}x{width}",
            "psnr is of any",
        )
    source = model.recipe.data.source
    degradation = degradations.parse(source)
    if degradation is None and source.partition(":")[0] != SPLIT:
        raise UsageError(
            f"'{model.name}' was trained on files of two folders, which it cannot find by itself",
            f"as in gancli translate {model.name} SOURCES --target IMAGES",
        )
    report = progress or (lambda what, done, total: None)
    held_out = _held_out(model, data, source, data_dir, report)
    assert held_out.sources is not None
    # From anywhere in the set, which may come in the order of its classes.
    chosen = positions(len(held_out.images), images or IMAGES)
    count, true, sources = len(chosen), held_out.images[chosen], held_out.sources[chosen]
    made, repaired = _translated(model, sources, report), None
    values = figures(made, true)
    if degradation is not None:
        repaired = degradation.baseline(sources)
    beside = figures(repaired, true) if repaired is not None else {}
    protocol = Protocol(
        method=METHOD,
        data=held_out.name,
        data_fingerprint=held_out.fingerprint,
        split=held_out.split,
        source=str(degradation) if degradation else source,
        baseline=degradation.kind.words if degradation else "",
        real_images=count,
        generated_images=count,
        ema=averaged(model.header),
        gancli=gancli.__version__,
    )
    named = dict.fromkeys(metrics) or values
    return PairReport(model.name, protocol, tuple(Result(name, values[name], beside.get(name)) for name in named))


def examples(model: Model, data: str | None = None, count: int = 32, *, data_dir: Path | None = None) -> Tensor:
    """Held-out pairs as pictures: source, result and true image in turn, uint8 (3 * count, C, H, W).

    They are spread over the data set, which may come in the order of its classes.

    Raises:
        UsageError: see :func:`evaluate`.
    """
    held_out = _held_out(model, data, model.recipe.data.source, data_dir, lambda what, done, total: None)
    assert held_out.sources is not None
    chosen = torch.linspace(0, len(held_out.images) - 1, min(count, len(held_out.images))).long()
    sources = held_out.sources[chosen]
    return torch.stack([sources, model.translate(sources), held_out.images[chosen]], 1).flatten(0, 1)


def _held_out(model: Model, data: str | None, source: str, data_dir: Path | None, progress: Progress) -> Dataset:
    """Pairs that the model has not seen, in its shape."""
    channels, height, width = model.shape
    how = model.recipe.data
    options: dict[str, Any] = {
        "size": (height, width),
        "channels": channels,
        "fit": how.fit,
        "background": how.background,
        "data_dir": data_dir,
        "progress": progress,
    }
    name = data or model.data_name or ""
    if data is None or name in DATASETS or _has_held_out(Path(name).expanduser()):
        return load_with_sources(name, source, split="test", **options)
    return replace(load_with_sources(name, source, split="train", **options), split="all")


def _has_held_out(path: Path) -> bool:
    try:
        layout.listing(open_source(path), "test")
    except (UsageError, OSError):
        return False
    return True


def _translated(model: Model, sources: Tensor, progress: Progress) -> Tensor:
    parts = []
    for number, part in enumerate(sources.split(BATCH)):
        parts.append(model.translate(part))
        progress("translations", min((number + 1) * BATCH, len(sources)), len(sources))
    return torch.cat(parts)
