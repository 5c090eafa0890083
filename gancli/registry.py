"""Names to code: which architectures, objectives, losses, penalties and optimizers there are.

A family is a file of ``gancli/architectures/`` or ``gancli/objectives/``: to add one, add the file. Names are listed
from the file names, so that listing imports no torch; code is imported when it is asked for. Other packages and tests
add theirs with :func:`add`, or offer them by entry points, which are imported when they are named by somebody who may:
see :mod:`gancli.plugins`. Nothing that a file says can name a module to import: names are looked up, never imported.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from gancli.errors import GancliError, UsageError, nearest
from gancli.plugins import KINDS, is_allowed, offered

# Kinds whose members are files, and kinds whose members are entries of one table.
_FOLDERS = {"architecture": "architectures", "objective": "objectives"}
_TABLES = {
    "loss": ("gancli.objectives.base", "LOSSES"),
    "term": ("gancli.objectives.base", "TERMS"),
    "optimizer": ("gancli.training.optimizers", "OPTIMIZERS"),
    "metric": ("gancli.metrics", "METRICS"),
}
_added: dict[tuple[str, str], Any] = {}
Schema = TypeVar("Schema", bound=BaseModel)
Offered = TypeVar("Offered")


@cache
def _files(folder: str) -> tuple[str, ...]:
    paths = (Path(__file__).parent / folder).glob("*.py")
    stems = (path.stem for path in paths if not path.stem.startswith("_") and path.stem != "base")
    return tuple(sorted(stem.replace("_", "-") for stem in stems))


def _table(kind: str) -> dict[str, Any]:
    module, table = _TABLES[kind]
    return getattr(import_module(module), table)


def names(kind: str) -> list[str]:
    """All registered names of a kind; architectures and objectives without importing torch."""
    own = _files(_FOLDERS[kind]) if kind in _FOLDERS else _table(kind)
    return sorted({*own, *(name for of, name in _added if of == kind)})


def get(kind: str, name: str) -> Any:
    """The code behind a name: a table of networks for an architecture, else a class or function.

    Raises:
        UsageError: no such name, the hint is the nearest one; or a plug-in that nobody has allowed.
        GancliError: a plug-in that cannot be imported, or is something else.
    """
    if (kind, name) in _added:
        return _added[kind, name]
    if name not in names(kind):
        return _of_plugin(kind, name)
    if kind in _FOLDERS:
        module = import_module(f"gancli.{_FOLDERS[kind]}.{name.replace('-', '_')}")
        return module.NETWORKS if kind == "architecture" else module.OBJECTIVE
    return _table(kind)[name]


def _of_plugin(kind: str, name: str) -> Any:
    """What another package offers under a name that is none of ours."""
    there = plugins(kind)
    if name not in there:
        known = {*names(kind), *there}
        raise UsageError(f"no {kind} is called {name[:64]!r}", nearest(name[:64], known))
    entry = there[name]
    if not is_allowed(name):
        raise UsageError(
            f"the {kind} {name!r} is code of another package, {_package(entry)}, which no file starts by naming it",
            f"if you trust that package, add --allow-plugin {name}",
        )
    found = _imported(kind, entry)
    parts = list(found.values()) if kind == "architecture" and isinstance(found, Mapping) else [found]
    if not parts or not all(map(callable, parts)):
        raise GancliError(f"the {kind} '{name}' of {_package(entry)} is none: {entry.value}", _other(entry))
    return found


def add(kind: str, name: str, code: Any) -> None:
    """Register code of another package under a new name.

    Args:
        kind: ``architecture`` (a dict from role to network class), ``objective``, ``loss``, ``term`` or ``optimizer``.
        name: the name that recipes use.
        code: what :func:`get` returns for it.

    Raises:
        GancliError: the name is taken.
    """
    if name in names(kind):
        raise GancliError(f"the {kind} '{name}' exists already", "choose another name")
    _added[kind, name] = code


def plugins(kind: str) -> dict[str, EntryPoint]:
    """What other packages offer of a kind, by name, without importing any of it; nothing of kinds that cannot be."""
    return offered(kind) if kind in KINDS else {}


def plugin(kind: str, name: str, of: type[Offered]) -> Offered:
    """What another package offers under a name that a person typed, imported now.

    Args:
        kind: such as ``extractor``.
        name: one of :func:`plugins`.
        of: what it must be, with the name in its attribute ``name``.

    Raises:
        GancliError: it cannot be imported, or is something else.
    """
    entry = plugins(kind)[name]
    found = _imported(kind, entry)
    if not isinstance(found, of) or getattr(found, "name", None) != name:
        raise GancliError(
            f"the {kind} '{name}' of {_package(entry)} is no {of.__name__} of that name: {entry.value}", _other(entry)
        )
    return found


def _imported(kind: str, entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:
        raise GancliError(
            f"the {kind} '{entry.name}' of {_package(entry)} cannot be imported: {error}", _other(entry)
        ) from error


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def _other(entry: EntryPoint) -> str:
    return f"install another version of {_package(entry)}, or none"


def options(code: Callable[..., Any]) -> type[BaseModel]:
    """The options that a component takes, as a pydantic model: its keyword-only parameters with types and defaults.

    :func:`validate` holds a recipe's values against it.
    """
    fields: dict[str, Any] = {}
    for parameter in _keywords(code):
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True, allow_inf_nan=False)
    return create_model(getattr(code, "__name__", "Options"), __config__=config, **fields)


def _keywords(code: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """Keyword-only parameters; a class that hands ``**options`` to the class it extends takes those of that one too."""
    for parameter in inspect.signature(code, eval_str=True).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield parameter
        elif parameter.kind is parameter.VAR_KEYWORD and isinstance(code, type):
            yield from _keywords(code.__mro__[1])


def validate(schema: type[Schema], values: Mapping[str, Any]) -> Schema:
    """Values as a schema wants them, by the rules of JSON: a list serves as a tuple and a whole number as a float, but
    ``true`` and ``1.0`` are no whole numbers and ``"5"`` is no number.

    Raises:
        pydantic.ValidationError: with all faults.
    """
    return schema.model_validate_json(json.dumps(values), strict=True)
