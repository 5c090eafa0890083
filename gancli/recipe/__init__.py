"""Recipes: everything that decides what a training does, as one typed, frozen document in TOML.

A recipe names an architecture, an objective, data and optimizers. Sections that configure a component
(``networks.*``, ``objective``, ``optimizer.*``) take the component's own options beside its name; those are checked
against the signature of the code behind the name. All faults are reported at once, each with its path and value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gancli import registry
from gancli.errors import UsageError
from gancli.files import refuse_special
from gancli.recipe import validation_errors as words
from gancli.recipe.migration import FORMAT, migrate

DESCRIPTIVE = ("summary", "paper", "teaches", "limits")
"""What a recipe says of itself; it decides nothing."""

UNITS = ("minutes", "epochs", "kimg", "rounds")
Side = Annotated[int, Field(ge=1, le=4096)]


Part = Annotated[str, words.matching("[a-z][a-z0-9_]{0,63}", "small letters, digits and _, a letter first, at most 64")]
"""The name of a network or of a player; it becomes part of file names and of tensor names."""

Model = Annotated[
    str,
    words.matching("[a-z0-9][a-z0-9._-]{0,63}", "small letters, digits and . _ -, no sign first, at most 64"),
]
"""What a model is called; it becomes part of folder names."""

Budget = Annotated[
    str,
    words.matching(
        rf"(?=[0-9.]*[1-9])[0-9]{{1,12}}(\.[0-9]{{1,12}})? ({'|'.join(UNITS)})",
        f"a number above 0 and one of {', '.join(UNITS)}, as in '5 minutes'",
    ),
]
FileName = Annotated[
    str,
    words.matching(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,4096}", "a name without line breaks and control characters"),
]


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

    name: FileName = Field("", description="a data set's name, the path of a folder or zip of images, or shards")
    size: tuple[Side, Side] | None = Field(None, description="(height, width) in pixels; the data's own if absent")
    channels: Annotated[Literal[1, 3], BeforeValidator(words.whole)] | None = Field(
        None, description="1 grey, 3 colour; the data's own if absent"
    )
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how an image of another shape is fitted")
    background: str = Field("white", description="what transparent pixels and padding show")
    mirror: bool = Field(False, description="show every image mirrored half of the time")
    only_class: FileName | None = Field(None, description="train on one class alone: its name or number")
    source: FileName = Field("", description="what images are made from: a degradation, a style, or a second folder")
    paired: bool = Field(True, description="whether a source and the image of its number belong together")


class Latent(_Table):
    """What the generator takes."""

    dim: Annotated[int, Field(ge=1, le=65536)] = Field(100, description="number of latent values")
    distribution: Literal["normal", "uniform"] = Field("normal", description="N(0, 1), or uniform on [-1, 1]")
    classes: Annotated[int, Field(ge=0, le=65536)] | Literal["data"] = Field(
        0, description="classes that the generator is told; 'data' for as many as the data has"
    )
    shares: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(max_length=65536)] | None = Field(
        None, description="how often each class is drawn; as in the data where it says how many there are, else evenly"
    )
    codes: Annotated[int, Field(ge=0, le=4096)] = Field(0, description="continuous codes, uniform on [-1, 1]")


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
    clip_value: Annotated[float, Field(gt=0)] | None = Field(None, description="every gradient value is clipped to it")
    decay: Annotated[float, Field(ge=0)] = Field(0.0, description="after t steps the rate is lr / (1 + decay t)")


class Ema(_Table):
    """The running average of the generator's weights, which is what gets published."""

    kimg: Annotated[float, Field(gt=0)] = Field(10.0, description="half-life in thousands of images")
    rampup: Annotated[float, Field(ge=0)] = Field(
        0.05, description="the half-life is at most this share of the images seen so far; 0 for no such limit"
    )


class Training(_Table):
    """How long, how fast, from which seed."""

    batch: Annotated[int, Field(ge=2, le=65536)] = Field(128, description="images a step")
    budget: Budget = Field("5 minutes", description="how long: a number of minutes, epochs, kimg or rounds")
    rounds: Annotated[int, Field(ge=1)] | None = Field(None, description="the budget in rounds, set before round one")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="decides weights, order and noise")
    precision: Literal["auto", "fp32", "tf32", "bf16"] = Field("auto", description="arithmetic of the networks")
    rate_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of the budget, at its end, over which rates fall linearly to zero"
    )
    ema: Ema | None = Field(None, description="absent: the plain generator is published")
    accumulate: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="parts that a batch is worked on in, one after the other, to need less memory"
    )
    deterministic: bool = Field(False, description="PyTorch's deterministic kernels, which a GPU needs for equal bytes")
    cuda_graphs: bool = Field(False, description="on an NVIDIA GPU, rounds are recorded once and played back")
    share_norm: bool = Field(True, description="batch norm over all processes of a training, not each by itself")
    samples: Annotated[int, Field(ge=1, le=1024)] = Field(64, description="images in a sample grid")
    columns: Annotated[int, Field(ge=1, le=1024)] | None = Field(None, description="its columns; a square if absent")
    on_collapse: Literal["warn", "stop", "rollback"] = Field(
        "warn", description="when the watch finds a failure: say so, stop, or go back with halved rates"
    )


class Recipe(_Table):
    """The whole document; see the field descriptions of its sections."""

    format: Annotated[Literal[2], BeforeValidator(words.whole)] = FORMAT
    model: Model = Field(description="what the field calls it")
    summary: str = ""
    paper: str = ""
    teaches: str = ""
    limits: str = ""
    data: Data = Data()
    latent: Latent = Latent()
    networks: Annotated[dict[Part, Network], Field(max_length=16)]
    objective: Objective
    optimizer: Annotated[dict[Part, Optimizer], Field(max_length=16)]
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
    words.refuse(list(words.unwritable(table)))
    table = migrate(table)
    if type(newer := table.get("format")) is int and newer > FORMAT:
        raise UsageError(
            f"the recipe has the format {newer}, and this version of gancli reads {FORMAT}", "bring gancli up to date"
        )
    faults: list[str] = []
    try:
        registry.validate(Recipe, table)
    except ValidationError as error:
        faults += words.of(error, Recipe)
    table = dict(table)
    if components:
        table, found = _with_components(table)
        faults += found
    words.refuse(faults)
    return registry.validate(Recipe, table)


def _with_components(table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Every component's section with its defaults written out, and the faults found on the way.

    A component may have a static method ``faults(options, table)`` that yields further faults, each as
    ``path = value: what is wrong``. ``options`` are those of its options that are right by themselves (all of them,
    defaults included, when none is wrong), ``table`` is the whole recipe, of which nothing is certain.
    """
    faults: list[str] = []
    table = dict(table)
    for path, section, (kind, key), known in _components(table):
        where = words.dotted(path)
        try:
            code = registry.get(kind, section[key])
        except UsageError as error:
            faults.append(f"{where}.{key} = {words.shown(section[key])}: {error.message}; {error.hint}")
            continue
        if kind == "architecture":
            role = section.get("role") or path[-1]
            if not isinstance(role, str):
                continue
            if role not in code:
                faults.append(f"{where}.role = {words.shown(role)}: '{section[key]}' has {', '.join(sorted(code))}")
                continue
            code = code[role]
        schema = registry.options(code)
        given = {name: value for name, value in section.items() if name not in known}
        try:
            right = registry.validate(schema, given).model_dump(mode="json", exclude_none=True)
            section |= right
        except ValidationError as error:
            faults += words.of(error, schema, path, known)
            wrong = {fault["loc"][0] for fault in error.errors() if fault["loc"]}
            right = {name: value for name, value in given.items() if name not in wrong}
        if check := getattr(code, "faults", None):
            faults += check(right, table)
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


_WHOLE = "look at zoo/quick/recipe.toml for a whole recipe"


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked.

    Raises:
        UsageError: not readable, or not TOML.
    """
    refuse_special(path)
    try:
        if path.stat().st_size > 1 << 20:
            raise UsageError(f"{path} is larger than a recipe can be", "name a recipe's TOML file")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UsageError(f"{path} nests its lists too deeply", _WHOLE) from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise UsageError(f"{path} is not TOML: {error}", _WHOLE) from error
    words.refuse(list(words.unwritable(table)))
    return table


def for_data(table: Mapping[str, Any], data: str, labelled: bool = False) -> dict[str, Any]:
    """A recipe's tables for one data set.

    Args:
        table: with, if any, ``[labelled]`` for data with classes, and ``[datasets.NAME]``; both are laid over the rest.
        data: the data set's name.
        labelled: whether the data has classes that the model is to be told.

    Raises:
        UsageError: there is something else where a table belongs.
    """
    own = {key: value for key, value in table.items() if key not in ("datasets", "labelled")}
    told = _tables("labelled", table.get("labelled", {}))
    variants = _tables("datasets", table.get("datasets", {}))
    variant = _tables(f"datasets.{words.dotted([data])}", variants.get(data, {}))
    for part in (own, told, variant):
        for section in ("data", "training"):  # the command line lays its own over these
            _tables(section, part.get(section, {}))
    own = merge(own, told) if labelled else own
    return merge(merge(own, variant), {"data": {"name": data}})


def _tables(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        words.refuse([words.not_a_table(where, value)])
    return value


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
        UsageError: an assignment without ``=`` or without a key, or one that is nested too deeply.
    """
    merged = dict(table)
    for text in assignments:
        path, equals, value = text.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            raise UsageError(
                f"--set takes KEY=VALUE, not {words.shown(text)}", "as in --set optimizer.generator.lr=2e-4"
            )
        if len(keys) > words.DEEPEST:
            raise UsageError(
                f"--set {words.shown(text)}: a key has at most {words.DEEPEST} parts, not {len(keys)}",
                "as in --set optimizer.generator.lr=2e-4",
            )
        leaf = _value(value)
        tree: dict[str, Any] = {keys[-1]: leaf}
        for key in reversed(keys[:-1]):
            tree = {key: tree}
        merged = merge(merged, tree)
    return merged


def _value(text: str) -> Any:
    """TOML, or else the text itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except RecursionError:
        raise UsageError(f"--set: {words.shown(text)} nests its lists too deeply", "write fewer brackets") from None
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
