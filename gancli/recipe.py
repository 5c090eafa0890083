"""Recipes: everything that decides what a training does, as one typed, frozen document in TOML.

A recipe names an architecture, an objective, data and optimizers. Sections that configure a component
(``networks.*``, ``objective``, ``optimizer.*``) take the component's own options beside its name; those are checked
against the signature of the code behind the name. All faults are reported at once, each with its path and value.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gancli import registry
from gancli.errors import UsageError, nearest

FORMAT = 1
"""Version of the recipe's layout; a reader refuses a newer one."""

UNITS = ("minutes", "epochs", "kimg", "rounds")
Side = Annotated[int, Field(ge=1, le=4096)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Component(BaseModel):
    # The options of a component are known to the component alone: see `_component_faults`.
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options."""
        return dict(self.model_extra or {})


class Data(_Table):
    """Which images, and how they become tensors."""

    name: str = Field("", description="a data set's name, or the path of a folder or zip of images")
    size: tuple[Side, Side] | None = Field(None, description="(height, width) in pixels; the data's own if absent")
    channels: Literal[1, 3] | None = Field(None, description="1 grey, 3 colour; the data's own if absent")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how an image of another shape is fitted")
    background: str = Field("white", description="what transparent pixels and padding show")
    mirror: bool = Field(False, description="show every image mirrored half of the time")


class Latent(_Table):
    """What the generator takes."""

    dim: Annotated[int, Field(ge=1, le=65536)] = Field(100, description="number of latent values")
    distribution: Literal["normal", "uniform"] = Field("normal", description="N(0, 1), or uniform on [-1, 1]")


class Network(_Component):
    """One network: an architecture family, the role it plays there, and the family's options."""

    architecture: str = Field(description="the family")
    role: str | None = Field(None, description="the network of that family; its own name if absent")


class Objective(_Component):
    """Who plays against whom, by which loss and penalties."""

    name: str = Field(description="the objective")


class Optimizer(_Component):
    """One player's optimizer."""

    name: str = Field(description="the optimizer")
    lr: Annotated[float, Field(gt=0, le=10)] = Field(description="the rate")


class Ema(_Table):
    """The running average of the generator's weights, which is what gets published."""

    kimg: Annotated[float, Field(gt=0)] = Field(10.0, description="half-life in thousands of images")
    rampup: Annotated[float, Field(gt=0, le=1)] | None = Field(
        0.05, description="the half-life is at most this share of the images seen so far"
    )


class Training(_Table):
    """How long, how fast, from which seed."""

    batch: Annotated[int, Field(ge=2, le=65536)] = Field(128, description="images a step")
    budget: str = Field("5 minutes", description="how long: a number of minutes, epochs, kimg or rounds")
    rounds: Annotated[int, Field(ge=1)] | None = Field(None, description="the budget in rounds, set before round one")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="decides weights, order and noise")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic of the networks")
    rate_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of the budget, at its end, over which rates fall linearly to zero"
    )
    ema: Ema | None = Field(None, description="absent: the plain generator is published")
    samples: Annotated[int, Field(ge=1, le=1024)] = Field(64, description="images in a sample grid")


class Recipe(_Table):
    """The whole document; see the field descriptions of its sections."""

    format: Literal[1] = FORMAT
    model: str = Field(description="what the field calls it")
    summary: str = ""
    paper: str = ""
    data: Data = Data()
    latent: Latent = Latent()
    networks: dict[str, Network]
    objective: Objective
    optimizer: dict[str, Optimizer]
    training: Training = Training()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON and TOML types; absent values are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The document, every default written out."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    def with_values(self, **sections: Mapping[str, Any]) -> Recipe:
        """A copy with some values of some sections replaced, checked anew: ``recipe.with_values(data={"size": …})``."""
        table = self.to_dict()
        for section, values in sections.items():
            table[section] = {**table[section], **values}
        return parse(table)


def parse(table: Mapping[str, Any], *, components: bool = True) -> Recipe:
    """A recipe from plain tables.

    Args:
        table: as ``tomllib`` or ``json`` reads it.
        components: check also the options of networks, objective and optimizers and write out their defaults,
            which imports torch.

    Raises:
        UsageError: listing every fault with its path, its value and the nearest known name.
    """
    faults: list[str] = []
    recipe: Recipe | None = None
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        faults += _faults(error, Recipe, ())
    if recipe is not None and not re.fullmatch(r"\d+(\.\d+)? (minutes|epochs|kimg|rounds)", recipe.training.budget):
        faults.append(
            f"training.budget = {recipe.training.budget!r}: a number and one of {', '.join(UNITS)}, as in '5 minutes'"
        )
    table = dict(table)
    if components:
        table, found = _with_components(table)
        faults += found
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise UsageError(
            f"the recipe has {count}:\n" + "\n".join(f"  {fault}" for fault in faults),
            "`gancli train DATA --dry-run` prints a whole recipe; `--set section.key=value` changes it",
        )
    return Recipe.model_validate(table)


def _with_components(table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Every component's section with its defaults written out, and the faults found on the way."""
    faults: list[str] = []
    table = dict(table)
    for path, section, (kind, key), known in _components(table):
        try:
            code = registry.get(kind, section[key])
        except UsageError as error:
            faults.append(f"{'.'.join(path)}.{key} = {section[key]!r}: {error.message}; {error.hint}")
            continue
        if kind == "architecture":
            role = section.get("role") or path[-1]
            if not isinstance(role, str):
                continue
            if role not in code:
                faults.append(f"{'.'.join(path)}.role = {role!r}: '{section[key]}' has {', '.join(sorted(code))}")
                continue
            code = code[role]
        schema = registry.options(code)
        given = {name: value for name, value in section.items() if name not in known}
        try:
            resolved = schema.model_validate(given).model_dump(mode="json", exclude_none=True)
        except ValidationError as error:
            faults += _faults(error, schema, path, known)
            continue
        section |= resolved
    return table, faults


def _components(
    table: dict[str, Any],
) -> Iterator[tuple[tuple[str, ...], dict[str, Any], tuple[str, str], list[str]]]:
    """Path, section (a copy already placed in the table), kind and name key, and keys that are not options."""
    for name, kind, key, schema in (
        ("networks", "architecture", "architecture", Network),
        ("optimizer", "optimizer", "name", Optimizer),
    ):
        if isinstance(table.get(name), Mapping):
            table[name] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in table[name].items()}
            for part, section in table[name].items():
                if isinstance(section, dict) and isinstance(section.get(key), str):
                    yield (name, part), section, (kind, key), list(schema.model_fields)
    if isinstance(table.get("objective"), Mapping) and isinstance(table["objective"].get("name"), str):
        table["objective"] = dict(table["objective"])
        yield ("objective",), table["objective"], ("objective", "name"), list(Objective.model_fields)


def _faults(
    error: ValidationError, schema: type[BaseModel], prefix: tuple[str, ...], more: Sequence[str] = ()
) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        path = (*prefix, *(str(part) for part in fault["loc"]))
        where = ".".join(path)
        if fault["type"] == "extra_forbidden":
            known = [*_fields(schema, fault["loc"][:-1]), *more]
            yield f"{where} = {fault['input']!r}: unknown key, {nearest(path[-1], known)}"
        elif fault["type"] == "missing":
            yield f"{where}: missing"
        elif fault["type"] in ("model_type", "dict_type"):
            yield f"{where} = {fault['input']!r}: should be a table, as in {where}.KEY=VALUE"
        else:
            message = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            yield f"{where} = {fault['input']!r}: should be {message}"


def _fields(schema: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Known keys of the table at a path of a schema."""
    for part in path:
        field = schema.model_fields.get(str(part))
        if field is None:
            return []
        choices = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]
        if not inner:
            return []
        schema = inner[0]
    return list(schema.model_fields)


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked.

    Raises:
        UsageError: not readable, or not TOML.
    """
    try:
        if path.stat().st_size > 1 << 20:
            raise UsageError(f"{path} is larger than a recipe can be", "name a recipe's TOML file")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}", "look at zoo/quick/recipe.toml for a whole recipe") from error


def for_data(table: Mapping[str, Any], data: str) -> dict[str, Any]:
    """A recipe's tables for one data set: its ``[datasets.NAME]`` part, if any, laid over the rest."""
    own = {key: value for key, value in table.items() if key != "datasets"}
    merged = merge(own, table.get("datasets", {}).get(data, {}))
    return merge(merged, {"data": {"name": data}})


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables, ``over`` winning."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def override(table: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Tables with ``section.key=value`` assignments applied; a value is TOML, or else a plain string.

    Raises:
        UsageError: an assignment without ``=`` or without a key.
    """
    merged = dict(table)
    for text in assignments:
        path, equals, value = text.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            raise UsageError(f"--set takes KEY=VALUE, not '{text}'", "as in --set optimizer.generator.lr=2e-4")
        try:
            parsed = tomllib.loads(f"value = {value}")
            leaf = parsed["value"] if len(parsed) == 1 else value
        except tomllib.TOMLDecodeError:
            leaf = value
        tree: dict[str, Any] = {keys[-1]: leaf}
        for key in reversed(keys[:-1]):
            tree = {key: tree}
        merged = merge(merged, tree)
    return merged


def differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where two documents differ: (dotted path, old value, new value), None for an absent one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        parts = [differences(old.get(k), new.get(k), f"{path}.{k}" if path else str(k)) for k in keys]
        return [found for part in parts for found in part]
    return [] if old == new else [(path, old, new)]
