"""``gancli import``: weights of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import _options
from gancli.cli._imports import import_quickly
from gancli.cli.terminal.console import print_json, say
from gancli.cli.terminal.progress import progress_bar
from gancli.errors import printable

if TYPE_CHECKING:
    from gancli.importing.matching import Row
    from gancli.importing.writing import Imported

MOST = 100
"""Layers that are listed."""
DRAWN = {"normal": "N(0, 1)", "uniform": "U(-1, 1)"}


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A .pth, .pt or .safetensors with a state dict, or a .pkl of StyleGAN2-ADA."
        ),
    ],
    model: Annotated[
        str, typer.Option("--as", metavar="RECIPE", help="The zoo model, or the recipe file, that has this network.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The model file to write. Default: FILE.safetensors, here.")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe value. Repeatable.")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which network of the file, as in G_ema. Default: the one that fits."),
    ] = None,
    as_json: _options.AsJson = False,
) -> None:
    """Make a model file of the weights of another program.

    Layers are matched by name, or else by order and shape, and listed. What does not fit is an error. Weights do not
    say how they are used: what latents are drawn from, activations and the range of pixels are those of the recipe.

    Nothing in the file is run: it is read in a process of its own, which keeps tensors and plain values.

    \b
    Examples:
      gancli import netG.pth --as dcgan --set networks.generator.width=64
        --set data.size=64 --set data.channels=3 --set latent.distribution=normal
      gancli import ffhq.pkl --as stylegan2 --out ffhq.safetensors
    """
    import_quickly("gancli.importing.writing")
    from gancli.importing.writing import import_weights

    path = out or Path(f"{file.stem or 'model'}.safetensors")
    with progress_bar() as progress:
        progress(f"reading {printable(file.name)}", 0, 0)
        made = import_weights(file, model, path, assignments or (), network)
    if as_json:
        print_json(_document(made))
        return
    for row in made.rows[:MOST]:
        say(_line(row))
    if (more := len(made.rows) - MOST) > 0:
        say(f"… and {more} more layers")
    for note in _notes(made):
        say(note)
    print(printable(str(made.path)))


def _line(row: Row) -> str:
    """Where a layer goes."""
    here = "x".join(map(str, row.shapes[0][2] or ())) or "1"
    there = "x".join(map(str, row.shapes[0][1] or ())) or "1"
    shape = there if there == here else f"{there} to {here}"
    notes = f"; {'; '.join(row.notes)}" if row.notes else ""
    return f"{row.there} -> {row.here or 'generator'} ({row.shapes[0][0]} {shape}{notes})"


def _notes(made: Imported) -> list[str]:
    """What the file does not say, and what of it is left."""
    latent, options = made.recipe.latent, made.recipe.networks["generator"].options
    drawn = f"{latent.dim} latent values of {DRAWN[latent.distribution]}, output {options.get('output', 'tanh')}"
    told = [f"by the {'file' if made.licence else 'recipe'}: {drawn}"]
    if made.left:
        names = f"{', '.join(made.left[:3])}{', …' if len(made.left) > 3 else ''}"
        told.append(f"warning: {len(made.left)} tensors are left over, so that images may be others: {names}")
    if made.others:
        told.append(f"note: {made.others:,} tensors of other parts of the file are left out")
    told.append(f"licence: {made.licence}" if made.licence else "note: the file names no licence")
    return told


def _document(made: Imported) -> dict[str, Any]:
    """The same for programs."""
    return {
        "out": str(made.path),
        "network": made.network,
        "layers": [
            {
                "file": row.there,
                "model": row.here,
                "tensors": [{"name": name, "file": there, "model": here} for name, there, here in row.shapes],
                "notes": row.notes,
            }
            for row in made.rows
        ],
        "left_over": made.left,
        "licence": made.licence or None,
        "recipe": made.recipe.to_dict(),
    }
