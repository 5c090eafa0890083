"""From a finished run to a zoo entry: weights small enough to ship, scored as stored, with picture and card."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli import catalog, checkpoint, recipe
from gancli.data.names import DATASETS
from gancli.errors import UsageError, nearest
from gancli.evaluation.report import evaluate
from gancli.files import atomic
from gancli.model import load
from gancli.rendering.images import save_grid
from gancli.rendering.layout import file_stem

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.evaluation.features import Progress

LARGEST = 5_000_000
"""Bytes of a weights file; a larger one is stored in half precision."""

ROOM = 20_000
"""Bytes of it that are kept free for the evaluation, which joins the header when the precision is settled."""

DECIDED = {
    "data.size",
    "data.channels",
    "training.rounds",
    "training.precision",
    "training.budget",
    "training.seed",
    "latent.classes",
}
"""What a run may have of its own: what a training fills in for itself, and the options of the printed command."""


def add(run: Path, *, data_dir: Path | None = None, progress: Progress | None = None) -> Iterator[Path]:
    """Put a run's model into the zoo; yields the files written.

    All of it is made beside the zoo's entries first: whatever fails, the zoo stays as it was.

    Args:
        run: the folder of a finished training by a recipe of the zoo on a named data set.
        data_dir: where data sets lie.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: not a finished run, a recipe or data that is not the zoo's, or weights too large to ship.
        GancliError: a damaged file, or an evaluation that fails.
    """
    if not catalog.is_finished(run):
        raise UsageError(f"{run} is not a finished run", f"finish it: gancli train --resume {run}")
    tensors, header = checkpoint.read(run / catalog.MODEL_FILE)
    state = checkpoint.read_header(run / catalog.STATE_FILE)
    model, data = _names(header)
    _check_recipe(header)
    folder = catalog.zoo_folder() / model
    header |= {"training": {"seconds": state["seconds"], "machine": state.get("machine", "")}}

    # In the same folder, so that the files need only be renamed; hidden, so that nobody takes them for an entry.
    made = Path(tempfile.mkdtemp(prefix=".adding-", dir=folder))
    try:
        weights = made / f"{file_stem(data)}.safetensors"
        tensors = _write_small(weights, tensors, header)
        stored = load(weights, device="cpu")
        stored.name = f"{model}/{weights.stem}"
        report = evaluate(stored, data_dir=data_dir, progress=progress)
        checkpoint.write(weights, tensors, {**header, "evaluation": report.to_dict()})
        picture = weights.with_suffix(".png")
        save_grid(stored.sample(seeds=range(64)), picture)
        for path in (picture, weights):
            yield path.replace(folder / path.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    yield write_card(model)


def _names(header: Mapping[str, Any]) -> tuple[str, str]:
    """Model and data set, both known to everyone who will read the card."""
    stored = recipe.parse(header.get("recipe", {}))
    model, data = stored.model, stored.data.name
    if model not in catalog.models():
        raise UsageError(f"the zoo has no model '{model}'", nearest(model, catalog.models()))
    if data not in DATASETS:
        raise UsageError(f"'{data}' is not a data set by name", "the zoo's models are of data that everyone can get")
    return model, data


def changes(header: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Where a model's recipe differs from the zoo's for its data: (dotted path, the zoo's value, the model's)."""
    stored = recipe.parse(header["recipe"]).to_dict()
    table = recipe.for_data(catalog.recipe_table(stored["model"]), stored["data"]["name"])
    found = recipe.differences(recipe.parse(table).to_dict(), stored)
    return [change for change in found if change[0] not in recipe.DESCRIPTIVE]


def _check_recipe(header: Mapping[str, Any]) -> None:
    for path, zoo, run in changes(header):
        if path not in DECIDED:
            raise UsageError(
                f"the zoo's recipe has changed since: {path} is {zoo!r} there, and was {run!r} in this run",
                "train it anew with the recipe as it is now",
            )


def _write_small(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """Write a weights file, in half precision if it is too large otherwise; returns the tensors as written."""
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    for written in (tensors, halved):
        checkpoint.write(path, written, header)
        if path.stat().st_size <= LARGEST - ROOM:
            return written
    raise UsageError(
        f"the weights take {path.stat().st_size / 1e6:.1f} MB in half precision, and the zoo ships at most "
        f"{LARGEST / 1e6:g} MB",
        "publish a smaller network",
    )


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
    table = catalog.recipe_table(model)
    told = (table.get(key, "").rstrip(".") for key in recipe.DESCRIPTIVE)
    parts = [f"# {model}", *(f"{text[:1].upper()}{text[1:]}." for text in told if text)]
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
