"""Images into others: what ``gancli translate`` does, for use as a library too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from gancli.data import degrade, given
from gancli.data.sources import SPLIT
from gancli.data.styles import STYLES, restyle
from gancli.errors import UsageError
from gancli.evaluation.reconstruction import psnr

if TYPE_CHECKING:
    from gancli.data.prepared import Progress, Skipped
    from gancli.model import Model


@dataclass(frozen=True)
class Translation:
    """What became of images.

    Attributes:
        names: what to call each.
        sources: what the model was given, uint8 (N, C, H, W).
        results: what it made of them, uint8 (N, C, H, W).
        psnr: of each result against its true image in dB, by name, where that is known.
        skipped: files that gave no image, with the reason.
    """

    names: tuple[str, ...]
    sources: Tensor
    results: Tensor
    psnr: Mapping[str, float]
    skipped: tuple[Skipped, ...] = ()


def translate(
    model: Model,
    images: str,
    *,
    spoil: bool = False,
    target: str | None = None,
    network: str | None = None,
    count: int | None = None,
    batch: int = 256,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Translation:
    """Read images, have a model translate them, and say how near they come to the true ones.

    Args:
        model: one that makes images from images.
        images: a file, a folder or zip of images, or a data set's name, which stands for its test split; brought to the
            model's size.
        spoil: the images are whole, and the model's own degradation is applied first; they are then the true ones.
        target: where the true images lie, under the same names.
        network: another of the model's networks than the first, such as the ``back`` of a CycleGAN.
        count: at most so many images.
        batch: images computed at once.
        data_dir: where named sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: a model that makes images from seeds, no image that can be read, no degradation to apply.
    """
    degrading = _degrading(model, spoil, target, network)
    how = model.recipe.data

    def read(what: str) -> given.Given:
        return given.read(
            what, model.shape, count=count if what == images else None, fit=how.fit, background=how.background,
            data_dir=data_dir, progress=progress,
        )  # fmt: skip

    got = read(images)
    sources = degrading(got.images) if degrading else got.images
    results = model.translate(sources, network=network, batch=batch)
    true = dict(zip(got.names, got.images, strict=True)) if degrading else {}
    skipped = got.skipped
    if target is not None:
        other = read(target)
        true, skipped = dict(zip(other.names, other.images, strict=True)), (*skipped, *other.skipped)
        if not set(true) & set(got.names):
            raise UsageError(
                f"no image of '{target}' has the name of one of '{images}'", "true images lie under the same names"
            )
    near = {
        name: float(psnr(true[name][None], result[None]))
        for name, result in zip(got.names, results, strict=True)
        if name in true
    }
    return Translation(got.names, sources, results, near, skipped)


def _degrading(model: Model, spoil: bool, target: str | None, network: str | None) -> Callable[[Tensor], Tensor] | None:
    """What makes sources of the images first, if anything is to: a degradation or a style."""
    if model.takes != "source":
        raise UsageError(
            f"'{model.name}' makes images from seeds, not from images",
            f"gancli sample {model.name}, or gancli reconstruct {model.name} IMAGES",
        )
    if not spoil:
        return None
    if target is not None:
        raise UsageError("--degrade and --target both say what the true images are", "give one of them")
    source = model.recipe.data.source
    if network is not None:
        raise UsageError("--degrade makes what the way there takes, and --back takes whole images", "give one of them")
    if degradation := degrade.parse(source):
        return degradation.spoil
    if source in STYLES:
        return partial(restyle, source)
    kind = "files of two halves" if source.partition(":")[0] == SPLIT else "two sets of images"
    raise UsageError(f"'{model.name}' learned from {kind}, not from a degradation", "leave out --degrade")
