"""The recipe: everything that decides what a training does, as one typed, frozen document in TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from gancli import registry
from gancli.errors import UsageError
from gancli.files import refuse_special
from gancli.recipe import validation_errors as words
from gancli.recipe.migration import FORMAT, migrate
from gancli.recipe.sections import Data, Latent, Model, Network, Objective, Optimizer, Part, Table, Training
from gancli.recipe.validation import with_components

DESCRIPTIVE = ("summary", "paper", "teaches", "limits")
"""What a recipe says of itself; it decides nothing."""


class Recipe(Table):
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
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)

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
        UsageError: listing every error with its path, its value and the nearest known name.
    """
    words.raise_all(list(words.unwritable(table)))
    table = migrate(table)
    if type(newer := table.get("format")) is int and newer > FORMAT:
        raise UsageError(
            f"the recipe has the format {newer}, and this version of gancli reads {FORMAT}", "bring gancli up to date"
        )
    errors: list[str] = []
    try:
        registry.validate(Recipe, table)
    except ValidationError as error:
        errors += words.from_pydantic(error, Recipe)
    if components:
        table, found = with_components(table)
        errors += found
    words.raise_all(errors)
    return registry.validate(Recipe, table)


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
    words.raise_all(list(words.unwritable(table)))
    return table
