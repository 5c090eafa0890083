"""What is told of the zoo's models: their cards, and the tables of docs/zoo.md. All of it from headers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli import checkpoint, recipe
from gancli.data.synthetic import FORMULAS
from gancli.files import atomic
from gancli.zoo import catalogue

BESIDE = {"floor": "real data (floor)", "baseline": "baseline"}
"""What stands beside a figure in a card, where it is known."""


def changes(header: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Where a model's recipe differs from the zoo's for its data: (dotted path, the zoo's value, the model's)."""
    stored = recipe.parse(header["recipe"]).to_dict()
    told = bool(stored["latent"]["classes"])
    table = recipe.for_data(catalogue.recipe_table(stored["model"]), stored["data"]["name"], labelled=told)
    found = recipe.differences(recipe.parse(table).to_dict(), stored)
    return [change for change in found if change[0] not in recipe.DESCRIPTIVE]


def command(header: Mapping[str, Any]) -> str:
    """The command that trains a model like this one."""
    words = ["gancli", "train", header["recipe"]["data"]["name"], "--model", header["recipe"]["model"]]
    for path, _, new in changes(header):
        if path == "training.budget":
            number, unit = new.split()
            words += [f"--{unit}", number]
        elif path == "training.seed":
            words += ["--seed", str(new)]
    return " ".join(words)


def write_card(model: str) -> Path:
    """Write ``zoo/MODEL/README.md`` from the recipe and the headers of the weights beside it."""
    table = catalogue.recipe_table(model)
    told = {key: table.get(key, "").rstrip(".") for key in recipe.DESCRIPTIVE}
    if told["limits"]:
        told["limits"] = f"What holds it back: {told['limits']}"
    parts = [f"# {model}", *(f"{text[:1].upper()}{text[1:]}." for text in told.values() if text)]
    parts.append("All values are in [recipe.toml](recipe.toml). Figures were measured on the weights as stored.")
    for entry in catalogue.entries():
        if entry.model == model and entry.path is not None:
            parts += _section(entry.name, entry.path)
    path = catalogue.zoo_folder() / model / "README.md"
    with atomic(path) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _basis(protocol: Mapping[str, Any]) -> str:
    """What the figures were measured on."""
    if "source" in protocol and "baseline" not in protocol:
        return (
            "Rows of the picture: sources, translated, and back again; images, on the other side, and back again. "
            f"{protocol['real_images']:,} images and {protocol['generated_images']:,} sources ({protocol['source']}) "
            f"of {protocol['data']} ({protocol['split']} split): {protocol['method']}. One run."
        )
    if "source" in protocol:
        beside = f" Beside it stands the simplest repair: {protocol['baseline']}." if protocol["baseline"] else ""
        return (
            f"{protocol['real_images']:,} images of {protocol['data']} ({protocol['split']} split), sources made by "
            f"{protocol['source']}.{beside} {protocol['method']}. One run."
        )
    if "method" in protocol:
        return (
            f"{protocol['generated_images']:,} generated samples, {protocol['real_images']:,} real draws for the "
            f"floor: {protocol['method']}. One run."
        )
    return (
        f"{protocol['generated_images']:,} generated against {protocol['real_images']:,} held-out images "
        f"({protocol['split']} split), features of `{protocol['extractor']}`, resize {protocol['resize']}, "
        f"{_sets(protocol.get('repeats', 1))}. "
        "The baseline draws each pixel from those of the training images at its place."
    )


def _sets(repeats: int) -> str:
    if repeats == 1:
        return "one set of images"
    return f"means of {repeats} sets of images and, behind ±, how far a further set may be off in 95 of 100 cases"


def _readable(evaluation: Mapping[str, Any]) -> list[str]:
    """How many of the images are read as a class at all, and how evenly."""
    if not (classes := evaluation.get("classes")) or not classes["names"]:
        return []
    made, real = (f"{100 * evaluation['confident'][side]:.1f} %" for side in ("generated", "real"))
    apart = max(abs(one - other) for one, other in zip(classes["generated"], classes["real"], strict=True))
    return [
        f"Read as one of the classes with a probability above 0.9: {made} of the images ({real} of the held-out ones). "
        f"No class is more than {100 * apart:.1f} points from its share in them."
    ]


def _times(results: list[Mapping[str, Any]]) -> list[str]:
    """How far the FID is from that of real images."""
    found = next((row for row in results if row["metric"] == "fid" and row.get("floor")), None)
    return [f"Its FID is {found['value'] / found['floor']:.1f} times that of real images."] if found else []


def _further(figures: list[Mapping[str, Any]]) -> list[str]:
    """What a model with an encoder makes of held-out images."""
    told = "; ".join(f"{figure['title']}: {figure['value']:.2f}" for figure in figures)
    return [f"On held-out images: {told}."] if told else []


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 50_000 else f"{size / 1e3:.0f} kB"


def figure(row: Mapping[str, Any], key: str = "value") -> str:
    """A number of a result as it stands in tables; the value with half the width of its interval, where it has one."""
    value, interval = row.get(key), row.get("interval")
    if value is None:
        return "–"
    if key != "value" or not interval:
        return f"{value:.4g}"
    reach = max(interval[1] - value, value - interval[0])
    if not reach:
        return f"{value:.4g}"
    # As many decimals as the reach has in two significant digits: the rest of the value is noise.
    decimals = max(0, 1 - math.floor(math.log10(reach)))
    return f"{value:.{decimals}f} ± {reach:.{decimals}f}"


def _section(name: str, path: Path) -> list[str]:
    header = checkpoint.read_header(path)
    protocol, results = header["evaluation"]["protocol"], header["evaluation"]["results"]
    training = header["training"]
    beside = {key: title for key, title in BESIDE.items() if any(row.get(key) is not None for row in results)}
    lines = [["metric", "this model", *beside.values()], ["---", *["---:"] * (1 + len(beside))]]
    lines += [[row["metric"], *(figure(row, key) for key in ("value", *beside))] for row in results]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    items, trained_on = "samples" if path.stem in FORMULAS else "images", header["dataset"]["name"]
    origin = f" of {trained_on}" if trained_on != header["recipe"]["data"]["name"] else ""
    use = f"gancli translate {name} {path.stem} --degrade --out translated" if "source" in protocol else ""
    time = f", in {training['seconds'] / 60:.1f} minutes on {training['machine']}" if training["machine"] else ""
    parts = [
        f"## {name}",
        f"![samples of {name}]({path.stem}.png)",
        f"{checkpoint.count_parameters(path):,} values, {_size(path)}. Trained on "
        f"{header['images']:,} {items}{origin} in {header['rounds']:,} rounds{time}. What is stored is "
        f"{'the running average of the weights' if header['ema'] else 'the generator as trained, without averaging'}.",
        "\n".join(rows),
        _basis(protocol),
        " ".join([*_times(results), *_readable(header["evaluation"])]),
        *_further(header["evaluation"].get("further", [])),
        f"```\n{command(header)}\ngancli evaluate {name}\n{use or f'gancli sample {name}'}\n```",
    ]
    return [part for part in parts if part]
