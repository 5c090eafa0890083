"""Model cards of the zoo, written from recipes and the headers of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli import checkpoint, recipe
from gancli.data.builtin.names import DATASETS
from gancli.data.synthetic import FORMULAS
from gancli.files import atomic
from gancli.zoo import catalogue

REFERENCES = {"floor": "real data (floor)", "baseline": "baseline"}
"""Results that a model's are compared with, where they are known."""


def changes(header: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Where a model's recipe differs from the zoo's for its data: (dotted path, the zoo's value, the model's)."""
    stored = recipe.parse(header["recipe"]).to_dict()
    data, images = stored["data"], header.get("dataset", {}).get("images", 0)
    parts = recipe.parts_for(bool(stored["latent"]["classes"]), (data["channels"], *(data["size"] or ())), images)
    table = recipe.for_data(catalogue.recipe_table(stored["model"]), data["name"], parts)
    found = recipe.differences(recipe.parse(table).to_dict(), stored)
    return [change for change in found if change[0] not in recipe.DESCRIPTIVE]


def command(header: Mapping[str, Any]) -> str:
    """The command that trains a model like this one."""
    data = header["recipe"]["data"]
    words = ["gancli", "train", _typed(data["name"]), "--model", header["recipe"]["model"]]
    if data["channels"] == 4:
        words += ["--set", "data.channels=4"]
    if data["name"] not in DATASETS:
        words += ["--set", "data.size=[{},{}]".format(*data["size"])]
    for path, _, new in changes(header):
        if path == "training.budget":
            # Of a training that went on after its budget, the rounds that it came to.
            longer = header["recipe"]["training"].get("earlier_plans")
            number, unit = (str(header["rounds"]), "rounds") if longer else new.split()
            words += [f"--{unit}", number]
        elif path == "data.hold_out":
            words += ["--hold-out", f"{new:g}"]
        elif path == "data.mirror":
            words += ["--set", f"data.mirror={str(new).lower()}"]
        elif path == "training.seed":
            words += ["--seed", str(new)]
        elif path == "training.start":
            zoo = {entry.name for entry in catalogue.entries()}
            words += ["--from", new["model"] if new["model"] in zoo else "RUN"]
            words += ["--freeze-d", str(new["freeze_d"])] if new["freeze_d"] else []
    return " ".join(words)


def _typed(data: str) -> str:
    """A data set as a command names it; in capitals, what stands for a folder or zip."""
    return data if data in DATASETS else data.upper()


def write_card(model: str) -> Path:
    """Write ``zoo/MODEL/README.md`` from the recipe and the headers of the weights beside it."""
    table = catalogue.recipe_table(model)
    texts = {key: table.get(key, "").rstrip(".") for key in recipe.DESCRIPTIVE}
    if texts["limits"]:
        texts["limits"] = f"Limits: {texts['limits']}"
    parts = [f"# {model}", *(f"{text[:1].upper()}{text[1:]}." for text in texts.values() if text)]
    parts.append("The recipe is [recipe.toml](recipe.toml). Metrics were computed with the weights as stored.")
    for entry in catalogue.entries():
        if entry.model == model and entry.path is not None:
            parts += _section(entry.name, entry.path)
    path = catalogue.zoo_folder() / model / "README.md"
    with atomic(path) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def basis(protocol: Mapping[str, Any]) -> str:
    """What the metrics were computed on."""
    real = f"{protocol['real_images']:,}"
    generated = f"{protocol['generated_images']:,}"
    if "source" in protocol:
        held_out, source = f"of {protocol['data']} ({protocol['split']} split)", protocol["source"]
        if "baseline" not in protocol:
            text = (
                "Rows of the picture: sources, their translations, and these translated back; then the same from the "
                f"other side. {real} images and {generated} sources ({source}) {held_out}:"
            )
        else:
            baseline = f" Baseline: {protocol['baseline']}." if protocol["baseline"] else ""
            text = f"{real} images {held_out}, sources made by {source}.{baseline}"
        return f"{text} {protocol['method']}. One run."
    if "method" in protocol:
        return f"{generated} generated samples, {real} real ones for the floor: {protocol['method']}. One run."
    repeats = protocol.get("repeats", 1)
    sets = f"means of {repeats} sets of images ± 95 % prediction interval of one more set" if repeats > 1 else "one set"
    alpha = f"transparency {protocol['alpha']}, " if protocol.get("alpha") else ""
    few = protocol.get("held_out_images") is not None
    compared = f"{real} training images" if few else f"{real} held-out images ({protocol['split']} split)"
    return (
        f"{generated} generated and {compared}, features of "
        f"`{protocol['extractor']}`, resize {protocol['resize']}, {alpha}{sets}. "
        "The baseline draws each pixel from those of the training images at its position."
    )


def figure(row: Mapping[str, Any], key: str = "value") -> str:
    """A number of a result for tables; the value with half the width of its interval, where it has one."""
    value, interval = row.get(key), row.get("interval")
    if value is None:
        return "–"
    if key != "value" or not interval:
        return f"{value:.4g}"
    reach = max(interval[1] - value, value - interval[0])
    if not reach:
        return f"{value:.4g}"
    # Two significant digits of the interval: further digits of the value are noise.
    decimals = max(0, 1 - math.floor(math.log10(reach)))
    return f"{value:.{decimals}f} ± {reach:.{decimals}f}"


def size(path: Path) -> str:
    """Parameters and size of a weights file, and its precision where that is half."""
    count = path.stat().st_size
    much = f"{count / 1e6:.1f} MB" if count >= 50_000 else f"{count / 1e3:.0f} kB"
    half = " in half precision (fp16)" if checkpoint.is_half(path) else ""
    return f"{checkpoint.count_parameters(path):,} parameters, {much}{half}"


def _section(name: str, path: Path) -> list[str]:
    """The parts of a card about one weights file."""
    header = checkpoint.read_header(path)
    training, evaluation = header["training"], header["evaluation"]
    results = evaluation["results"]
    references = {key: title for key, title in REFERENCES.items() if any(row.get(key) is not None for row in results)}
    lines = [["metric", "this model", *references.values()], ["---", *["---:"] * (1 + len(references))]]
    lines += [[row["metric"], *(figure(row, key) for key in ("value", *references))] for row in results]
    items, trained_on = "samples" if path.stem in FORMULAS else "images", header["dataset"]["name"]
    origin = f" of {trained_on}" if trained_on != header["recipe"]["data"]["name"] else ""
    if terms := [header["dataset"][key] for key in ("source", "licence") if header["dataset"].get(key)]:
        origin += f" ({'; '.join(terms)})"
    by = "" if path.stem in DATASETS else f" --data {_typed(path.stem)}"
    start = header["recipe"]["training"].get("start")
    begun = f", started from the weights of `{start['model']}`" if start else ""
    translates = "source" in evaluation["protocol"]
    use = f"translate {name} {path.stem} --degrade --out translated" if translates else f"sample {name}"
    time = f", in {training['seconds'] / 60:.1f} minutes on {training['machine']}" if training["machine"] else ""
    further = "; ".join(f"{each['title']}: {each['value']:.2f}" for each in evaluation.get("further", []))
    parts = [
        f"## {name}",
        f"![samples of {name}]({path.stem}.png)",
        f"{size(path)}. Trained on {header['images']:,} {items}{origin} in {header['rounds']:,} rounds{time}{begun}. "
        f"The weights are {'the EMA of the generator' if header['ema'] else 'the generator as trained, without EMA'}.",
        f"Its discriminator ({size(beside)}) is stored too, for `gancli train --from` and `gancli inpaint`."
        if (beside := catalogue.discriminator_path(path)).is_file()
        else "",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        basis(evaluation["protocol"]),
        further and f"On held-out images: {further}.",
        f"```\n{command(header)}\ngancli evaluate {name}{by}\ngancli {use}\n```",
    ]
    return [part for part in parts if part]


def facts(header: Mapping[str, Any]) -> dict[str, Any]:
    """What a header of any origin says of a model in words and whole numbers; what it says otherwise is left out."""
    recipe, dataset = (found if isinstance(found := header.get(key), Mapping) else {} for key in ("recipe", "dataset"))
    rows = {
        "model": recipe.get("model"),
        "data": dataset.get("name"),
        "licence": dataset.get("licence"),
        "images": header.get("images"),
        "rounds": header.get("rounds"),
    }
    return {key: value for key, value in rows.items() if isinstance(value, str) or type(value) is int}


def results(header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures in a header of any origin that have the form of ours: metric, value, and interval or None."""
    found = header.get("evaluation")
    rows = found.get("results") if isinstance(found, Mapping) else None
    made = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping) and isinstance(row.get("metric"), str) and _is_number(row.get("value")):
            interval = row.get("interval")
            pair = isinstance(interval, list) and len(interval) == 2 and all(map(_is_number, interval))
            made.append({"metric": row["metric"], "value": row["value"], "interval": interval if pair else None})
    return made


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
