"""The recipe that a training asks for: a new one, or that of a run to resume."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from gancli import plugins
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.recipe import Assignment, Recipe
    from gancli.runs.periodic_evaluation import Settings

NEW_PATH = {
    "name": "`gancli train NEW --resume {run}`",
    "source": "`gancli train --set data.source=NEW --resume {run}`",
}
"""How a resumed run is told where its data are now, by key of the section ``data``."""


def budget_of(**budgets: float | None) -> str | None:
    """A budget as a recipe has it, such as "5 minutes"; None where none is asked for.

    Args:
        budgets: by unit: minutes, epochs, kimg, rounds.

    Raises:
        UsageError: two budgets, or one that is no number above 0.
    """
    asked = {unit: value for unit, value in budgets.items() if value is not None}
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(f'`{unit}`' for unit in asked)} are both a budget", "give one of them")
    for unit, value in asked.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
            raise UsageError(f"`{unit}={value!r}` is no budget", f"give a number above 0, as in `{unit}=5`")
    return next((f"{value:.10g} {unit}" for unit, value in asked.items()), None)


def default_model(data: str, shape: Sequence[int] = ()) -> str:
    """The zoo's model for data if none is named: empty where that takes their shape (C, H, W), and it is not known."""
    from gancli.data import DATASETS
    from gancli.data.paths import is_table
    from gancli.zoo import catalogue

    facts = DATASETS.get(data)
    if is_table(data):
        return "points-gan"
    if facts and facts.model:
        return facts.model
    if not shape and facts:
        shape = facts.channels, *facts.size
    return catalogue.default_model(*shape) if shape else ""


def new(
    data: str,
    training: Mapping[str, Any],
    assignments: Sequence[Assignment],
    model: str | Mapping[str, Any],
    parts: Collection[str] = (),
) -> Recipe:
    """A new recipe, unresolved.

    Args:
        data: a data set's name, a path, or shards.
        training: values of the recipe's section ``training``.
        assignments: ``section.key=value``, or pairs of a key and its value.
        model: of the zoo, or a TOML file, or the tables of a recipe; empty for one that will be chosen by the shape of
            the images, so that options of networks are not checked yet.
        parts: those of :data:`gancli.recipe.PARTS` that hold for the data.
    """
    from gancli import recipe
    from gancli.zoo import catalogue

    own = catalogue.recipe_table(model or "quick") if isinstance(model, str) else model
    table = recipe.for_data(own, _absolute(data), parts)
    if table["data"].get("source") and _has_domains(data):
        table = recipe.merge(table, {"data": {"source": "domains"}})
    section = recipe.override({"training": training}, assignments).get("training")
    if isinstance(section, Mapping) and {"budget", "rounds"} & section.keys():
        # A file may have its budget in rounds already.
        table = recipe.merge(table, {"training": {"rounds": None, "earlier_plans": []}})
    table = _assigned(recipe.merge(table, {"training": training}), assignments)
    return recipe.parse(table, components=bool(model))


def stored(
    folder: Path,
    data: str | None,
    model: str | None,
    training: Mapping[str, Any],
    assignments: Sequence[Assignment],
) -> Recipe:
    """The recipe of a run that is resumed, with the new place of its data if they were moved.

    Raises:
        UsageError: something else is asked for, or there are no data at their place.
    """
    from gancli import recipe
    from gancli.data.loading import exists
    from gancli.hub.names import is_hub
    from gancli.runs.state import stored_recipe

    then = stored_recipe(folder).to_dict()
    asked = {
        "training": {key: value for key, value in training.items() if value != "auto"},
        "data": {"name": _absolute(data)} if data is not None else {},
        **({"model": model} if model is not None and not model.endswith(".toml") and not is_hub(model) else {}),
    }
    now = recipe.parse(_assigned(recipe.merge(then, asked), assignments))
    # The fingerprint of data at another place decides whether they are the same.
    paths = {key: command for key, command in NEW_PATH.items() if _is_path(then["data"][key])}
    if changed := [
        each for each in recipe.differences(then, now.to_dict()) if each[0].removeprefix("data.") not in paths
    ]:
        path, old, new = changed[0]
        raise UsageError(
            f"{folder} was trained with {path} = {old!r}, not {new!r}",
            f"for more training, `gancli train --resume {shlex.quote(str(folder))} --minutes 5`; otherwise leave that "
            "out, or start a new run with another `out`"
            if path == "training.budget"
            else "leave that out to resume the run, or start a new run with another `out`",
        )
    for key, command in paths.items():
        path = getattr(now.data, key)
        if not exists(path):
            raise UsageError(
                f"{path} is not there, and {folder} is trained on it",
                f"if it was moved, name its new path: {command.format(run=shlex.quote(str(folder)))}",
            )
    return now


def _is_path(data: str) -> bool:
    """Whether it is an address or an absolute path, of this machine or another one, and not a name."""
    from gancli.data.shards.names import is_remote

    return is_remote(data) or PurePosixPath(data).is_absolute() or PureWindowsPath(data).is_absolute()


def restarted() -> bool:
    """Whether this is a process that was started again after another one of the same training died."""
    return bool(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")))


def folder_to_resume(resume: str | None, out: Path | None) -> Path | None:
    """The run to resume: the one named, the newest unfinished, or the one that ``out`` already holds.

    A process that ``torchrun`` started again, and that was told no folder, resumes the newest unfinished run.
    """
    from gancli.zoo import catalogue

    if resume and out is not None and Path(resume) != out:
        raise UsageError(f"`resume={resume}` and `out={out}` are two runs", "give one of them")
    if resume is not None:
        return catalogue.run_named(resume) if resume else out or catalogue.newest_run(unfinished=True)
    if out is not None:
        return out if (out / catalogue.STATE_FILE).is_file() else None
    if restarted():
        with suppress(UsageError):  # the process died before there was a run
            return catalogue.newest_run(unfinished=True)
    return None


def new_folder(model: str, data: str) -> Path:
    """A run folder of its own under ``runs/``, as ``TIME-MODEL-DATA``."""
    from gancli.zoo import catalogue

    folder = catalogue.RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{model}-{stem(data)}"
    names = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))
    return folder if not folder.exists() else next(name for name in names if not name.exists())


def stem(data: str) -> str:
    """What data is called in the names of folders."""
    from gancli.hub.names import is_hub, title

    name = title(data) if is_hub(data) else Path(data).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "data"


def evaluation_settings(
    folder: Path | None, every: float | None, best_by: str | None, images: int | None, data_dir: Path | None
) -> Settings | None:
    """How to evaluate during training; for a run that is resumed, what is not asked for stays as it was."""
    from gancli.runs.periodic_evaluation import Settings, stored_settings

    before = stored_settings(folder) if folder else None
    if before is None and every is None:
        if best_by is None and images is None:
            return None
        name = "best_by" if best_by is not None else "evaluate_images"
        raise UsageError(f"`{name}` needs evaluations during training", "add `evaluate_every=100`")
    if every == 0:
        return None
    options = {"every": every, "best_by": best_by, "images": images, "data_dir": data_dir}
    asked = {name: value for name, value in options.items() if value is not None}
    return dataclasses.replace(before or Settings(every or 1), **asked)


def _absolute(data: str) -> str:
    """A data set's name as it is, the Hub's with its commit; a path as an absolute one, so that a run can be resumed
    from any folder."""
    from gancli.data import DATASETS
    from gancli.data.hub.fetching import pinned
    from gancli.data.shards.names import absolute, is_sharded
    from gancli.hub.names import is_hub

    if data in DATASETS:
        return data
    if is_hub(data):
        return pinned(data)
    if is_sharded(data):
        return absolute(data)
    return str(Path(data).resolve()) if Path(data).exists() else data


def _has_domains(data: str) -> bool:
    """Whether a folder or zip holds the two domains of a translation."""
    from gancli.data import DATASETS
    from gancli.data.folder import layout
    from gancli.data.folder.files import open_source
    from gancli.data.hub.fetching import path_of

    try:
        return data not in DATASETS and layout.has_domains(open_source(path_of(data)))
    except (UsageError, OSError):  # no such folder, or shards: told by what reads it
        return False


def _assigned(table: dict[str, Any], assignments: Sequence[Assignment]) -> dict[str, Any]:
    """The tables with values assigned, and with the path of a second folder made absolute."""
    from gancli import recipe

    plugins.trust(recipe.override({}, assignments))  # to type the name of a plug-in is to allow it
    table = recipe.override(table, assignments)
    data = table.get("data")
    if not isinstance(data, dict) or not isinstance(source := data.get("source"), str):
        return table
    from gancli.data.pairs.sources import absolute

    return {**table, "data": {**data, "source": absolute(source)}}
