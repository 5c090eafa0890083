"""Arguments and options that several commands share, and how their text is read. No torch is imported here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from gancli import latents
from gancli.cli._help import DATA, HARDWARE
from gancli.errors import UsageError
from gancli.rendering.layout import MAX_GRID

_MODEL = "A zoo model such as dcgan/mnist, a run folder, a .safetensors file, or hf:USER/REPO."

Model = Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL)]
ModelOrNewest = Annotated[str | None, typer.Argument(metavar="MODEL", help=f"{_MODEL} Default: the newest run.")]
Images = Annotated[
    list[str],
    typer.Argument(metavar="IMAGES", help="Image files, folders or zips of images, or a data set (its test split)."),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class", metavar="NAMES", help="Class names or numbers, such as 7 or 3,7 or 0-4, or all. Repeatable."
    ),
]
Grid = Annotated[str | None, typer.Option(metavar="CxR", help="Columns x rows of the picture.")]
Scale = Annotated[
    int | None,
    typer.Option(min=1, max=64, metavar="N", help="Enlarge images N times. Default: small images are enlarged."),
]
Picture = Annotated[
    str | None, typer.Option(metavar="FILE.png", help="A .png, .jpg or .webp. Default: a .png named after the model.")
]
Truncation = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="Limit latents to [-T, T]; from 2 down to about 1, quality rises, variety falls. "
        "With a mapping network: the factor psi, from 1 down to 0.",
    ),
]
Moves = Annotated[
    list[str] | None,
    typer.Option(
        "--move",
        metavar="NAME=STEPS",
        help="Move along a direction of the model, as in smile=2; see gancli directions. Repeatable.",
    ),
]
Space = Annotated[
    latents.Space | None,
    typer.Option(help="Latent space to work in; w takes a model with a mapping network. Default: the model's best."),
]
SearchSpace = Annotated[
    Literal["z", "w", "w+"] | None,
    typer.Option(
        help="Latent space to search in: z; w, of a model with a mapping network; w+, where each of its layers has a w "
        "of its own. Default: w+ to reconstruct, w to inpaint, z without a mapping network."
    ),
]
Steps = Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Optimization steps of the latent search.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.", rich_help_panel=HARDWARE)]
Processes = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Share the work among N processes on this machine.", rich_help_panel=HARDWARE
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where to look for data sets first.", rich_help_panel=DATA)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def parse_grid(text: str) -> tuple[int, int]:
    """Read ``8x4``, eight columns of four rows, as (columns, rows).

    Raises:
        UsageError: not two whole numbers above 0 with an x between, or more than 10,000 cells.
    """
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX×]\s*([0-9]{1,9})\s*", text)
    if not found or not int(found[1]) or not int(found[2]):
        raise UsageError(f"--grid '{text[:40]}' is not columns x rows", "for example: --grid 8x4")
    columns, rows = int(found[1]), int(found[2])
    if columns * rows > MAX_GRID:
        raise UsageError(
            f"--grid {columns}x{rows} has {columns * rows:,} cells; one picture shows at most {MAX_GRID:,}",
            "choose a smaller grid; with `gancli sample`, --out FOLDER or FILE.zip writes one PNG for each seed",
        )
    return columns, rows
