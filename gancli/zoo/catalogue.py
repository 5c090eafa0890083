"""Names of models: zoo entries, run folders, files. Never imports torch."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli import checkpoint, lock, plugins
from gancli.data.paths import cache_folder
from gancli.errors import GancliError, UsageError, nearest
from gancli.files import check_folder
from gancli.hub import models as hub
from gancli.hub.names import Name, is_hub

MODEL_FILE = "model.safetensors"
BEST_FILE = "best.safetensors"
STATE_FILE = "state.safetensors"
DISCRIMINATOR_FILE = "discriminator.safetensors"
SNAPSHOTS = "snapshots"
RUNS = Path("runs")
TAG_FILE = "tag.txt"
"""In a run's folder: the name that a user gave it."""
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
SHOWN = 10
"""Digits of a commit's hash in the name of a model."""


def zoo_folder() -> Path:
    """The zoo: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_zoo"
    return inside if inside.is_dir() else package.parent / "zoo"


@dataclass(frozen=True)
class Entry:
    """A zoo model with weights for one data set, or with none yet.

    Attributes:
        model: the recipe's name.
        data: the data set; None for a recipe without weights.
        path: the weights.
    """

    model: str
    data: str | None
    path: Path | None

    @property
    def name(self) -> str:
        """As users type it."""
        return f"{self.model}/{self.data}" if self.data else self.model

    def header(self) -> dict[str, Any]:
        """The weights' header; empty without weights."""
        return checkpoint.read_header(self.path) if self.path else {}


def models() -> list[str]:
    """Names of the zoo's recipes."""
    return sorted(path.parent.name for path in zoo_folder().glob("*/recipe.toml"))


def default_model(channels: int, height: int, width: int) -> str:
    """The model that learns images of this shape unless another is named."""
    return "quick" if channels == 1 and max(height, width) <= 28 else "pictures"


def entries() -> Iterator[Entry]:
    """Every weights file of the zoo; a model that has none comes once, without data."""
    for model in models():
        files = sorted(path for path in (zoo_folder() / model).glob("*.safetensors") if not is_discriminator(path))
        yield from (Entry(model, path.stem, path) for path in files)
        if not files:
            yield Entry(model, None, None)


def discriminator_path(weights: Path) -> Path:
    """The file of a model's discriminator, where it has one: in the folder of the weights."""
    return weights.with_name(
        DISCRIMINATOR_FILE if weights.name == MODEL_FILE else f"{weights.stem}-{DISCRIMINATOR_FILE}"
    )


def is_discriminator(path: Path) -> bool:
    """Whether a file has a discriminator's name."""
    return path.name.endswith(DISCRIMINATOR_FILE)


ALL = "`gancli zoo list` shows all"
"""The hint for a name that is like no other."""


def recipe_table(model: str) -> dict[str, Any]:
    """The unchecked tables of a zoo recipe, of a recipe file, of a run's, or of a model of the Hub.

    Raises:
        UsageError: no such model.
        GancliError: a model of the Hub that cannot be had, or is none.
    """
    if is_hub(model):
        return of_header(checkpoint.read_header(find(model)))
    named = Path(model).expanduser()
    of_run = named / "recipe.toml"
    if model.endswith(".toml") or (model not in models() and of_run.is_file()):
        path = named if model.endswith(".toml") else of_run
        if not path.is_file():
            raise UsageError(f"no such file: {model}", "name a recipe's TOML file, or a model of `gancli zoo list`")
        from gancli.recipe import read

        return read(path)
    if model not in models():
        raise UsageError(f"no model is called '{model}'", nearest(model, models()) or ALL)
    table = tomllib.loads((zoo_folder() / model / "recipe.toml").read_text(encoding="utf-8"))
    plugins.trust(table)
    return table


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a run whose budget is spent, by state and model; false where they cannot be read."""
    try:
        headers = [checkpoint.read_header(folder / name) for name in (STATE_FILE, MODEL_FILE)]
        return all(header["rounds"] >= header["recipe"]["training"]["rounds"] for header in headers)
    except (GancliError, OSError, KeyError, TypeError):
        return False


def newest_run(*, unfinished: bool = False) -> Path:
    """The run folder under ``runs/`` that was written to last.

    Args:
        unfinished: only runs whose budget is not spent and that no process is training.

    Raises:
        UsageError: there is none.
    """
    found = [path.parent for path in RUNS.glob(f"*/{MODEL_FILE}") if not path.parent.name.startswith(".")]
    if unfinished:
        waiting = [folder for folder in found if not is_finished(folder)]
        found = [folder for folder in waiting if not lock.holder(folder)]
        if not found:
            raise UsageError(
                f"there is no unfinished run in {RUNS}/{' but what is being trained just now' if waiting else ''}",
                "name one, as in `gancli train --resume runs/NAME`, or start one: `gancli train digits`",
            )
    if not found:
        raise UsageError(
            f"there is no run in {RUNS}/",
            "name a model, as in `gancli sample dcgan/mnist`, or train one: `gancli train digits`",
        )
    return max(found, key=lambda folder: (folder / MODEL_FILE).stat().st_mtime_ns)


def tag(folder: Path) -> str:
    """The tag of a run; empty where it has none."""
    try:
        with (folder / TAG_FILE).open(encoding="utf-8") as file:
            found = file.read(64).strip()
    except (OSError, ValueError):
        return ""
    return found if TAG.fullmatch(found) else ""


def run_named(name: str) -> Path:
    """The run of a folder, of a tag or name in ``runs/``, or of a part of a name there that no other has.

    Raises:
        UsageError: there is none, or more than one.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if found := run_like(name, _runs()):
        return found
    hint = nearest(name, [run.name for run in RUNS.glob("*/")])
    raise UsageError(f"there is no folder, tag or run '{name}'", hint or "`gancli runs` lists all")


def _runs() -> list[Path]:
    """Folders in ``runs/``."""
    return sorted(each for each in RUNS.glob("*/") if not each.name.startswith("."))


def run_like(name: str, runs: Sequence[Path]) -> Path | None:
    """The one of some runs that has a tag or name, or a part of its name; None if there is none.

    Raises:
        UsageError: there is more than one.
    """
    found = [run for run in runs if name in (tag(run), run.name)]
    found = found or [run for run in runs if name and name in run.name]
    if len(found) > 1:
        several = ", ".join(run.name for run in found[:5]) + (", …" if len(found) > 5 else "")
        raise UsageError(f"'{name}' is part of the names of {len(found)} runs: {several}", "give more of it")
    return found[0] if found else None


def check_new(folder: Path) -> None:
    """Make sure, before any long work, that a run can be made here.

    Raises:
        UsageError: something else is there already, or the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not a run", "name a new folder with `out`")
    check_folder(folder.parent)


def find(name: str | None) -> Path:
    """The weights file of a name.

    Args:
        name: ``dcgan/mnist``, a run folder, a ``.safetensors`` file, or ``hf:user/repo``, which is downloaded where it
            is not here; None for the newest run.

    Raises:
        UsageError: unknown.
        GancliError: a model of the Hub that cannot be had.
    """
    if name is None:
        return newest_run() / MODEL_FILE
    if is_hub(name):
        return hub.fetch(name, cache_folder())
    path = Path(name).expanduser()
    if path.is_file():
        return path
    # An empty name would be the current folder.
    if name and (path / MODEL_FILE).is_file():
        return path / MODEL_FILE
    known = {entry.name: entry.path for entry in entries() if entry.path}
    if name in known:
        return known[name]
    single = len(path.parts) == 1 and not path.exists() and not path.suffix and name not in models()
    if single and (run := run_like(name, _runs())):
        return find(str(run))
    if name and path.is_dir():
        raise UsageError(f"{name} is a folder without {MODEL_FILE}", "name the folder of a training")
    if path.suffix == ".safetensors":
        raise UsageError(f"no such file: {name}", "check the path")
    of_model = [entry for entry in known if entry.split("/")[0] == name]
    hint = f"one of: {', '.join(of_model)}" if of_model else nearest(name, known)
    # A model of the zoo has two parts at most.
    what = "there is no file or folder" if path.is_absolute() or len(path.parts) > 2 else "no model is called"
    raise UsageError(f"{what} '{name}'", f"{hint + '; ' if hint else ''}{ALL}")


def of_header(header: dict[str, Any]) -> dict[str, Any]:
    """The recipe in a model's header, without what belongs to the training that made it.

    Raises:
        GancliError: it has none.
    """
    recipe = header.get("recipe")
    if not isinstance(recipe, dict) or not isinstance(training := recipe.get("training", {}), dict):
        raise GancliError("the model's header has no recipe", "name another model")
    return {**recipe, "training": {key: value for key, value in training.items() if key != "start"}}


def bring_discriminator(weights: Path) -> None:
    """Download the discriminator of a model of the Hub, where it has one; nothing for other models.

    Raises:
        GancliError: it cannot be had.
    """
    hub.fetch_discriminator(weights, cache_folder())


def in_zoo(path: Path) -> bool:
    """Whether a file lies where the zoo's weights do."""
    return path.parent.parent.resolve() == zoo_folder()


def run_recipe(weights: Path) -> Path | None:
    """The recipe of the run that a model file lies in; None for other models."""
    folder = weights.parent.parent if weights.parent.name == SNAPSHOTS else weights.parent
    found = folder / "recipe.toml"
    return found if found.is_file() and (folder / STATE_FILE).is_file() else None


def label(path: Path) -> str:
    """The name of a weights file in reports: the zoo's name, the run's, the file's, or the Hub's."""
    if name := hub.name_of(path, cache_folder()):
        return str(Name(name.repo, name.revision[:SHOWN]))
    if in_zoo(path):
        return f"{path.parent.name}/{path.stem}"
    folder = path.resolve().parent
    if folder.name == SNAPSHOTS:
        return f"{folder.parent.name}/{path.stem}"
    run = folder.name
    return run if path.name == MODEL_FILE else f"{run}/{path.stem}" if path.name == BEST_FILE else path.stem
