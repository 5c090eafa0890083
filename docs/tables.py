"""Write the README's table of models and docs/zoo.md from the headers of the zoo's weights:
``uv run python docs/tables.py``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from gancli import checkpoint
from gancli.evaluation.scores import score, title
from gancli.zoo import cards, catalogue

README = Path(__file__).parents[1] / "README.md"
ZOO = Path(__file__).with_name("zoo.md")
CONFIRMED = Path(__file__).with_name("confirmed.json")
START, END = "<!-- models: written by `uv run python docs/tables.py` -->\n", "<!-- /models -->"

INTRODUCTION = """# The zoo, measured

Every model that comes with gancli, by what it was trained on. This page is written from the headers of the weights by
`uv run python docs/tables.py`; the figures in them by `gancli zoo judge NAME`, which measures the weights as they are
stored. What each figure means, and by what it is measured, is told in [evaluation.md](evaluation.md); the model's card,
behind its name, has its recipe's origin and the command that trains it.

Behind ± stands how far the figure of a further set of images, from other seeds, may lie from the mean in 95 of 100
cases. It does not tell what another training would give: there is one training a model.
"""
COLUMNS = 4
"""Pictures beside each other."""


def table() -> str:
    """One line a weights file, and one for each recipe that has none yet."""
    rows = ["| model | what it is | values | score | beside it |", "|---|---|--:|--:|--:|"]
    for entry in catalogue.entries():
        found = score(entry.header().get("evaluation", {}))
        size = f"{checkpoint.count_parameters(entry.path):,}" if entry.path else ""
        card = "README.md" if entry.path else "recipe.toml"
        rows.append(
            f"| [`{entry.name}`](zoo/{entry.model}/{card}) | {catalogue.recipe_table(entry.model)['summary']} "
            f"| {size} | {found or 'no weights'} | {found.beside if found else ''} |"
        )
    return "\n".join(rows) + "\n"


def updated(text: str) -> str:
    """The README with a fresh table."""
    before, rest = text.split(START)
    return before + START + table() + END + rest.split(END)[1]


def zoo() -> str:
    """docs/zoo.md: a section for each data set and way of measuring, the best model first."""
    found = [(entry, entry.header()) for entry in catalogue.entries() if entry.path]
    found.sort(key=lambda pair: (_section(pair[1]), _rank(pair[1])))
    parts = [INTRODUCTION]
    for name, group in groupby(found, key=lambda pair: _section(pair[1])):
        parts += _measured(name, list(group))
    return "\n".join(parts)


def _confirmed(models: Sequence[str]) -> list[str]:
    """What another extractor says of a ranking."""
    report = json.loads(CONFIRMED.read_text(encoding="utf-8"))
    (group,) = report["groups"]
    found = {one["model"]: one["results"][0] for one in group}
    if not set(models) <= set(found):
        return []
    order = [one["model"] for one in group if one["model"] in models]
    figures = ", ".join(f"`{name}` {found[name]['value']:.3g}" for name in order)
    moved = []
    for position, name in enumerate(models):
        if passed := [f"`{before}`" for before in models[:position] if order.index(name) < order.index(before)]:
            moved.append(f"`{name}` before {', '.join(passed)}")
    how = f"in the order of this table, except {'; '.join(moved)}" if moved else "in the same order"
    return [
        f"By `{group[0]['protocol']['extractor']}`, a network of another kind, FID ranks them "
        f"{how}: {figures} "
        f"(floor {found[order[0]]['floor']:.3g}; one set of images each).\n",
        f"    gancli evaluate {' '.join(sorted(models))} --extractor mnist-mlp --metrics fid\n",
    ]


def _section(header: Mapping[str, Any]) -> str:
    protocol = header["evaluation"]["protocol"]
    kind = "translators" if "source" in protocol else "formula" if "method" in protocol else ""
    return ", ".join(part for part in (header["recipe"]["data"]["name"], kind) if part)


def _rank(header: Mapping[str, Any]) -> float:
    first = header["evaluation"]["results"][0]
    return first["value"] if first["better"] == "lower" else -first["value"]


def _measured(name: str, group: Sequence[tuple[catalogue.Entry, Mapping[str, Any]]]) -> list[str]:
    metrics = list(dict.fromkeys(row["metric"] for _, header in group for row in header["evaluation"]["results"]))
    readable = any(_names(header) for _, header in group)
    heads = ["model", *map(title, metrics), *(["confident"] if readable else [])]
    lines = [[_link(entry), *_figures(header, metrics, readable)] for entry, header in group]
    lines += _beside(group, metrics, readable)
    trained = [[_link(entry), *_training(entry, header)] for entry, header in group]
    return [
        f"## {name}\n",
        _basis(group),
        *_table(heads, lines),
        *(_confirmed([entry.name for entry, _ in group]) if readable else []),
        *_table(["model", "values", "samples seen", "rounds", "training time"], trained),
        *_pictures([entry for entry, _ in group]),
    ]


def _basis(group: Sequence[tuple[catalogue.Entry, Mapping[str, Any]]]) -> str:
    """By what a section's figures were measured: all of them alike, or this says so."""
    told = []
    for _, header in group:
        protocol = header["evaluation"]["protocol"]
        by = f"Features of `{protocol['extractor']}`" if protocol.get("extractor") else str(protocol.get("method", ""))
        repeats = protocol.get("repeats", 1)
        sets = f"{repeats} sets of " if repeats > 1 else ""
        told.append(f"{by}; {sets}{protocol['generated_images']:,} generated, {protocol['real_images']:,} real.")
    return "\n".join(f"{each[:1].upper()}{each[1:]}" for each in dict.fromkeys(told)) + "\n"


def _figures(header: Mapping[str, Any], metrics: Sequence[str], readable: bool) -> Iterator[str]:
    evaluation = header["evaluation"]
    by_name = {row["metric"]: row for row in evaluation["results"]}
    for metric in metrics:
        row = by_name.get(metric, {})
        # Without real data to compare with, each model stands over what the simplest method makes of its own task.
        over = row.get("baseline") is not None and row.get("floor") is None
        yield cards.figure(row) + (f" over {cards.figure(row, 'baseline')}" if over else "")
    if readable:
        yield f"{100 * evaluation['confident']['generated']:.1f} %" if _names(header) else "–"


def _beside(
    group: Sequence[tuple[catalogue.Entry, Mapping[str, Any]]], metrics: Sequence[str], readable: bool
) -> Iterator[list[str]]:
    """Rows for what real data get and what the simplest method gets, where all models have the same beside them."""
    for key, heading in cards.BESIDE.items():
        values = []
        for metric in metrics:
            rows = (row for _, header in group for row in header["evaluation"]["results"] if row["metric"] == metric)
            told = dict.fromkeys(cards.figure(row, key) for row in rows)
            values.append(next(iter(told)) if len(told) == 1 else "–")
        if all(value == "–" for value in values):
            continue
        confident = []
        if readable:
            real = [header["evaluation"]["confident"]["real"] for _, header in group if _names(header)]
            confident = [f"{100 * real[0]:.1f} %" if key == "floor" else "–"]
        yield [heading, *values, *confident]


def _names(header: Mapping[str, Any]) -> list[str]:
    return header["evaluation"].get("classes", {}).get("names", [])


def _training(entry: catalogue.Entry, header: Mapping[str, Any]) -> Iterator[str]:
    training = header["training"]
    assert entry.path is not None
    yield f"{checkpoint.count_parameters(entry.path):,}"
    yield f"{header['images']:,}"
    yield f"{header['rounds']:,}"
    yield f"{training['seconds'] / 60:.1f} minutes on {training['machine']}" if training["machine"] else "not kept"


def _link(entry: catalogue.Entry) -> str:
    return f"[`{entry.name}`](../zoo/{entry.model}/README.md)"


def _pictures(entries: Sequence[catalogue.Entry]) -> Iterator[str]:
    for start in range(0, len(entries), COLUMNS):
        part = entries[start : start + COLUMNS]
        shown = [f"![samples of {entry.name}](../zoo/{entry.model}/{entry.data}.png)" for entry in part]
        yield from _table([f"`{entry.name}`" for entry in part], [shown])


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["--:"] * (len(heads) - 1)]
    return [*(f"| {' | '.join(line)} |" for line in (heads, rule, *lines)), ""]


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
    ZOO.write_text(zoo(), encoding="utf-8")
