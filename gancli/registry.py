"""The registry: architectures, objectives, losses, regularizers, augmentations, metrics and optimizers by name.

An architecture or objective is a file of ``gancli/architectures/`` or ``gancli/objectives/`` without a leading
underscore; the other kinds are tables. Names are listed from file names, so that listing imports no torch; code is
imported on first use. Other packages and tests add theirs with :func:`add`, or offer them by entry points, which are
imported only where :mod:`gancli.plugins` allows it. A recipe names components, never modules to import.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from gancli.errors import GancliError, UsageError, nearest
from gancli.plugins import is_allowed, offered

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# Kinds whose members are files, and kinds whose members are entries of one table.
_FOLDERS = {"architecture": "architectures", "objective": "objectives"}
_TABLES = {
    "loss": ("gancli.terms.losses", "LOSSES"),
    "regularizer": ("gancli.terms.regularizers", "REGULARIZERS"),
    "augmentation": ("gancli.terms.augmentation", "AUGMENTATIONS"),
    "optimizer": ("gancli.training.optimizers", "OPTIMIZERS"),
    "metric": ("gancli.metrics", "METRICS"),
}
_added: dict[tuple[str, str], Any] = {}
Schema = TypeVar("Schema", bound=BaseModel)
Offered = TypeVar("Offered")


@cache
def _files(folder: str) -> tuple[str, ...]:
    paths = (Path(__file__).parent / folder).glob("*.py")
    stems = (path.stem for path in paths if not path.stem.startswith("_"))
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
    there = offered(kind)
    if name not in there:
        known = {*names(kind), *there}
        raise UsageError(f"no {kind} is called {name[:64]!r}", nearest(name[:64], known))
    entry = there[name]
    if not is_allowed(name):
        raise UsageError(
            f"the {kind} {name!r} is code of another package, {_package(entry)}, which no file starts by naming it",
            f"if you trust that package, add `allow_plugin={name}`",
        )
    return _loaded(kind, entry, _is_code)


def _is_code(found: Any) -> bool:
    parts = list(found.values()) if isinstance(found, Mapping) else [found]
    return bool(parts) and all(map(callable, parts))


def add(kind: str, name: str, code: Any) -> None:
    """Register code of another package under a new name.

    Args:
        kind: ``architecture`` (a dict from role to network class), ``objective``, ``loss``, ``regularizer``,
            ``augmentation`` or ``optimizer``.
        name: the name that recipes use.
        code: what :func:`get` returns for it.

    Raises:
        GancliError: the name is taken.
    """
    if name in names(kind):
        raise GancliError(f"the {kind} '{name}' exists already", "choose another name")
    _added[kind, name] = code


def plugin(kind: str, name: str, of: type[Offered]) -> Offered:
    """What another package offers under a name that a person typed, imported now.

    Args:
        kind: such as ``extractor``.
        name: one that :func:`gancli.plugins.offered` lists.
        of: what it must be, with the name in its attribute ``name``.

    Raises:
        GancliError: it cannot be imported, or is something else.
    """

    def is_named_so(found: Any) -> bool:
        return isinstance(found, of) and getattr(found, "name", None) == name

    return _loaded(kind, offered(kind)[name], is_named_so)


def _loaded(kind: str, entry: EntryPoint, is_one: Callable[[Any], bool]) -> Any:
    hint = f"install another version of {_package(entry)}, or none"
    try:
        found = entry.load()
    except Exception as error:
        message = f"the {kind} '{entry.name}' of {_package(entry)} cannot be imported: {error}"
        raise GancliError(message, hint) from error
    if not is_one(found):
        raise GancliError(f"the {kind} '{entry.name}' of {_package(entry)} is none: {entry.value}", hint)
    return found


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


@cache
def options(code: Callable[..., Any]) -> type[BaseModel]:
    """The options that a component takes, as a pydantic model: its keyword-only parameters with types and defaults.

    :func:`validate` holds a recipe's values against it. A command asks dozens of times, and a model takes milliseconds.
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
