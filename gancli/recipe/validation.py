"""The options of a recipe's components against the signatures of the code behind their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from gancli import registry
from gancli.errors import UsageError
from gancli.recipe import validation_errors as words
from gancli.recipe.sections import Augment, Network, Objective, Optimizer, Regularization


class _Section(NamedTuple):
    """A component's section.

    Attributes:
        path: of the section.
        values: a copy that stands in the table already.
        kind: of the component.
        key: the key that names it; None where the section's own name does.
        schema: of the keys that are not the component's options.
    """

    path: tuple[str, ...]
    values: dict[str, Any]
    kind: str
    key: str | None
    schema: type[BaseModel]


def with_components(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Every component's section with its defaults written out, and the validation errors found.

    A component may have a static method ``validation_errors(options, table)`` that yields further errors, each as
    ``path = value: what is wrong``. ``options`` are those of its options that are valid by themselves (all of them,
    defaults included, when none is wrong); ``table`` is the whole recipe, of which nothing is certain.
    """
    errors: list[str] = []
    table = dict(table)
    for section in _sections(table):
        where = words.dotted(section.path)
        name = section.values[section.key] if section.key else section.path[-1]
        try:
            code = registry.get(section.kind, name)
        except UsageError as error:
            key = f".{section.key} = {words.shown(name)}" if section.key else ""
            errors.append(f"{where}{key}: {error.message}; {error.hint}")
            continue
        if section.kind == "architecture":
            role = section.values.get("role") or section.path[-1]
            if not isinstance(role, str):
                continue
            if role not in code:
                errors.append(f"{where}.role = {words.shown(role)}: '{name}' has {', '.join(sorted(code))}")
                continue
            code = code[role]
        valid, found = _options(section, code)
        errors += found
        if check := getattr(code, "validation_errors", None):
            errors += check(valid, table)
    return table, errors


def _options(section: _Section, code: Any) -> tuple[dict[str, Any], list[str]]:
    """A component's valid options, defaults included, which are written into its section; and the errors in others."""
    schema, known = registry.options(code), list(section.schema.model_fields)
    options = {name: value for name, value in section.values.items() if name not in known}
    try:
        valid = registry.validate(schema, options).model_dump(mode="json", exclude_none=True, by_alias=True)
    except ValidationError as error:
        wrong = {found["loc"][0] for found in error.errors() if found["loc"]}
        valid = {name: value for name, value in options.items() if name not in wrong}
        return valid, list(words.from_pydantic(error, schema, section.path, known))
    section.values.update(valid)
    return valid, []


def _sections(table: dict[str, Any]) -> Iterator[_Section]:
    """The sections of components, each after those within it."""
    yield from _parts(table, ("networks",), "architecture", "architecture", Network)
    yield from _parts(table, ("optimizer",), "optimizer", "name", Optimizer)
    if not isinstance(table.get("objective"), Mapping):
        return
    objective = table["objective"] = dict(table["objective"])
    yield from _parts(objective, ("objective", "regularizers"), "regularizer", None, Regularization)
    for name, section in (("augment", Augment), ("", Objective)):
        values = objective.get(name) if name else objective
        if isinstance(values, Mapping) and isinstance(values.get("name"), str):
            if name:
                values = objective[name] = dict(values)
            path = ("objective", name) if name else ("objective",)
            yield _Section(path, values, "augmentation" if name else "objective", "name", section)


def _parts(
    table: dict[str, Any], path: tuple[str, ...], kind: str, key: str | None, schema: type[BaseModel]
) -> Iterator[_Section]:
    """Sections of one kind, side by side in the table at the end of a path."""
    if not isinstance(table.get(path[-1]), Mapping):
        return
    parts = {name: dict(values) if isinstance(values, Mapping) else values for name, values in table[path[-1]].items()}
    table[path[-1]] = parts
    for name, values in parts.items():
        if isinstance(values, dict) and (key is None or isinstance(values.get(key), str)):
            yield _Section((*path, name), values, kind, key, schema)
