"""Images as a model reconstructs them, by its encoder or by a search: what ``gancli reconstruct`` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from gancli.editing.inversion import STEPS, Progress, SearchSpace, check_latents, invert, search_space
from gancli.latents import Inputs
from gancli.metrics.images import psnr

if TYPE_CHECKING:
    from gancli.model import Model


@dataclass(frozen=True)
class Reconstruction:
    """What became of N images.

    Attributes:
        images: the reconstructions, uint8 (N, C, H, W).
        inputs: their latents, N rows of what ``model.generate`` takes.
        by: what found them.
        space: where.
        psnr: of each image's reconstruction, in dB.
    """

    images: Tensor
    inputs: Inputs
    by: Literal["encoder", "search"]
    space: SearchSpace
    psnr: tuple[float, ...]


def encodes(model: Model, space: SearchSpace | None) -> bool:
    """Whether the model's encoder reconstructs: where it has one, and no space but z is asked for."""
    return model.has_encoder and space in (None, "z")


def reconstruct(
    model: Model,
    images: Tensor,
    *,
    space: SearchSpace | None = None,
    steps: int = STEPS,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstruct images.

    Args:
        model: any that makes pictures from latents.
        images: uint8 (N, C, H, W) of the model's shape.
        space: to search in; see :func:`gancli.editing.inversion.search_space`.
        steps: of the search.
        progress: of the search; see :func:`gancli.editing.inversion.invert`.

    Raises:
        UsageError: a model that makes no pictures from latents, images of another shape, no such space.
    """
    check_latents(model)
    by: Literal["encoder", "search"] = "encoder" if encodes(model, space) else "search"
    if by == "encoder":
        inputs, where = {"z": model.encode(images)}, "z"
    else:
        inputs = invert(model, images, space=space, steps=steps, progress=progress)
        where = search_space(model, space)
    made = model.generate(inputs)
    return Reconstruction(made, inputs, by, where, tuple(psnr(images, made).tolist()))
