"""Images into others: what ``gancli translate`` does, for use as a library too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from gancli.data import user_images
from gancli.data.pairs import degradations
from gancli.data.pairs.sources import SPLIT, part, side_of
from gancli.data.pairs.styles import STYLES, restyle
from gancli.errors import UsageError
from gancli.metrics.images import psnr

if TYPE_CHECKING:
    from gancli.data.types import Progress, Skipped
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
        changed: what was done to sources of another size; see :class:`gancli.data.user_images.UserImages`.
    """

    names: tuple[str, ...]
    sources: Tensor
    results: Tensor
    psnr: Mapping[str, float]
    skipped: tuple[Skipped, ...] = ()
    changed: str = ""


def translate(
    model: Model,
    images: str | Sequence[str],
    *,
    degrade: bool = False,
    target: str | None = None,
    network: str | None = None,
    count: int | None = None,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Translation:
    """Read images, have a model translate them, and say how near they come to the true ones.

    Args:
        model: one that makes images from images.
        images: a file, a folder or zip of images, or several of these, or a data set's name, which stands for its test
            split; brought to the model's size.
        degrade: the images are whole, and the model's own degradation is applied first; they are then the true ones.
            For a model of files that show two images side by side, each file's halves are source and true image.
        target: where the true images are, under the same names.
        network: another of the model's networks than the first, such as the ``back`` of a CycleGAN.
        count: at most so many images.
        data_dir: where named sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: a model that makes images from seeds, no image that can be read, no degradation to apply.
    """
    if degrade and target is not None:
        raise UsageError("`degrade` and `target` both say what the true images are", "give one of them")
    pairing = _pairing(model, images, degrade, network)
    how, (channels, height, width) = model.recipe.data, model.shape
    read = partial(user_images.read, background=how.background, data_dir=data_dir, progress=progress)
    if degrade and _of_halves(model):
        # Cropping would cut other parts from the one half than from the other.
        got = read(images, (channels, height, 2 * width), count=count, fit="stretch")
    else:
        got = read(images, model.shape, count=count, fit=how.fit)
    whole, sources = pairing(got.images) if pairing else (None, got.images)
    results = model.translate(sources, network=network)
    true = {} if whole is None else dict(zip(got.names, whole, strict=True))
    if target is not None:
        other = read(target, model.shape, fit=how.fit)
        true = dict(zip(other.names, other.images, strict=True))
        if true.keys().isdisjoint(got.names):
            raise UsageError(f"no image of '{target}' has the name of one that was translated", "the names must agree")
    made = zip(got.names, results, strict=True)
    near = {name: float(psnr(true[name][None], image[None])) for name, image in made if name in true}
    return Translation(got.names, sources, results, near, got.skipped, got.changed)


def _pairing(
    model: Model, images: str | Sequence[str], degrade: bool, network: str | None
) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
    """What makes true images and their sources of the images read, if anything is to."""
    model.translator(network)
    if not degrade:
        return None
    source = model.recipe.data.source
    if network is not None:
        raise UsageError("`degrade` makes what the way there takes, and `back` takes whole images", "give one of them")
    if degradation := degradations.parse(source):
        return lambda images: (images, degradation.spoil(images))
    if source in STYLES:
        return lambda images: (images, restyle(source, images))
    if _of_halves(model):
        sides = [side_of(name, source) for name in user_images.as_list(images)]
        return partial(part, side=sides[0])
    raise UsageError(f"'{model.name}' learned from two sets of images, not from a degradation", "leave out `degrade`")


def _of_halves(model: Model) -> bool:
    """Whether it learned from files that show source and image side by side."""
    return model.recipe.data.source.partition(":")[0] == SPLIT
