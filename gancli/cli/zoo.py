"""``gancli zoo``: the models that come with gancli."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import _options
from gancli.cli.terminal.console import print_json
from gancli.cli.terminal.progress import progress_bar
from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from gancli.evaluation.scores import Score
    from gancli.zoo import catalogue

app = typer.Typer(no_args_is_help=True, help="The models that come with gancli.", epilog="Example: gancli zoo list")
EvaluatedBy = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="The images to evaluate on, as a folder or zip. Default: the named data set."),
]


def _score(entry: catalogue.Entry) -> Score | None:
    from gancli.evaluation.scores import score

    return score(entry.header().get("evaluation", {}))


def _summary(model: str) -> str:
    from gancli.zoo import catalogue

    return catalogue.recipe_table(model).get("summary", "")


def _facts(entry: catalogue.Entry) -> dict[str, Any]:
    """What recipe and file header say of one entry."""
    from gancli import checkpoint

    found = _score(entry)
    return {
        "name": entry.name,
        "model": entry.model,
        "data": entry.data,
        "parameters": checkpoint.count_parameters(entry.path) if entry.path else None,
        **(asdict(found) if found else dict.fromkeys(("metric", "value", "floor", "baseline"))),
        "summary": _summary(entry.model),
    }


@app.command("list")
def list_(as_json: _options.AsJson = False) -> None:
    """All models, with the score on each data set. `gancli zoo show` adds the scores of real data and baselines.

    \b
    Examples:
      gancli zoo list
      gancli zoo list --json
    """
    from gancli.zoo import catalogue

    entries = list(catalogue.entries())
    if as_json:
        print_json([_facts(entry) for entry in entries])
        return
    width = max(len(entry.model) for entry in entries)
    for model, group in groupby(entries, lambda entry: entry.model):
        scores = [f"{entry.data} {_score(entry) or 'not evaluated'}" if entry.data else "no weights" for entry in group]
        print(f"{model:<{width}}  {', '.join(scores)}")
        if summary := _summary(model):
            print(textwrap.shorten(summary, 80, initial_indent="  ", placeholder=" …"))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as dcgan/mnist, dcgan or hf:USER/REPO.")],
    as_json: _options.AsJson = False,
) -> None:
    """One model: its recipe, its data and its scores.

    \b
    Examples:
      gancli zoo show dcgan/mnist
      gancli zoo show quick --json
      gancli zoo show hf:USER/REPO
    """
    from gancli import recipe
    from gancli.hub.names import is_hub
    from gancli.zoo import catalogue

    if is_hub(name):
        _show_strangers(name, as_json)
        return
    known = {entry.name: entry for entry in catalogue.entries()}
    if name in catalogue.models() and name not in known:
        weights = [entry for entry in known if entry.startswith(f"{name}/")]
        card: dict[str, Any] = {"name": name, "weights": weights, "recipe": catalogue.recipe_table(name)}
    elif name in known:
        entry = known[name]
        header = entry.header()
        card = {"recipe": catalogue.recipe_table(entry.model), **header, **_facts(entry)}
    else:
        raise UsageError(f"no model is called '{name}'", nearest(name, {*known, *catalogue.models()}) or catalogue.ALL)
    if as_json:
        print_json(card)
        return
    import tomli_w

    hidden = ("recipe", "evaluation", "kind", "metric", "value", "floor", "baseline")  # all scores follow below
    for key, value in card.items():
        if key not in hidden and value is not None and not isinstance(value, dict):
            print(f"{key:<12} {', '.join(value) if isinstance(value, list) else value}")
    for result in card.get("evaluation", {}).get("results", []):
        others = (("real data", result.get("floor")), ("baseline", result.get("baseline")))
        compared = "".join(f" ({title} {figure:.4g})" for title, figure in others if figure is not None)
        print(f"{result['metric']:<12} {result['value']:.4g}{compared}")
    table = card["recipe"]
    whole = table if {"datasets", *recipe.PARTS} & table.keys() else recipe.parse(table, components=False).to_dict()
    print("\n" + tomli_w.dumps(whole), end="")


def _show_strangers(name: str, as_json: bool) -> None:
    """What the header of a model of the Hub says, as far as it says it in the form of ours."""
    from gancli import checkpoint, recipe
    from gancli.errors import GancliError
    from gancli.zoo import cards, catalogue

    path = catalogue.find(name)
    header = checkpoint.read_header(path)
    if header.get("kind") != "model":
        raise GancliError(f"'{name}' is not a model of gancli", "name another one")
    table = recipe.parse(catalogue.of_header(header), components=False).to_dict()
    facts = {"name": catalogue.label(path), "parameters": checkpoint.count_parameters(path), **cards.facts(header)}
    results = cards.results(header)
    if as_json:
        print_json({**facts, "results": results, "recipe": table})
        return
    import tomli_w

    for key, value in facts.items():
        if value not in ("", None):
            print(f"{key:<12} {value}")
    for row in results:
        print(f"{row['metric']:<12} {cards.figure(row)}")
    print("\n" + tomli_w.dumps(table), end="")


@app.command()
def add(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run folder.")],
    known_as: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="What to call the data, for a run on a folder or zip."),
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="TEXT", help="Where everyone can get the data, if it is no named set.")
    ] = "",
    licence: Annotated[str, typer.Option(metavar="TEXT", help="The terms of such data.")] = "",
    data: EvaluatedBy = None,
    discriminator: Annotated[
        bool,
        typer.Option(
            "--discriminator", help="Add the discriminator too, for `gancli train --from` and `gancli inpaint`."
        ),
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in half precision, as all files over 6 MB (discriminators 4).")
    ] = False,
    data_dir: _options.DataDir = None,
) -> None:
    """Add a run's model to the zoo of this checkout.

    It is evaluated, and gets samples and a card.

    \b
    Examples:
      gancli zoo add runs/mine
      gancli zoo add runs/mine --discriminator --half
      gancli zoo add runs/mine --as cifar10 --data cifar10-test.zip
      gancli zoo add runs/mine --as birds --data birds/ --source https://example.org/birds --licence CC0
    """
    from gancli.zoo import publishing

    with progress_bar() as progress:
        made = list(
            publishing.add(
                run,
                known_as=known_as,
                source=source,
                licence=licence,
                data=data,
                discriminator=discriminator,
                half=half,
                data_dir=data_dir,
                progress=progress,
            )
        )
    for path in made:
        print(path)


@app.command()
def judge(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Such as dcgan/mnist. Default: all.")
    ] = None,
    data: EvaluatedBy = None,
    data_dir: _options.DataDir = None,
) -> None:
    """Evaluate models of this checkout's zoo again.

    Their files and cards are updated.

    \b
    Examples:
      gancli zoo judge dcgan/mnist
      gancli zoo judge pix2pix-gray/cifar10 --data cifar10-test.zip
    """
    from gancli.zoo import catalogue, publishing

    known = {entry.name: entry for entry in catalogue.entries() if entry.path}
    for name in names or ():
        if name not in known:
            raise UsageError(f"no weights are called '{name}'", nearest(name, known) or catalogue.ALL)
    for name in names or known:
        with progress_bar() as progress:
            made = list(publishing.evaluate_again(known[name], data=data, data_dir=data_dir, progress=progress))
        for path in made:
            print(path)
