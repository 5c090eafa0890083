"""``gancli directions``: directions of the latent space along which images change most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gancli.cli import _options
from gancli.cli._images import count_of, open_model, report
from gancli.cli._outputs import picture_path
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.rendering.layout import MAX_GRID

if TYPE_CHECKING:
    from gancli.editing.directions import Direction
    from gancli.model import Model


def directions(
    model: _options.ModelOrNewest = None,
    n: Annotated[int | None, typer.Option("-n", min=1, max=64, metavar="N", help="Find so many. Default: 8.")] = None,
    method: Annotated[
        Literal["sefa", "pca", "jacobian"] | None,
        typer.Option(
            help="sefa: eigenvectors of the first layers' weights; pca: principal components of w; jacobian: singular "
            "vectors of the generator's Jacobian. Default: sefa, or where these layers are not known pca, or jacobian.",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NUMBER=NAME", help="Name a direction, as in 2=smile. Repeatable."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE.safetensors", help="Write a copy of the model that has these directions."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="SEED", help="The latent that the picture starts from.")] = 0,
    reach: Annotated[
        float, typer.Option("--range", min=0.01, max=100, metavar="R", help="The picture goes from -R to R steps.")
    ] = 3.0,
    steps: Annotated[int, typer.Option(min=2, max=200, metavar="N", help="Images in a row, both ends included.")] = 7,
    out: _options.Picture = None,
    scale: _options.Scale = None,
    device: _options.Device = "auto",
    as_json: _options.AsJson = False,
) -> None:
    """Find directions of the latent space that change images.

    The picture has a row for each. One step is a standard deviation of the latents of seeds. The direction that changes
    most is number 0. Nothing says what a direction means: see the picture, and name those that mean something.

    With --save, a copy of the model keeps the directions, for --move of gancli sample and gancli interpolate. They are
    shown again, and can be named, without -n and --method.

    \b
    Examples:
      gancli directions dcgan/mnist
      gancli directions RUN --method pca -n 12 --save found.safetensors
      gancli directions found.safetensors --name 2=smile --save found.safetensors
      gancli sample found.safetensors --move smile=2
    """
    from gancli.editing import directions as editing

    called, path = editing.parse_names(names or []), picture_path(out)
    if (n or 8) * steps > MAX_GRID:
        raise UsageError(f"{(n or 8) * steps:,} images are too many for one picture", "take fewer -n or --steps")
    if save is not None:
        _check_copy(save)

    source, path = open_model(model, path, "-directions.png", device=device, latents=True)
    from gancli.editing import discovery
    from gancli.rendering.captions import save_captioned

    found = editing.stored(source) if n is None and method is None else ()
    if not found:
        with counting("products with the Jacobian", discovery.work(source, n, method)) as progress:
            found = discovery.find(source, n, method=method, progress=progress)
    found = editing.named(found, called)
    values = [round(reach * (2 * step / (steps - 1) - 1), 6) for step in range(steps)]
    save_captioned(
        discovery.along(source, seed, found, values),
        path,
        columns=steps,
        scale=scale,
        above=[f"{value:.3g}" for value in values],
        beside=[direction.name for direction in found],
    )
    if save is not None:
        _save(source, save, found)
    text = f"{count_of(len(found), 'direction')} of {source.name} in {found[0].space} by {found[0].method}"
    report(
        as_json,
        source,
        path,
        f"{text}, saved as {save}" if save else text,
        space=found[0].space,
        method=found[0].method,
        seed=seed,
        steps=values,
        directions=[{"name": each.name, "change": round(each.change, 4)} for each in found],
        saved=str(save) if save else None,
    )


def _check_copy(path: Path) -> None:
    """Make sure that a copy can be written, over nothing but an earlier one.

    Raises:
        UsageError: another suffix, another file, or a folder that cannot be written.
    """
    from gancli import checkpoint
    from gancli.editing.directions import KEY
    from gancli.errors import GancliError
    from gancli.files import check_file

    if path.suffix != ".safetensors":
        raise UsageError(f"--save '{path}' is not the name of a model's file", "end it in .safetensors")
    check_file(path)
    if not path.exists():
        return
    try:
        earlier = KEY in checkpoint.read_header(path)
    except GancliError:
        earlier = False
    if not earlier:
        raise UsageError(f"'{path}' exists, and is no copy with directions", "name another file with --save")


def _save(model: Model, path: Path, found: tuple[Direction, ...]) -> None:
    """Write the model's file again, with directions in its header."""
    from gancli import checkpoint
    from gancli.editing.directions import KEY

    tensors, header = checkpoint.read(model.path)
    checkpoint.write(path, tensors, {**header, KEY: [direction.to_dict() for direction in found]})
