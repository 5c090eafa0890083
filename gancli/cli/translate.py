"""``gancli translate``: image-to-image translation."""

from __future__ import annotations

from typing import Annotated

import typer

from gancli.cli import _images, _options
from gancli.cli._outputs import check_inputs_stay, picture_or_folder
from gancli.cli.terminal.progress import progress_bar


def translate(
    model: _options.Model,
    images: _options.Images,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|FILE.png",
            help="A folder gets one PNG for each result; a .png shows sources and results in pairs. "
            "Default: MODEL-translated/.",
        ),
    ] = None,
    degrade: Annotated[
        bool,
        typer.Option(
            "--degrade",
            help="The images are targets: degrade them first as in training, or take the source half of image pairs.",
        ),
    ] = False,
    target: Annotated[
        str | None, typer.Option(metavar="IMAGES", help="The target images, with the same file names.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Translate target to source, with a CycleGAN.")] = False,
    n: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="Use the first N images. Default: all.")
    ] = None,
    device: _options.Device = "auto",
    data_dir: _options.DataDir = None,
    as_json: _options.AsJson = False,
) -> None:
    """Translate images.

    A model removes a mosaic, fills a hole, adds colour or changes the style, as it was trained to.

    Images of another size are brought to the model's size, with a note. If the target images are known, the PSNR is
    reported.

    \b
    Examples:
      gancli translate pix2pix-gray/cifar10 photos/ --out coloured/
      gancli translate pix2pix-mosaic/cifar10 photo.jpg --degrade --out repaired.png
      gancli translate pix2pix/mnist mnist -n 16 --degrade --out digits.png
      gancli translate cyclegan/mnist mnist --back --out inverted/
      gancli translate runs/of-halves pairs/ --degrade --out made/
    """
    one = out is not None and picture_or_folder(out)

    subject, path = _images.open_model(model, out, "-translated", device=device)
    from gancli.editing import translation

    check_inputs_stay(path, one, images, *([target] if target is not None else []))
    with progress_bar() as progress:
        made = translation.translate(
            subject,
            images,
            degrade=degrade,
            target=target,
            network="back" if back else None,
            count=n,
            data_dir=data_dir,
            progress=progress,
        )
    if one:
        _images.save_pairs(path, made.sources, made.results)
    else:
        _images.save_each(path, made.names, made.results)
    _images.tell_of_images(subject, made)
    count, each = len(made.names), made.psnr
    mean = sum(each.values()) / len(each) if each else None
    figures = "" if mean is None else f", PSNR {mean:.2f} dB on average"
    _images.report(
        as_json,
        subject,
        path,
        f"{_images.count_of(count)} by {subject.name}{figures}",
        images=count,
        psnr=mean,
        each=_images.by_name(each, each.values()),
        left_out={left.name: left.reason for left in made.skipped},
    )
