"""``gancli zoo``: the models that come with gancli."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from gancli.zoo.catalogue import Entry

app = typer.Typer(no_args_is_help=True, help="The models that come with gancli.", epilog="Example: gancli zoo list")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _facts(entry: Entry) -> dict[str, Any]:
    """What a list says of one entry, from recipe and file header alone."""
    from gancli import checkpoint
    from gancli.evaluation.scores import score
    from gancli.zoo import catalogue

    found = score(entry.header().get("evaluation", {}))
    return {
        "name": entry.name,
        "model": entry.model,
        "data": entry.data,
        "values": checkpoint.count_parameters(entry.path) if entry.path else None,
        "metric": found.metric if found else None,
        "value": found.value if found else None,
        "floor": found.floor if found else None,
        "baseline": found.baseline if found else None,
        "summary": catalogue.recipe_table(entry.model).get("summary", ""),
    }


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All models, with their data and score; beside it stands what real data get, or what a simple method gets.

    \b
    Examples:
      gancli zoo list
      gancli zoo list --json
    """
    from gancli.evaluation.scores import Score
    from gancli.zoo import catalogue

    rows = [_facts(entry) for entry in catalogue.entries()]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    lines = [("model", "score", "beside", "what it is")]
    for row in rows:
        found = Score(row["metric"], row["value"], row["floor"], row["baseline"]) if row["metric"] else None
        figures = (str(found), found.beside) if found else ("no weights", "")
        lines.append((row["name"], *figures, row["summary"]))
    _, *right = widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:3]
    indent = sum(widths) + 2 * len(widths)
    # Laid out by hand: importing rich would double the time that this takes.
    for name, *figures, summary in lines:
        cells = [name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(figures, right, strict=True)), ""]
        print("\n".join(textwrap.wrap("  ".join(cells) + summary, 80, subsequent_indent=" " * indent)))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Such as dcgan/mnist or dcgan.", metavar="NAME")], as_json: AsJson = False
) -> None:
    """One model: its recipe, its data, and what was measured.

    \b
    Examples:
      gancli zoo show dcgan/mnist
      gancli zoo show quick --json
    """
    from gancli import recipe
    from gancli.zoo import catalogue

    known = {entry.name: entry for entry in catalogue.entries()}
    if name in catalogue.models() and name not in known:
        weights = [entry for entry in known if entry.startswith(f"{name}/")]
        card: dict[str, Any] = {"name": name, "weights": weights, "recipe": catalogue.recipe_table(name)}
    elif name in known:
        entry = known[name]
        header = entry.header()
        table = header.get("recipe") or catalogue.recipe_table(entry.model)
        card = {**_facts(entry), **{k: v for k, v in header.items() if k != "recipe"}, "recipe": table}
    else:
        raise UsageError(f"no model is called '{name}'", nearest(name, {*known, *catalogue.models()}))
    if as_json:
        print(json.dumps(card, indent=2))
        return
    import tomli_w

    hidden = ("recipe", "evaluation", "kind", "metric", "value", "floor", "baseline")  # every figure stands below
    for key, value in card.items():
        if key not in hidden and value is not None and not isinstance(value, dict):
            print(f"{key:<12} {', '.join(value) if isinstance(value, list) else value}")
    for result in card.get("evaluation", {}).get("results", []):
        beside = f" (real images: {result['floor']:.4g})" if result.get("floor") is not None else ""
        beside += f" (without the model: {result['baseline']:.4g})" if result.get("baseline") is not None else ""
        print(f"{result['metric']:<12} {result['value']:.4g}{beside}")
    table = card["recipe"]
    whole = table if {"datasets", "labelled"} & table.keys() else recipe.parse(table, components=False).to_dict()
    print("\n" + tomli_w.dumps(whole), end="")


@app.command()
def add(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    known_as: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="The data set's name, for a run on a folder or zip of its images.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="What to judge by, where that is not the named set.", show_default=False),
    ] = None,
    discriminator: Annotated[
        bool, typer.Option("--discriminator", help="Ship the discriminator too: `gancli inpaint` asks it.")
    ] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets are looked for first.")] = None,
) -> None:
    """Put a run's model into the zoo of this checkout: evaluate it as stored, draw its samples, write its card.

    \b
    Examples:
      gancli zoo add runs/mine
      gancli zoo add runs/mine --as cifar10 --data cifar10-test.zip
    """
    from gancli.cli.terminal.progress import progress_bar
    from gancli.zoo import publishing

    with progress_bar() as progress:
        options = {"known_as": known_as, "data": data, "discriminator": discriminator, "data_dir": data_dir}
        made = list(publishing.add(run, **options, progress=progress))
    for path in made:
        print(path)


@app.command()
def judge(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Such as dcgan/mnist; all unless given.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="What to judge by, where that is not the named set.", show_default=False),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets are looked for first.")] = None,
) -> None:
    """Measure models of this checkout's zoo again: figures and cards are as `gancli evaluate` finds them today.

    \b
    Examples:
      gancli zoo judge dcgan/mnist
      gancli zoo judge pix2pix-gray/cifar10 --data cifar10-test.zip
    """
    from gancli.cli.terminal.progress import progress_bar
    from gancli.zoo import catalogue, publishing

    known = {entry.name: entry for entry in catalogue.entries() if entry.path}
    for name in names or ():
        if name not in known:
            raise UsageError(f"no weights are called '{name}'", nearest(name, known))
    for name in names or known:
        with progress_bar() as progress:
            made = list(publishing.evaluate_again(known[name], data=data, data_dir=data_dir, progress=progress))
        for path in made:
            print(path)
