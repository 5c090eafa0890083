"""``gancli inpaint``: fill a hole in an image."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli._imports import import_quickly
from gancli.cli._outputs import check_inputs_stay, fitted, picture_or_folder
from gancli.cli.sample import Device
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting, progress_bar
from gancli.errors import UsageError
from gancli.rendering.layout import file_stem

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.user_images import UserImages
    from gancli.model import Model

HOLE = 128
"""The shade in which a hole is shown: grey is neither of a digit's two."""


def inpaint(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A zoo name such as dcgan/mnist, a run folder, or a .safetensors file."),
    ],
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="An image, a folder or a zip of them, or a data set (its test split)."),
    ],
    mask: Annotated[
        str,
        typer.Option(
            metavar="FILE|X,Y,W,H",
            help="An image of the same size in which the hole is white, or a rectangle: left, top, width, height in "
            "pixels of the model's images.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.png|DIR",
            help="A .png for image, hole and result side by side; a folder for one PNG of each result. "
            "MODEL-inpainted.png unless given.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, metavar="N", help="The first N images.")] = 1,
    steps: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Steps of the search.")] = 300,
    restarts: Annotated[
        int, typer.Option(min=1, max=256, metavar="N", help="Starts of the search; the best wins.")
    ] = 4,
    device: Device = "auto",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data sets are looked for first.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Fill a hole with what the model holds likely there, by what is around it.

    The latent is searched for whose image fits around the hole and looks real to the run's discriminator; that image is
    blended into the hole. The model needs no training for this.

    \b
    Examples:
      gancli inpaint dcgan/mnist mnist --mask 9,9,10,10 -n 8
      gancli inpaint dcgan/mnist digit.png --mask hole.png --out filled.png
      gancli inpaint runs/mine photos/ --mask 16,16,32,32 -n 100 --out filled/
    """
    one, box = picture_or_folder(out), _parse_box(mask)

    import_quickly("gancli.model")
    from gancli import model as models
    from gancli.data.user_images import read
    from gancli.editing.inpainting import inpaint as fill
    from gancli.editing.inversion import check_latents
    from gancli.metrics.images import psnr

    subject = models.load(model, device=device)
    check_latents(subject)
    path = Path(out) if out else Path(f"{file_stem(subject.name)}-inpainted.png")
    check_inputs_stay(path, one, images, *([] if box else [mask]))
    how = subject.recipe.data
    with progress_bar() as told:
        given = read(
            images, subject.shape, count=n, fit=how.fit, background=how.background, data_dir=data_dir, progress=told
        )
    hole = _box_hole(subject, mask, box) if box else _file_hole(subject, mask, images)
    holes = hole.expand(len(given.images), -1, -1)
    judge = models.discriminator_of(subject)
    with counting("steps of the search", len(given.images) * steps) as progress:
        filled, _ = fill(
            subject, given.images, holes, discriminator=judge, steps=steps, restarts=restarts, progress=progress
        )
    _save(path, one, given, holes, filled)
    if given.changed:
        say(fitted(given.changed, subject.shape))
    for left in given.skipped:
        say(f"left out {left.name}: {left.reason}")
    each, prior = psnr(given.images, filled).tolist(), "latent" if judge is None else "discriminator"
    if as_json:
        found = dict(zip(given.names, (round(value, 3) for value in each), strict=True))
        made = {"model": subject.name, "out": str(path), "prior": prior, "images": len(each), "psnr": found}
        print(json.dumps(made))
        return
    if judge is None:
        say(f"{subject.name} comes without its discriminator: what keeps the result real is the latent's distribution")
    say(f"{len(each):,} image{'s' * (len(each) != 1)} filled, PSNR to what was given {sum(each) / len(each):.2f} dB")
    print(path)


def _parse_box(text: str) -> tuple[int, int, int, int] | None:
    """Read ``9,9,10,10`` as left, top, width, height; None for what is the name of a file."""
    found = re.fullmatch(r"\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*", text)
    if not found:
        if not Path(text).is_file():
            raise UsageError(
                f"--mask '{text}' is neither a file nor a rectangle",
                "name an image, or left, top, width and height, as in --mask 9,9,10,10",
            )
        return None
    left, top, width, height = map(int, found.groups())
    if not width or not height:
        raise UsageError(f"--mask {text} is a rectangle of nothing", "its width and height are 1 or more")
    return left, top, width, height


def _box_hole(subject: "Model", text: str, box: tuple[int, int, int, int]) -> "Tensor":
    """bool (H, W), true in the rectangle."""
    import torch

    _, rows, columns = subject.shape
    left, top, width, height = box
    if left + width > columns or top + height > rows:
        raise UsageError(
            f"--mask {text} leaves the image: {subject.name} makes {columns}x{rows} pixels (width x height)",
            f"left + width is at most {columns}, top + height at most {rows}",
        )
    hole = torch.zeros(rows, columns, dtype=torch.bool)
    hole[top : top + height, left : left + width] = True
    return hole


def _file_hole(subject: "Model", mask: str, images: str) -> "Tensor":
    """bool (H, W), true where the mask is white, after it was fitted as the image was."""
    import torch

    from gancli.data.pixels import BadImageError, probe
    from gancli.data.user_images import read

    if Path(images).is_file():
        with Path(images).open("rb") as image, Path(mask).open("rb") as white:
            try:
                wanted, size = probe(image)[0], probe(white)[0]
            except BadImageError:  # an archive; or no image at all, of which `read` says more
                wanted = size = (0, 0)
        if wanted != size:
            raise UsageError(
                f"--mask '{mask}' has {size[1]}x{size[0]} pixels, the image {wanted[1]}x{wanted[0]}",
                "draw it on a copy of the image",
            )
    _, height, width = subject.shape
    found = read(mask, (1, height, width), count=1, fit=subject.recipe.data.fit, background="black")
    return torch.ge(found.images[0, 0], 128)


def _save(path: Path, one: bool, given: "UserImages", holes: "Tensor", filled: "Tensor") -> None:
    import torch

    from gancli import files
    from gancli.rendering.captions import save_captioned
    from gancli.rendering.images import default_scale, encode_png

    if not one:
        for name, image in zip(given.names, filled, strict=True):
            with files.whole(path / f"{name}.png") as temporary:
                temporary.write_bytes(encode_png(image))
        return
    missing = given.images.masked_fill(holes[:, None], HOLE)
    rows = torch.stack([given.images, missing, filled], 1).flatten(0, 1)
    scale = default_scale(*given.images.shape[2:], near=112 if len(filled) <= 4 else 64)
    save_captioned(rows, path, columns=3, scale=scale, above=["image", "hole", "result"])
