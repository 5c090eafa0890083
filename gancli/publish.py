"""From a finished run to a zoo entry: weights small enough to ship, scored as stored, with picture and card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gancli import catalog, checkpoint, recipe
from gancli.errors import UsageError
from gancli.evaluation.report import evaluate
from gancli.files import atomic
from gancli.model import load
from gancli.rendering.images import save_grid

LARGEST = 5_000_000
"""Bytes of a weights file; a larger one is stored in half precision."""

DECIDED = {"data.size", "data.channels", "training.rounds", "training.precision"}
"""Values that a training fills in for itself."""


def add(run: Path, *, data_dir: Path | None = None, progress: Any = None) -> Iterator[Path]:
    """Put a run's model into the zoo; yields the files written.

    Raises:
        UsageError: not a finished run, or one whose recipe is not the zoo's.
    """
    if not (run / "samples.png").exists():
        raise UsageError(f"{run} is not a finished run", f"finish it: gancli train --resume {run}")
    tensors, header = checkpoint.read(run / catalog.MODEL_FILE)
    state = checkpoint.read_header(run / "state.safetensors")
    model, data = header["recipe"]["model"], header["dataset"]["name"]
    catalog.recipe_table(model)  # refuses a model that the zoo does not know
    path = catalog.zoo_folder() / model / f"{data}.safetensors"
    if sum(tensor.nbytes for tensor in tensors.values()) > LARGEST:
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    header |= {"training": {"seconds": state["seconds"], "machine": state.get("machine", "")}}
    checkpoint.write(path, tensors, header)
    stored = load(path, device="cpu")
    report = evaluate(stored, data_dir=data_dir, progress=progress)
    checkpoint.write(path, tensors, {**header, "evaluation": report.to_dict()})
    yield path
    save_grid(stored.sample(seeds=range(64)), path.with_suffix(".png"))
    yield path.with_suffix(".png")
    yield write_card(model)


def command(header: dict[str, Any]) -> str:
    """The command that trains a model like this one."""
    data, model = header["dataset"]["name"], header["recipe"]["model"]
    table = recipe.parse(recipe.for_data(catalog.recipe_table(model), data)).to_dict()
    words = ["gancli", "train", data, "--model", model]
    for path, _, new in recipe.differences(table, header["recipe"]):
        if path == "training.budget":
            number, unit = new.split()
            words += [f"--{unit}", number]
        elif path == "training.seed":
            words += ["--seed", str(new)]
        elif path not in DECIDED:
            words += ["--set", f"{path}={new}"]
    return " ".join(words)


def write_card(model: str) -> Path:
    """Write ``zoo/MODEL/README.md`` from the recipe and the headers of the weights beside it."""
    table = catalog.recipe_table(model)
    parts = [f"# {model}", *(f"{text[:1].upper()}{text[1:]}." for text in (table["summary"], table["paper"]))]
    parts.append("All values are in [recipe.toml](recipe.toml). Figures were measured on the weights as stored.")
    for entry in catalog.entries():
        if entry.model == model and entry.path is not None:
            parts += _section(entry.name, entry.path)
    path = catalog.zoo_folder() / model / "README.md"
    with atomic(path) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _section(name: str, path: Path) -> list[str]:
    header = checkpoint.read_header(path)
    protocol, results = header["evaluation"]["protocol"], header["evaluation"]["results"]
    training = header["training"]
    rows = ["| metric | this model | real images (floor) |", "|---|---:|---:|"]
    rows += [f"| {row['metric']} | {row['value']:.4g} | {row['floor']:.4g} |" for row in results]
    time = f", in {training['seconds'] / 60:.1f} minutes on {training['machine']}" if training["machine"] else ""
    return [
        f"## {name}",
        f"![samples of {name}, seeds 0 to 63]({path.stem}.png)",
        f"{checkpoint.count_parameters(path):,} values, {path.stat().st_size / 1e6:.1f} MB. Trained on "
        f"{header['images']:,} images in {header['rounds']:,} rounds{time}. What is stored is "
        f"{'the running average of the weights' if header['ema'] else 'the generator as trained, without averaging'}.",
        "\n".join(rows),
        f"{protocol['generated_images']:,} generated against {protocol['real_images']:,} held-out images "
        f"({protocol['split']} split), features of `{protocol['extractor']}`, resize {protocol['resize']}, one run.",
        f"```\n{command(header)}\ngancli evaluate {name}\ngancli sample {name}\n```",
    ]
