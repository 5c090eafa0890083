"""``gancli mix``: arithmetic with latents."""

from __future__ import annotations

from typing import Annotated

import typer

from gancli.cli import _options
from gancli.cli._images import open_model, report
from gancli.cli._outputs import picture_path
from gancli.cli.terminal.progress import counting


def mix(
    model: _options.Model,
    expression: Annotated[
        str,
        typer.Argument(metavar="EXPRESSION", help="Seeds and means of seeds, with signs and factors; in quotes."),
    ],
    out: _options.Picture = None,
    scale: _options.Scale = None,
    space: _options.Space = None,
    device: _options.Device = "auto",
    as_json: _options.AsJson = False,
) -> None:
    """Add and subtract latents.

    The picture shows the operands and the result in a row.

    A term is a seed (14), the mean of several seeds (mean(0-9)), or the mean of those of the seeds 0-999 whose image
    has a label (mean(label=7)). A factor may precede it (0.5*14).

    \b
    Examples:
      gancli mix dcgan/mnist "3 - 14 + 15"
      gancli mix quick/mnist "3 - mean(label=1) + mean(label=7)" --out seven.png
      gancli mix dcgan/mnist "0.5*3 + 0.5*14" --json
    """
    from gancli.editing import arithmetic

    operands = arithmetic.parse(expression)
    path = picture_path(out)

    source, path = open_model(model, path, "-mix.png", device=device, latents=True)
    from gancli.rendering.captions import save_captioned
    from gancli.rendering.images import default_scale

    with counting("images", len(arithmetic.AMONG)) as progress:
        inputs, counts = arithmetic.mix(source, operands, space=space, progress=progress)
    _, height, width = source.shape
    above = [f"{'-' if operand.factor < 0 else '+'} {operand.amount}" for operand in operands]
    above[0] = above[0].removeprefix("+ ")
    save_captioned(
        source.generate(inputs),
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
    report(as_json, source, path, f"{expression.strip()} of {source.name}", terms=terms, result=result)
