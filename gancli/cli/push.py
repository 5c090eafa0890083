"""``gancli push``: a model to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gancli.cli import _options
from gancli.cli._imports import import_quickly
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import progress_bar


def push(
    name: _options.Model,
    repo: Annotated[str, typer.Argument(metavar="USER/REPO", help="The repository; it is made if need be.")],
    licence: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="The licence of the data, or of imported weights, where the model names none."
        ),
    ] = "",
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Figures of this model: what `gancli evaluate --json` wrote."),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Show a new repository to yourself alone.")] = False,
) -> None:
    """Upload a model to the Hugging Face Hub.

    The repository gets the weights, the discriminator where there is one, a picture of samples, and a card with data,
    licence and figures with their protocol. Everyone can then use the model as hf:USER/REPO.

    \b
    Examples:
      gancli push runs/mine USER/REPO --licence CC-BY-4.0
      gancli push quick/mnist USER/REPO --private
      gancli push RUN USER/REPO --report report.json
    """
    import_quickly("gancli.zoo.sharing")
    from gancli.model import load
    from gancli.zoo import sharing

    found = sharing.read_report(report) if report is not None else None
    model = load(name, device="cpu")
    with progress_bar() as progress:
        progress(f"uploading {model.name}", 0, 0)
        made = sharing.push(model, repo, licence=licence, report=found, private=private)
    print(f"{made.url}  {made.name}")
    if found is None and "evaluation" not in model.header:
        say("note: the card has no figures; add them: `gancli evaluate MODEL --json > report.json`, then --report")
