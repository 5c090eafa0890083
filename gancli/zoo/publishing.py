"""From a finished run to a zoo entry: weights small enough to ship, evaluated as stored, with picture and card."""

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

LARGEST = 6_000_000
"""Bytes of a weights file; a larger one is stored in half precision."""

LARGEST_DISCRIMINATOR = 4_000_000
"""Bytes of the discriminator's file beside it."""

ROOM = 20_000
"""Bytes of it for the evaluation, which is added to the header when the precision is decided."""

REPEATS = 5
"""Independent sets of generated images that an entry is evaluated on, so that results have intervals."""

OWN = {
    "data.size",
    "data.channels",
    "data.hold_out",
    "data.mirror",
    "training.rounds",
    "training.earlier_plans",
    "training.threads",
    "training.precision",
    "training.budget",
    "training.seed",
    "training.start",
    "latent.classes",
    "latent.shares",
}
"""Where a run's recipe may differ from the zoo's: what training fills in, and options of the printed command."""


def add(
    run: Path,
    *,
    known_as: str | None = None,
    source: str = "",
    licence: str = "",
    data: str | None = None,
    discriminator: bool = False,
    half: bool = False,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[Path]:
    """Put a run's model into the zoo; yields the files written.

    They are made in a hidden folder first: whatever fails, the zoo stays as it was.

    Args:
        run: the folder of a finished training by a recipe of the zoo.
        known_as: what to call the data, for a run on a folder or zip: a named set whose images it holds, or a new name.
        source: where everyone can get data that is no named set.
        licence: its terms.
        data: what to evaluate the model on, where the named data set itself is not available.
        discriminator: ship the run's discriminator too, which inpainting and fine-tuning use. One that lies beside the
            present weights is replaced in any case.
        half: store weights in half precision; larger files are in any case.
        data_dir: where data sets lie.
        progress: called with what is done, how much of it is done, and of how much.

    Raises:
        UsageError: not a finished run, a recipe or data that is not the zoo's, weights too large to ship, no
            discriminator to ship.
        GancliError: a damaged file, or an evaluation that fails.
    """
    if not catalogue.is_finished(run):
        raise UsageError(f"{run} is not a finished run", f"finish it: `gancli train --resume {run}`")
    tensors, header = checkpoint.read(run / catalogue.MODEL_FILE)
    state = checkpoint.read_header(run / catalogue.STATE_FILE)
    if known_as is not None:
        header["recipe"] = recipe.merge(header["recipe"], {"data": {"name": known_as}})
    model, name = _names(header, bool(source and licence))
    if source or licence:
        header["dataset"] = {**header["dataset"], "source": source, "licence": licence}
    folder = catalogue.zoo_folder() / model
    header |= {"training": {"seconds": state["seconds"], "machine": state.get("machine", "")}}

    # In the same folder, so that the files need only be renamed.
    made = Path(tempfile.mkdtemp(prefix=".adding-", dir=folder))
    try:
        weights = made / f"{file_stem(name)}.safetensors"
        tensors = _write_small(weights, tensors, header, LARGEST, half)
        stored = load(weights, device="cpu")
        stored.name = f"{model}/{weights.stem}"
        report = evaluate(stored, data, repeats=REPEATS, data_dir=data_dir, progress=progress)
        checkpoint.write(weights, tensors, {**header, "evaluation": report.without_path().to_dict()})
        picture = weights.with_suffix(".png")
        draw(stored, picture, data, data_dir)
        shipped = catalogue.discriminator_path(folder / weights.name).is_file()
        more = [_add_discriminator(run, weights, header, half)] if discriminator or shipped else []
        for path in (picture, *more, weights):
            yield path.replace(folder / path.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    yield write_card(model)


def evaluate_again(
    entry: catalogue.Entry, *, data: str | None = None, data_dir: Path | None = None, progress: Progress | None = None
) -> Iterator[Path]:
    """Evaluate an entry of the zoo with its present weights, metrics and data; yields the files written.

    Args:
        entry: with weights.
        data: what to evaluate the model on, where the named data set itself is not available.
        data_dir: where data sets lie.
        progress: called with what is done, how much of it is done, and of how much.

    Raises:
        UsageError: there are no weights.
        GancliError: a damaged file, or an evaluation that fails; the entry stays as it was.
    """
    if entry.path is None:
        raise UsageError(f"{entry.name} has no weights", "train and add it: `gancli zoo add RUN`")
    tensors, header = checkpoint.read(entry.path)
    report = evaluate(load(entry.name, device="cpu"), data, repeats=REPEATS, data_dir=data_dir, progress=progress)
    checkpoint.write(entry.path, tensors, {**header, "evaluation": report.without_path().to_dict()})
    yield entry.path
    yield write_card(entry.model)


def _add_discriminator(run: Path, weights: Path, header: Mapping[str, Any], half: bool) -> Path:
    """A run's discriminator under the name that belongs to the weights."""
    stored = run / catalogue.DISCRIMINATOR_FILE
    if not stored.is_file():
        raise UsageError(f"{run} holds no {catalogue.DISCRIMINATOR_FILE}", "leave out `discriminator`")
    tensors, own = checkpoint.read(stored)
    path = catalogue.discriminator_path(weights)
    _write_small(path, tensors, {**own, "recipe": header["recipe"]}, LARGEST_DISCRIMINATOR, half)
    return path


def draw(model: Model, path: Path, data: str | None = None, data_dir: Path | None = None) -> None:
    """The picture of an entry: 64 samples, or ten of each class; a plot; held-out pairs; or translations and back."""
    if model.takes == "source":
        kind = pairs if model.recipe.data.paired else cycles
        save_grid(kind.examples(model, data, data_dir=data_dir), path, columns=12)
        return
    formula = FORMULAS.get(model.data_name or "")
    if formula is None:
        inputs, columns = model.latent.by_class(100 if model.latent.classes else 64)
        save_grid(model.generate(inputs), path, columns=columns)
    else:
        rows = model.sample(seeds=range(1000 if formula.width == 2 else 64))
        Plot(formula).save(rows, path)


def _names(header: Mapping[str, Any], described: bool) -> tuple[str, str]:
    """Model and data set, which must be the zoo's, with its recipe, and a named one, or one that is described."""
    stored = recipe.parse(header.get("recipe", {}))
    model, data = stored.model, stored.data.name
    if model not in catalogue.models():
        raise UsageError(f"the zoo has no model '{model}'", nearest(model, catalogue.models()))
    if data not in DATASETS and not described:
        raise UsageError(
            f"'{data}' is not a data set by name",
            "models of the zoo are trained on data that everyone can get: say where with `source`, on which terms with "
            "`licence`, and what to call it with `known_as`",
        )
    for path, zoo, run in changes(header):
        if path not in OWN:
            raise UsageError(
                f"the zoo's recipe has changed since: {path} is {zoo!r} there, and was {run!r} in this run",
                "train it anew with the recipe as it is now",
            )
    return model, data


def _write_small(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], largest: int, half: bool
) -> Mapping[str, Tensor]:
    """Write a weights file, in half precision where asked or if it is too large otherwise; returns the tensors as
    written."""
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    for written in (halved,) if half else (tensors, halved):
        checkpoint.write(path, written, header)
        if path.stat().st_size <= largest - ROOM:
            return written
    raise UsageError(
        f"the weights take {path.stat().st_size / 1e6:.1f} MB in half precision, and the zoo ships at most "
        f"{largest / 1e6:g} MB",
        "train a smaller network",
    )
