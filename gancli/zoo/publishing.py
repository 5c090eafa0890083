"""From a finished run to a zoo entry: weights small enough to ship, scored as stored, with picture and card."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli import checkpoint, recipe
from gancli.data.builtin.names import DATASETS
from gancli.data.synthetic import FORMULAS
from gancli.errors import UsageError, nearest
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.evaluators import cycles, pairs
from gancli.model import Model, load
from gancli.rendering.images import save_grid
from gancli.rendering.layout import file_stem
from gancli.rendering.numbers import Plot
from gancli.zoo import catalogue
from gancli.zoo.cards import changes, write_card

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.types import Progress

LARGEST = 5_000_000
"""Bytes of a weights file; a larger one is stored in half precision."""

ROOM = 20_000
"""Bytes of it that are kept free for the evaluation, which joins the header when the precision is settled."""

REPEATS = 5
"""Independent sets of images that an entry is judged by, where seeds make them: figures come with intervals."""

DECIDED = {
    "data.size",
    "data.channels",
    "training.rounds",
    "training.precision",
    "training.budget",
    "training.seed",
    "latent.classes",
    "latent.shares",
}
"""What a run may have of its own: what a training fills in for itself, and the options of the printed command."""


def add(
    run: Path,
    *,
    known_as: str | None = None,
    data: str | None = None,
    discriminator: bool = False,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[Path]:
    """Put a run's model into the zoo; yields the files written.

    All of it is made beside the zoo's entries first: whatever fails, the zoo stays as it was.

    Args:
        run: the folder of a finished training by a recipe of the zoo on a named data set.
        known_as: the data set's name, for a run on a folder or zip that holds the images of a named one.
        data: what to judge the model by, where the named data set is not at hand as such.
        discriminator: ship the run's discriminator too, for the searches that ask it.
        data_dir: where data sets lie.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: not a finished run, a recipe or data that is not the zoo's, weights too large to ship, no
            discriminator to ship.
        GancliError: a damaged file, or an evaluation that fails.
    """
    if not catalogue.is_finished(run):
        raise UsageError(f"{run} is not a finished run", f"finish it: gancli train --resume {run}")
    tensors, header = checkpoint.read(run / catalogue.MODEL_FILE)
    state = checkpoint.read_header(run / catalogue.STATE_FILE)
    if known_as is not None:
        header["recipe"] = recipe.merge(header["recipe"], {"data": {"name": known_as}})
    model, name = _names(header)
    _check_recipe(header)
    folder = catalogue.zoo_folder() / model
    header |= {"training": {"seconds": state["seconds"], "machine": state.get("machine", "")}}

    # In the same folder, so that the files need only be renamed; hidden, so that nobody takes them for an entry.
    made = Path(tempfile.mkdtemp(prefix=".adding-", dir=folder))
    try:
        weights = made / f"{file_stem(name)}.safetensors"
        tensors = _write_small(weights, tensors, header)
        stored = load(weights, device="cpu")
        stored.name = f"{model}/{weights.stem}"
        report = evaluate(stored, data, repeats=REPEATS, data_dir=data_dir, progress=progress)
        checkpoint.write(weights, tensors, {**header, "evaluation": report.to_dict()})
        picture = weights.with_suffix(".png")
        draw(stored, picture, data, data_dir)
        judge_too = [_add_discriminator(run, weights, header)] if discriminator else []
        for path in (picture, *judge_too, weights):
            yield path.replace(folder / path.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    yield write_card(model)


def judge_again(
    entry: catalogue.Entry, *, data: str | None = None, data_dir: Path | None = None, progress: Progress | None = None
) -> Iterator[Path]:
    """Measure an entry of the zoo as it is stored, with the metrics and the data of today; yields the files written.

    Args:
        entry: with weights.
        data: what to judge the model by, where the named data set is not at hand as such.
        data_dir: where data sets lie.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: there are no weights.
        GancliError: a damaged file, or an evaluation that fails; the entry stays as it was.
    """
    if entry.path is None:
        raise UsageError(f"{entry.name} has no weights", "train and add it: gancli zoo add RUN")
    tensors, header = checkpoint.read(entry.path)
    report = evaluate(load(entry.name, device="cpu"), data, repeats=REPEATS, data_dir=data_dir, progress=progress)
    checkpoint.write(entry.path, tensors, {**header, "evaluation": report.to_dict()})
    yield entry.path
    yield write_card(entry.model)


def _add_discriminator(run: Path, weights: Path, header: Mapping[str, Any]) -> Path:
    """A run's discriminator under the name that belongs to the weights."""
    there = run / catalogue.DISCRIMINATOR_FILE
    if not there.is_file():
        raise UsageError(f"{run} holds no {catalogue.DISCRIMINATOR_FILE}", "leave out --discriminator")
    tensors, told = checkpoint.read(there)
    path = catalogue.discriminator_path(weights)
    _write_small(path, tensors, {**told, "recipe": header["recipe"]})
    return path


def draw(model: Model, path: Path, data: str | None = None, data_dir: Path | None = None) -> None:
    """The picture of an entry: 64 seeds, or ten of each class, a plot of numbers, held-out pairs or round trips."""
    if model.takes == "source" and model.recipe.data.paired:
        save_grid(pairs.examples(model, data, data_dir=data_dir), path, columns=12)
        return
    if model.takes == "source":
        save_grid(cycles.examples(model, data, data_dir=data_dir), path, columns=12)
        return
    formula = FORMULAS.get(model.data_name or "")
    if formula is None:
        inputs, columns = model.latent.by_class(100 if model.latent.classes else 64)
        save_grid(model.generate(inputs), path, columns=columns)
    else:
        rows = model.sample(seeds=range(1000 if formula.width == 2 else 64))
        save_grid(Plot(formula).picture(rows)[None], path, scale=1, gap=0)


def _names(header: Mapping[str, Any]) -> tuple[str, str]:
    """Model and data set, both known to everyone who will read the card."""
    stored = recipe.parse(header.get("recipe", {}))
    model, data = stored.model, stored.data.name
    if model not in catalogue.models():
        raise UsageError(f"the zoo has no model '{model}'", nearest(model, catalogue.models()))
    if data not in DATASETS:
        raise UsageError(f"'{data}' is not a data set by name", "the zoo's models are of data that everyone can get")
    return model, data


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
