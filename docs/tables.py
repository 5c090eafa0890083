"""Write the README's table of models and docs/zoo.md from the headers of the zoo's weights:
``uv run python docs/tables.py``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.marks import between
from gancli import checkpoint
from gancli.evaluation.scores import score, title
from gancli.zoo import cards, catalogue

README = Path(__file__).parents[1] / "README.md"
ZOO = Path(__file__).with_name("zoo.md")
CONFIRMED = Path(__file__).with_name("confirmed.json")
START, END = "<!-- models: written by `uv run python docs/tables.py` -->\n", "<!-- /models -->"

INTRODUCTION = """# Results of the zoo

Every model that comes with gancli, by the data it was trained on. `uv run python docs/tables.py` writes this page from
the headers of the weights. Their figures were measured on the weights as stored, by `gancli zoo judge NAME`.
[Evaluation](evaluation.md) defines each figure; a model's card, linked by its name, has the paper of its recipe and the
command that trains it.

The number after ± is the half-width of the interval that contains the figure of a further set of images, from other
seeds, in 95 of 100 cases. It does not cover other trainings: there is one training a model.
"""
COLUMNS = 4
"""Pictures in a row."""


def table() -> str:
    """One line a weights file, and one for each recipe that has none yet."""
    rows = ["| model | description | parameters | score | real data |", "|---|---|--:|--:|--:|"]
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
    return between(text, START, table(), END)


def zoo() -> str:
    """docs/zoo.md: a section for each data set and way of measuring, the best model first."""
    found = [(entry, entry.header()) for entry in catalogue.entries() if entry.path]
    found.sort(key=lambda pair: (_section(pair[1]), _rank(pair[1])))
    parts = [INTRODUCTION]
    for name, group in groupby(found, key=lambda pair: _section(pair[1])):
        parts += _measured(name, list(group))
    return "\n".join(parts)


def _confirmed(models: Sequence[str]) -> list[str]:
    """The same models ranked by another extractor."""
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
        f"By `{group[0]['protocol']['extractor']}`, another network, FID ranks them "
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
        *_table(["model", "parameters", "samples seen", "rounds", "training time"], trained),
        *_pictures([entry for entry, _ in group]),
    ]


def _basis(group: Sequence[tuple[catalogue.Entry, Mapping[str, Any]]]) -> str:
    """How a section's figures were measured: one line for each way."""
    lines = []
    for _, header in group:
        protocol = header["evaluation"]["protocol"]
        by = f"Features of `{protocol['extractor']}`" if protocol.get("extractor") else str(protocol.get("method", ""))
        repeats = protocol.get("repeats", 1)
        sets = f"{repeats} sets of " if repeats > 1 else ""
        lines.append(f"{by}; {sets}{protocol['generated_images']:,} generated, {protocol['real_images']:,} real.")
    return "\n".join(f"{each[:1].upper()}{each[1:]}" for each in dict.fromkeys(lines)) + "\n"


def _figures(header: Mapping[str, Any], metrics: Sequence[str], readable: bool) -> Iterator[str]:
    evaluation = header["evaluation"]
    by_name = {row["metric"]: row for row in evaluation["results"]}
    for metric in metrics:
        row = by_name.get(metric, {})
        # Without a figure of real data, the baseline of each model's task is shown.
        over = row.get("baseline") is not None and row.get("floor") is None
        yield cards.figure(row) + (f" over {cards.figure(row, 'baseline')}" if over else "")
    if readable:
        yield f"{100 * evaluation['confident']['generated']:.1f} %" if _names(header) else "–"


def _beside(
    group: Sequence[tuple[catalogue.Entry, Mapping[str, Any]]], metrics: Sequence[str], readable: bool
) -> Iterator[list[str]]:
    """Rows for the figures of real data and of the baseline, where all models have the same ones."""
    for key, heading in cards.REFERENCES.items():
        values = []
        for metric in metrics:
            rows = (row for _, header in group for row in header["evaluation"]["results"] if row["metric"] == metric)
            figures = dict.fromkeys(cards.figure(row, key) for row in rows)
            values.append(next(iter(figures)) if len(figures) == 1 else "–")
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
    yield f"{training['seconds'] / 60:.1f} minutes on {training['machine']}" if training["machine"] else "not recorded"


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
