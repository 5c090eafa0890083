"""``gancli inpaint``: fill a hole in an image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _images, _options
from gancli.cli._imports import import_quickly
from gancli.cli._outputs import picture_or_folder
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.model import Model

HOLE = 128
"""The shade in which a hole is shown, opaque: grey stands out from the black and white of digits."""


def inpaint(
    model: _options.Model,
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="An image, a folder or zip of images, or a data set (its test split)."),
    ],
    mask: Annotated[
        str,
        typer.Option(
            metavar="FILE|X,Y,W,H",
            help="An image of the same size in which the hole is white, or a rectangle: left, top, width, height in "
            "pixels of the model's images.",
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.png|DIR",
            help="A .png shows image, hole and result side by side; a folder gets one PNG for each result. "
            "Default: MODEL-inpainted.png.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, metavar="N", help="Use the first N images.")] = 1,
    steps: _options.Steps = 300,
    space: _options.SearchSpace = None,
    device: _options.Device = "auto",
    data_dir: _options.DataDir = None,
    as_json: _options.AsJson = False,
) -> None:
    """Fill a hole in an image so that it matches its surroundings.

    Gradient descent finds the latent whose image fits around the hole and looks real to the run's discriminator
    (Yeh et al. 2017). That image is blended into the hole. The model needs no training for this.

    \b
    Examples:
      gancli inpaint dcgan/mnist mnist --mask 9,9,10,10 -n 8
      gancli inpaint dcgan/mnist digit.png --mask hole.png --out filled.png
      gancli inpaint runs/mine photos/ --mask 16,16,32,32 -n 100 --out filled/
    """
    one = picture_or_folder(out)

    import_quickly("gancli.model")
    from gancli.editing.inpainting import inpaint as fill
    from gancli.metrics.images import psnr
    from gancli.model import discriminator_of

    subject, path = _images.open_model(model, out, "-inpainted.png", device=device, latents=True)
    given = _images.read_images(subject, images, path, one, n, data_dir, *([mask] if Path(mask).is_file() else []))
    rectangle = re.fullmatch(r"\s*[0-9]{1,5}\s*(,\s*[0-9]{1,5}\s*){3}", mask)
    hole = _box_hole(subject, mask) if rectangle else _file_hole(subject, mask)
    holes = hole.expand(len(given.images), -1, -1)
    discriminator = discriminator_of(subject)
    with counting("search steps", len(given.images) * steps) as progress:
        filled, _ = fill(
            subject,
            given.images,
            holes,
            discriminator=discriminator,
            space=space,
            steps=steps,
            progress=progress,
        )
    if one:
        _save_rows(path, given.images, holes, filled)
    else:
        _images.save_each(path, given.names, filled)
    _images.tell_of_images(subject, given)
    if discriminator is None:
        say(f"note: {subject.name} comes without its discriminator; only the latent's prior keeps results realistic")
    each = psnr(given.images, filled).tolist()
    _images.report(
        as_json,
        subject,
        path,
        f"{_images.count_of(len(each))} filled, PSNR to the input {sum(each) / len(each):.2f} dB",
        prior="discriminator" if discriminator else "latent",
        images=len(each),
        psnr=_images.by_name(given.names, each),
    )


def _box_hole(model: Model, text: str) -> Tensor:
    """bool (H, W), true in the rectangle ``left,top,width,height``."""
    import torch

    _, rows, columns = model.shape
    left, top, width, height = map(int, text.split(","))
    if left + width > columns or top + height > rows:
        raise UsageError(
            f"--mask {text} leaves the image: {model.name} makes {columns}x{rows} pixels (width x height)",
            f"left + width is at most {columns}, top + height at most {rows}",
        )
    hole = torch.zeros(rows, columns, dtype=torch.bool)
    hole[top : top + height, left : left + width] = True
    return hole


def _file_hole(model: Model, mask: str) -> Tensor:
    """bool (H, W), true where the mask is white, after it was resized like the image."""
    import torch

    from gancli.data.user_images import read

    if not Path(mask).is_file():
        raise UsageError(
            f"--mask '{mask}' is neither a file nor a rectangle",
            "name an image, or left, top, width and height, as in --mask 9,9,10,10",
        )
    _, height, width = model.shape
    found = read(mask, (1, height, width), count=1, fit=model.recipe.data.fit, background="black")
    return torch.ge(found.images[0, 0], 128)


def _save_rows(path: Path, images: Tensor, holes: Tensor, filled: Tensor) -> None:
    """One picture with a row for each image: the image, the image with its hole, the result."""
    import torch

    from gancli.rendering.captions import save_captioned
    from gancli.rendering.images import default_scale

    shown = images.masked_fill(holes[:, None], HOLE)
    shown[:, 3:].masked_fill_(holes[:, None], 255)
    rows = torch.stack([images, shown, filled], 1).flatten(0, 1)
    scale = default_scale(*images.shape[2:], near=112 if len(filled) <= 4 else 64)
    save_captioned(rows, path, columns=3, scale=scale, above=["image", "hole", "result"])
