"""``gancli reconstruct``: images beside the model's reconstructions of them."""

from __future__ import annotations

from typing import Annotated

import typer

from gancli.cli import _images, _options
from gancli.cli._imports import import_quickly
from gancli.cli._outputs import picture_or_folder
from gancli.cli.terminal.progress import counting


def reconstruct(
    model: _options.Model,
    images: _options.Images,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.png|DIR",
            help="A .png shows originals and reconstructions in pairs; a folder gets one PNG for each reconstruction. "
            "Default: MODEL-reconstructed.png.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, metavar="N", help="Use the first N images.")] = 32,
    steps: _options.Steps = 300,
    space: _options.SearchSpace = None,
    device: _options.Device = "auto",
    data_dir: _options.DataDir = None,
    as_json: _options.AsJson = False,
) -> None:
    """Reconstruct images and report the PSNR.

    A model with an encoder (autoencoder, vae, vae-gan) encodes and decodes. For any other generator, the latent of
    each image is found by gradient descent (inversion), which takes longer. In w and w+ it compares pixels and features
    of a classifier, in z pixels. w+ comes nearest to the image; what w finds can be edited better.

    \b
    Examples:
      gancli reconstruct vae/mnist mnist
      gancli reconstruct dcgan/mnist mnist -n 8 --out inverted.png
      gancli reconstruct RUN photos/ --space w
      gancli reconstruct autoencoder/mnist photos/ --out reconstructed/
    """
    one = picture_or_folder(out)

    import_quickly("gancli.model")
    from gancli.editing import reconstruction

    subject, path = _images.open_model(model, out, "-reconstructed.png", device=device, latents=True)
    given = _images.read_images(subject, images, path, one, n, data_dir)
    if reconstruction.encodes(subject, space):
        made = reconstruction.reconstruct(subject, given.images, space=space)
    else:
        with counting("search steps", len(given.images) * steps) as progress:
            made = reconstruction.reconstruct(subject, given.images, space=space, steps=steps, progress=progress)
    if one:
        _images.save_pairs(path, given.images, made.images)
    else:
        _images.save_each(path, given.names, made.images)
    _images.tell_of_images(subject, given)
    inside = "" if made.space == "z" else f" in {made.space}"
    mean = sum(made.psnr) / len(made.psnr)
    _images.report(
        as_json,
        subject,
        path,
        f"{_images.count_of(len(made.psnr))} by {made.by}{inside}, PSNR {mean:.2f} dB on average",
        by=made.by,
        space=made.space,
        images=len(made.psnr),
        psnr=mean,
        each=_images.by_name(given.names, made.psnr),
    )
