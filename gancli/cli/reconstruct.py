"""``gancli reconstruct``: images beside the model's reconstructions of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _images, _options
from gancli.cli._imports import import_quickly
from gancli.cli._outputs import picture_or_folder
from gancli.cli.terminal.progress import counting

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.editing.inversion import SearchSpace
    from gancli.model import Model


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
    from gancli.editing import inversion
    from gancli.metrics.images import psnr

    subject, path = _images.open_model(model, out, "-reconstructed.png", device=device, latents=True)
    given = _images.read_images(subject, images, path, one, n, data_dir)
    results = _reconstructions(subject, given.images, steps, space)
    each = psnr(given.images, results).tolist()
    if one:
        _images.save_pairs(path, given.images, results)
    else:
        _images.save_each(path, given.names, results)
    _images.tell_of_images(subject, given)
    by_encoder = subject.has_encoder and space in (None, "z")
    where = "z" if by_encoder else inversion.search_space(subject, space)
    mean, way = sum(each) / len(each), "encoder" if by_encoder else "search"
    inside = "" if where == "z" else f" in {where}"
    _images.report(
        as_json,
        subject,
        path,
        f"{_images.count_of(len(each))} by {way}{inside}, PSNR {mean:.2f} dB on average",
        by=way,
        space=where,
        images=len(each),
        psnr=mean,
        each=_images.by_name(given.names, each),
    )


def _reconstructions(model: Model, images: Tensor, steps: int, space: SearchSpace | None) -> Tensor:
    """Reconstructions of uint8 (N, C, H, W) images, in the same form."""
    from gancli.evaluation.evaluators.reconstruction import reconstruct as by_encoder

    if model.has_encoder and space in (None, "z"):
        return by_encoder(model, images)
    from gancli.editing.inversion import invert

    with counting("search steps", len(images) * steps) as progress:
        return model.generate(invert(model, images, space=space, steps=steps, progress=progress))
