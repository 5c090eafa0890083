"""Tables laid over recipes: variants for data sets and ``--set`` assignments."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gancli.errors import UsageError
from gancli.recipe import validation_errors as words

SMALL, MANY = 32, 50_000
"""Pixels a side up to which images are small, and training images from which there are many."""

PARTS = ("labelled", "small", "many")
"""Tables of a recipe that are laid over it in this order: for data with classes that the model is to be told, for small
images, for many of them."""


def parts_for(labelled: bool, shape: Sequence[int], images: int) -> tuple[str, ...]:
    """Which of :data:`PARTS` hold for data.

    Args:
        labelled: whether the data has classes that the model is to be told.
        shape: (C, H, W) of the images; empty where it is not known yet.
        images: how many there are to train on.
    """
    hold = {"labelled": labelled, "small": len(shape) == 3 and max(shape[1:]) <= SMALL, "many": images >= MANY}
    return tuple(part for part in PARTS if hold[part])


def for_data(table: Mapping[str, Any], data: str, parts: Collection[str] = ()) -> dict[str, Any]:
    """A recipe's tables for one data set.

    Args:
        table: with, if any, those of :data:`PARTS` and ``[datasets.NAME]``, which are laid over the rest.
        data: the data set's name.
        parts: those of :data:`PARTS` that hold.

    Raises:
        UsageError: there is something else where a table belongs.
    """
    own = {key: value for key, value in table.items() if key not in ("datasets", *PARTS)}
    over = {part: _tables(part, table.get(part, {})) for part in PARTS}
    variants = _tables("datasets", table.get("datasets", {}))
    variant = _tables(f"datasets.{words.dotted([data])}", variants.get(data, {}))
    for part in (own, *over.values(), variant):
        for section in ("data", "training"):  # the command line lays its own over these
            _tables(section, part.get(section, {}))
    for part, table in over.items():
        own = merge(own, table) if part in parts else own
    return merge(merge(own, variant), {"data": {"name": data}})


def _tables(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        words.raise_all([words.not_a_table(where, value)])
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables, ``over`` winning; its ``none`` leaves a table out."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if value == "none" and isinstance(old, Mapping):
            del merged[key]
            continue
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


Assignment = str | tuple[str, Any]
"""``section.key=value`` in one text, with the value as TOML; or ``section.key`` and its value."""


def override(table: Mapping[str, Any], assignments: Sequence[Assignment]) -> dict[str, Any]:
    """Tables with assignments applied.

    A value in a text is TOML, or else a plain string. A table is laid over the one that is there, and ``none``, or None
    as a value, leaves it out.

    Raises:
        UsageError: an assignment without ``=`` or without a key, one that is nested too deeply, or one that would
            change nothing.
    """
    merged = dict(table)
    for assignment in assignments:
        keys, leaf = parsed(assignment)
        merged = _assigned(merged, keys, leaf)
    return merged


def parsed(assignment: Assignment) -> tuple[list[str], Any]:
    """The keys and the value of an assignment.

    Raises:
        UsageError: it is none, or it is nested too deeply.
    """
    text = assignment if isinstance(assignment, str) else f"{assignment[0]}={assignment[1]!r}"
    path, equals, value = text.partition("=") if isinstance(assignment, str) else (assignment[0], "=", assignment[1])
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise UsageError(f"an assignment is KEY=VALUE, not {words.shown(text)}", "as in `optimizer.generator.lr=2e-4`")
    if len(keys) > words.DEEPEST:
        raise UsageError(
            f"{words.shown(text)}: a key has at most {words.DEEPEST} parts, not {len(keys)}",
            "as in `optimizer.generator.lr=2e-4`",
        )
    return keys, _value(value) if isinstance(assignment, str) else "none" if value is None else value


def _assigned(table: Mapping[str, Any], keys: Sequence[str], leaf: Any, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """A table with one assignment applied; ``above`` are the keys that lead to the table."""
    key, *rest = keys
    old = table.get(key)
    inner, path = old if isinstance(old, Mapping) else {}, (*above, key)
    if rest:
        return {**table, key: _assigned(inner, rest, leaf, path)}
    if leaf == "none" and isinstance(old, Mapping):
        return {name: value for name, value in table.items() if name != key}
    if leaf == {} and inner:
        where = words.dotted(path)
        raise UsageError(
            f"{where} = {{}} changes nothing: a table is laid over the one that is there, which has {', '.join(inner)}",
            f"to leave it out, `{where}=none`; to leave out one entry, `{where}.{next(iter(inner))}=none`",
        )
    if inner and isinstance(leaf, Mapping):
        for name, value in leaf.items():
            inner = _assigned(inner, [name], value, path)
        return {**table, key: inner}
    return {**table, key: leaf}


def _value(text: str) -> Any:
    """TOML, or else the text itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except RecursionError:
        raise UsageError(f"{words.shown(text)} nests its lists too deeply", "write fewer brackets") from None
    except ValueError:  # not TOML, or a number of thousands of digits
        return text
    return parsed["value"] if len(parsed) == 1 else text


def differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where two documents differ: (dotted path, old value, new value), None for an absent one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        parts = [differences(old.get(k), new.get(k), f"{path}.{k}" if path else str(k)) for k in keys]
        return [found for part in parts for found in part]
    return [] if old == new else [(path, old, new)]
