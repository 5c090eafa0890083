"""``gancli traverse``: what each dimension of the latent changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _options
from gancli.cli._images import count_of, open_model, report
from gancli.cli._outputs import picture_path
from gancli.errors import UsageError
from gancli.latents import parse_seeds
from gancli.rendering.layout import MAX_GRID

if TYPE_CHECKING:
    from gancli.latents import LatentSpec

ROWS = 10
"""Dimensions that are shown by default, after all codes."""

NOTHING = 2
"""Levels of 255 by which a pixel may differ where a dimension changes nothing."""


def traverse(
    model: _options.ModelOrNewest = None,
    dims: Annotated[
        str | None,
        typer.Option(
            help="Dimensions of z (or w) and codes, such as 0-9,42 or c0,c1,0-3. Default: all codes and the first 10."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="SEED", help="The latent to start from.")] = 0,
    reach: Annotated[
        float | None,
        typer.Option(
            "--range",
            min=0.01,
            max=100,
            metavar="R",
            help="Values go from -R to R, of w in standard deviations. Default: 2, or 1 for uniform latents.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, max=200, metavar="N", help="Number of values, both ends included.")] = 9,
    out: _options.Picture = None,
    scale: _options.Scale = None,
    space: _options.Space = None,
    device: _options.Device = "auto",
    as_json: _options.AsJson = False,
) -> None:
    """Change one dimension of the latent at a time.

    The picture has a row for each. All rows start from the same seed, and each moves one value of its latent from end
    to end. The row that changes most comes first; rows that change nothing are named.

    \b
    Examples:
      gancli traverse dcgan/mnist
      gancli traverse dcgan/mnist --dims 0-4,42 --seed 7 --steps 7 --out rows.png
      gancli traverse quick/mnist --dims 0-3 --range 3 --json
    """
    path = picture_path(out)

    source, path = open_model(model, path, "-traverse.png", device=device, latents=True)
    from gancli.editing import traversal
    from gancli.rendering.captions import save_captioned

    where = source.space(space)
    rows = parse_dims(dims, source.latent, source.w_width if where == "w" else None)
    if len(rows) * steps > MAX_GRID:
        raise UsageError(f"{len(rows) * steps:,} images are too many for one picture", "take fewer --dims or --steps")
    uniform = where == "z" and source.latent.distribution == "uniform"
    reach = reach or (1.0 if uniform else 2.0)
    if uniform and reach > 1:
        raise UsageError(f"--range {reach:g} leaves the cube of this model's uniform latents", "1 is the most")
    values = [round(reach * (2 * step / (steps - 1) - 1), 6) for step in range(steps)]
    images = traversal.traverse(source, seed, rows, values, space=where)
    images = images.view(len(rows), steps, *images.shape[1:])
    spread = (images.amax(1) - images.amin(1)).flatten(1)
    change, most = spread.float().mean(1) / 255, spread.amax(1)
    order = change.argsort(descending=True, stable=True)
    rows = [rows[each] for each in order]
    save_captioned(
        images[order].flatten(0, 1),
        path,
        columns=steps,
        scale=scale,
        above=[f"{value:.3g}" for value in values],
        beside=rows,
    )
    shown = [{"dim": row, "change": round(each, 4)} for row, each in zip(rows, change[order].tolist(), strict=True)]
    text = f"{count_of(len(rows), 'dimension')} of {source.name}"
    if idle := [row for row, levels in zip(rows, most[order].tolist(), strict=True) if levels <= NOTHING]:
        text += f"; nothing changes with {', '.join(idle)}"
    report(as_json, source, path, text, seed=seed, values=values, rows=shown)


def parse_dims(text: str | None, spec: LatentSpec, width: int | None = None) -> list[str]:
    """Read ``0-9,c0``: dimensions of z by their number, codes with a c before it; of w, where it has this width.

    Raises:
        UsageError: anything else, or a dimension or a code that the model does not have.
    """
    codes, dims = (spec.codes, spec.dim) if width is None else (0, width)
    if text is None:
        return [*(f"c{code}" for code in range(codes)), *map(str, range(min(ROWS, dims)))]
    rows: list[str] = []
    for part in text.split(","):
        kind = "c" if part.strip().startswith("c") else ""
        rows += [f"{kind}{number}" for number in parse_seeds(part.replace("c", ""), what="--dims")]
    for row in rows:
        code = row.startswith("c")
        if int(row.removeprefix("c")) >= (codes if code else dims):
            what = f"code {row[1:]}" if code else f"dimension {row}"
            raise UsageError(f"the model has no {what}", f"it has {dims} dimensions and {codes} codes, counted from 0")
    return rows
