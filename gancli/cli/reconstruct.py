"""``gancli reconstruct``: images beside what a model makes of them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli._imports import import_quickly
from gancli.cli._outputs import check_inputs_stay, fitted, picture_or_folder
from gancli.cli.sample import Device
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting, progress_bar
from gancli.rendering.layout import file_stem

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.user_images import UserImages
    from gancli.model import Model


def reconstruct(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A zoo name such as vae/mnist, a run folder, or a .safetensors file."),
    ],
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGES", help="Images, folders or zips of them, or a data set (its test split)."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.png|DIR",
            help="A .png for one picture of originals and reconstructions, side by side; a folder for one PNG of each "
            "reconstruction. MODEL-reconstructed.png unless given.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, metavar="N", help="The first N images.")] = 32,
    steps: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="N", help="Steps of the search, for a model without encoder.")
    ] = 300,
    device: Device = "auto",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data sets are looked for first.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Reconstruct images, and say how near the model comes to them.

    A model with an encoder (autoencoder, vae, vae-gan) encodes and decodes. For any other generator the latents that
    come nearest are searched for, which takes longer ("inversion").

    \b
    Examples:
      gancli reconstruct vae/mnist mnist
      gancli reconstruct dcgan/mnist mnist -n 8 --out inverted.png
      gancli reconstruct autoencoder/mnist photos/ --out reconstructed/
    """
    one = picture_or_folder(out)

    import_quickly("gancli.model")
    from gancli import model as models
    from gancli.data.user_images import read
    from gancli.editing.inversion import check_latents
    from gancli.metrics.images import psnr

    subject = models.load(model, device=device)
    check_latents(subject)
    path = Path(out) if out else Path(f"{file_stem(subject.name)}-reconstructed.png")
    check_inputs_stay(path, one, images)
    how = subject.recipe.data
    with progress_bar() as progress:
        given = read(
            images, subject.shape, count=n, fit=how.fit, background=how.background, data_dir=data_dir, progress=progress
        )
    remade = _remade(subject, given.images, steps)
    each = psnr(given.images, remade).tolist()
    _save(path, one, given, remade)
    if given.changed:
        say(fitted(given.changed, subject.shape))
    for left in given.skipped:
        say(f"left out {left.name}: {left.reason}")
    mean, way = sum(each) / len(each), "encoder" if subject.has_encoder else "search"
    if as_json:
        found = {name: round(value, 3) for name, value in zip(given.names, each, strict=True)}
        told = {"model": subject.name, "out": str(path), "by": way, "images": len(each), "psnr": mean, "each": found}
        print(json.dumps(told))
    else:
        say(f"{len(each):,} image{'s' * (len(each) != 1)} by {way}, PSNR {mean:.2f} dB on average")
        print(path)


def _remade(subject: "Model", images: "Tensor", steps: int) -> "Tensor":
    """What the model makes of images; both uint8 (N, C, H, W)."""
    from gancli.evaluation.evaluators.reconstruction import reconstruct as by_encoder

    if subject.has_encoder:
        return by_encoder(subject, images)
    from gancli.editing.inversion import invert

    with counting("steps of the search", len(images) * steps) as progress:
        return subject.generate(invert(subject, images, steps=steps, progress=progress))


def _save(path: Path, one: bool, given: "UserImages", remade: "Tensor") -> None:
    import torch

    from gancli import files
    from gancli.rendering.images import encode_png, save_grid

    if one:
        pairs = torch.stack([given.images, remade], 1).flatten(0, 1)
        # Pairs stay together: an even number of columns.
        save_grid(pairs, path, columns=2 * max(1, round((len(given.images) / 2) ** 0.5)))
        return
    for name, image in zip(given.names, remade, strict=True):
        with files.whole(path / f"{name}.png") as temporary:
            temporary.write_bytes(encode_png(image))
