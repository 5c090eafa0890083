"""A user's picture: its latent, and what fills a hole in it. This part uses torch, in the worker's thread alone."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gancli.editing.inpainting import inpaint
from gancli.editing.inversion import check_latents
from gancli.editing.reconstruction import reconstruct
from gancli.errors import UsageError
from gancli.latents import Inputs
from gancli.metrics.images import psnr
from gancli.model import Model, discriminator_of
from gancli.page.points import Search


def read(model: Model, pixels: str) -> Tensor:
    """An image uint8 (1, C, H, W) of the model's shape, from (H, W, C) in base64.

    Raises:
        UsageError: pixels of another number.
    """
    channels, height, width = model.shape
    return _unpacked(model, pixels, (height, width, channels), "image").permute(2, 0, 1)[None].contiguous()


def _unpacked(model: Model, text: str, shape: tuple[int, ...], what: str) -> Tensor:
    try:
        values = b64decode(text, validate=True)
    except ValueError:
        values = b""
    if len(values) != torch.Size(shape).numel():
        raise UsageError(f"the {what} has {len(values)} bytes", f"{model.name} takes {'x'.join(map(str, shape))}")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(shape)


def search(model: Model, asked: Search, progress: Callable[[int], None]) -> dict[str, Any]:
    """What `gancli reconstruct` or, with a mask, `gancli inpaint` makes of a picture.

    Args:
        model: any that makes pictures from latents.
        asked: the picture.
        progress: told the number of steps just made; it may use the model, and change its truncation.

    Returns:
        ``pixels`` (H, W, C) in base64, ``psnr`` against the picture in dB, ``by`` what it was found, ``space`` where,
        and ``latent``: see :func:`_held`.

    Raises:
        UsageError: no picture of this model, a hole of nothing or everything, no such space, a model without latents.
    """
    check_latents(model)
    model.truncate(None)
    image = read(model, asked.pixels)

    def step(made: int) -> None:
        progress(made)
        model.truncate(None)

    if asked.mask is None:
        found = reconstruct(model, image, space=asked.space, steps=asked.steps, progress=step)
        made, inputs, by, space = found.images, found.inputs, found.by, found.space
    else:
        hole = _unpacked(model, asked.mask, model.shape[1:], "mask") >= 128
        beside = discriminator_of(model)
        made, inputs = inpaint(
            model, image, hole[None], discriminator=beside, space=asked.space, steps=asked.steps, progress=step
        )
        by, space = "discriminator" if beside else "latent", asked.space or model.space()
    return {
        "pixels": b64encode(made[0].permute(1, 2, 0).contiguous().numpy().tobytes()).decode(),
        "psnr": float(psnr(image, made)[0]),
        "by": by,
        "space": space,
        "latent": _held(model, inputs),
    }


def _held(model: Model, inputs: Inputs) -> dict[str, Any] | None:
    """One row of inputs as a point of the page: its class, its codes, and values of the model's best space.

    None for w+, whose layers each have a row, while the page steers one row for all, and for what is not finite.
    """
    space = model.space()
    values = (inputs if space in inputs else model.points(inputs, space))[space][0]
    if values.dim() == 2:
        if not bool((values == values[0]).all()):
            return None
        values = values[0]
    if not bool(values.isfinite().all()):
        return None
    return {
        "label": int(inputs["y"][0]) if "y" in inputs else None,
        "codes": inputs["c"][0].tolist() if "c" in inputs else [],
        "values": values.tolist(),
    }
