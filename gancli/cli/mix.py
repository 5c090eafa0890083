"""``gancli mix``: arithmetic with latents, and style mixing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _options
from gancli.cli._images import open_model, report
from gancli.cli._outputs import picture_path
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.latents import Seeds, Space, parse_seeds, seeds_text
from gancli.rendering.layout import MAX_GRID

if TYPE_CHECKING:
    from gancli.editing.arithmetic import Operand
    from gancli.model import Model

ROWS, COLUMNS, LAYERS = "6-8", "0-5", "coarse"
"""Seeds and layers of a grid of styles, unless the user names others."""


def mix(
    model: _options.Model,
    expression: Annotated[
        str | None,
        typer.Argument(metavar="EXPRESSION", help="Seeds and means of seeds, with signs and factors; in quotes."),
    ] = None,
    styles: Annotated[
        bool, typer.Option("--styles", help="Mix the layers of rows and columns of seeds instead of whole latents.")
    ] = False,
    rows: Annotated[str | None, typer.Option(metavar="SEEDS", help=f"With --styles. Default: {ROWS}.")] = None,
    columns: Annotated[str | None, typer.Option(metavar="SEEDS", help=f"With --styles. Default: {COLUMNS}.")] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="LAYERS",
            help="With --styles, what is taken from the column: coarse, middle or fine, a third of the layers each, or "
            f"numbers such as 0-3. Default: {LAYERS}.",
        ),
    ] = None,
    out: _options.Picture = None,
    scale: _options.Scale = None,
    space: _options.Space = None,
    truncation: _options.Truncation = None,
    device: _options.Device = "auto",
    as_json: _options.AsJson = False,
) -> None:
    """Add and subtract latents, or mix the styles of their layers.

    The picture shows the operands and the result in a row.

    A term is a seed (14), the mean of several seeds (mean(0-9)), or the mean of those of the seeds 0-999 whose image
    has a label (mean(label=7)). A factor may precede it (0.5*14).

    With --styles, for generators whose w has several layers, the picture is a grid: each image is that of its row's
    seed, with some layers of its column's (Karras et al. 2019, figure 3).

    \b
    Examples:
      gancli mix dcgan/mnist "3 - 14 + 15"
      gancli mix quick/mnist "3 - mean(label=1) + mean(label=7)" --out seven.png
      gancli mix dcgan/mnist "0.5*3 + 0.5*14" --json
      gancli mix RUN --styles --rows 0-3 --columns 10-15 --layers middle
    """
    from gancli.editing import arithmetic

    grid = _grid(expression, styles, rows, columns, layers, space)
    operands = () if grid else arithmetic.parse(expression or "")
    path = picture_path(out)

    source, path = open_model(
        model, path, "-styles.png" if grid else "-mix.png", device=device, truncation=truncation, latents=True
    )
    if grid:
        _mix_styles(source, path, *grid, layers or LAYERS, scale, as_json)
    else:
        _mix_latents(source, path, (expression or "").strip(), operands, scale, space, as_json)


def _grid(
    expression: str | None,
    styles: bool,
    rows: str | None,
    columns: str | None,
    layers: str | None,
    space: Space | None,
) -> tuple[Seeds, Seeds] | None:
    """The seeds of a grid's rows and columns; None where latents are added up.

    Raises:
        UsageError: options of both, or too many images.
    """
    if not styles:
        for option, value in (("--rows", rows), ("--columns", columns), ("--layers", layers)):
            if value is not None:
                raise UsageError(f"{option} '{value}' is for mixing styles", "add --styles")
        return None
    if expression is not None:
        raise UsageError(
            f"'{expression}' adds up whole latents, and --styles mixes their layers",
            "leave out one of them; --rows and --columns name the seeds of a grid",
        )
    if space == "z":
        raise UsageError("--space z has no layers to mix", "leave it out")
    down, across = parse_seeds(rows or ROWS, what="--rows"), parse_seeds(columns or COLUMNS, what="--columns")
    if (count := (len(down) + 1) * (len(across) + 1)) > MAX_GRID:
        raise UsageError(f"{count:,} images are too many for one picture", "take fewer --rows or --columns")
    return down, across


def _mix_styles(
    model: Model, path: Path, rows: Seeds, columns: Seeds, layers: str, scale: int | None, as_json: bool
) -> None:
    """The grid, with the images of its seeds above and beside it."""
    import torch

    from gancli.editing import styles
    from gancli.rendering.captions import save_captioned

    count = styles.check_layers(model)
    chosen = styles.parse_layers(layers, count)
    above, beside = (model.generate(model.latent.from_seeds(seeds)) for seeds in (columns, rows))
    mixed = model.generate(styles.mix_styles(model, rows, columns, chosen)).unflatten(0, (len(rows), len(columns)))
    corner = torch.full_like(above[:1], 255)
    lines = [
        torch.cat([corner, above]),
        *(torch.cat([one[None], line]) for one, line in zip(beside, mixed, strict=True)),
    ]
    save_captioned(
        torch.cat(lines),
        path,
        columns=len(columns) + 1,
        scale=scale,
        above=["", *map(str, columns)],
        beside=["", *map(str, rows)],
    )
    which = f"layer{'s' * (len(chosen) > 1)} {seeds_text(chosen)} of {count}"
    report(
        as_json,
        model,
        path,
        f"{len(rows)} x {len(columns)} seeds of {model.name}, with {which} from the columns",
        rows=list(rows),
        columns=list(columns),
        layers=list(chosen),
    )


def _mix_latents(
    model: Model,
    path: Path,
    expression: str,
    operands: tuple[Operand, ...],
    scale: int | None,
    space: Space | None,
    as_json: bool,
) -> None:
    """The operands and the result in a row."""
    from gancli.editing import arithmetic
    from gancli.rendering.captions import save_captioned
    from gancli.rendering.images import default_scale

    with counting("images", len(arithmetic.AMONG)) as progress:
        inputs, counts = arithmetic.mix(model, operands, space=space, progress=progress)
    _, height, width = model.shape
    above = [f"{'-' if operand.factor < 0 else '+'} {operand.amount}" for operand in operands]
    above[0] = above[0].removeprefix("+ ")
    save_captioned(
        model.generate(inputs),
        path,
        columns=len(operands) + 1,
        scale=scale or default_scale(height, width, near=112),
        above=[*above, "="],
    )
    terms = [
        {"term": operand.name, "factor": operand.factor, "seeds": count}
        for operand, count in zip(operands, counts, strict=True)
    ]
    result = {name: values[-1].tolist() for name, values in inputs.items()}
    report(as_json, model, path, f"{expression} of {model.name}", terms=terms, result=result)
