"""A sweep: every combination of some recipe values, each a run of its own. Never imports torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from gancli.errors import UsageError
from gancli.recipe.overrides import parsed
from gancli.recipe.validation_errors import shown

MOST = 256
"""Runs of a sweep at most."""

LONGEST = 160
"""Characters that tell the runs of a sweep apart, at most; file systems take 255 for a whole name."""

LONGEST_VALUE = 24
"""Characters of a value in a name."""

EXAMPLE = "as in `vary=optimizer.generator.lr=1e-4,2e-4`"


@dataclass(frozen=True)
class Variation:
    """A recipe value that is varied.

    Attributes:
        key: its path, such as ``optimizer.generator.lr``; ``model`` for whole recipes.
        values: as TOML, or as names.
    """

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Combination:
    """One of the runs.

    Attributes:
        name: as in ``lr=1e-4,seed=0``.
        values: by key.
    """

    name: str
    values: dict[str, str]

    @property
    def model(self) -> str | None:
        """The model, where that is varied."""
        return self.values.get("model")

    @property
    def assignments(self) -> list[str]:
        """Of the recipe, as ``section.key=value``."""
        return [f"{key}={value}" for key, value in self.values.items() if key != "model"]

    def folder(self, beginning: Path) -> Path:
        """The run folder."""
        return beginning.with_name(f"{beginning.name}-{self.name}")


def parse(text: str) -> Variation:
    """Read ``optimizer.generator.lr=1e-4,2e-4``; commas inside brackets and quotes separate no values.

    Raises:
        UsageError: no key, no value, or one that is there twice.
    """
    key, equals, rest = text.partition("=")
    key, values = ".".join(part.strip() for part in key.split(".")), _split(rest)
    if not equals or not key:
        raise UsageError(f"`vary={text}` has no value", EXAMPLE)
    if "" in values:
        raise UsageError(f"`vary={text}` has an empty value", EXAMPLE)
    seen: list[object] = []
    for value in values:
        _, meant = parsed(f"{key}={value}")
        if meant in seen:
            raise UsageError(f"`vary={text}` has the value {shown(meant)} twice", "name each value once")
        seen.append(meant)
    return Variation(key, tuple(values))


def _split(text: str) -> list[str]:
    """Values between commas."""
    parts, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        else:
            depth += (sign in "[{") - (sign in "]}")
        if sign == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def combinations(variations: Sequence[Variation]) -> list[Combination]:
    """All combinations, the last value changing fastest, with names that differ.

    Raises:
        UsageError: no variation, a key that is varied twice, too many runs, or names that are too long.
    """
    if not variations:
        raise UsageError("nothing is varied", f"add `vary`, {EXAMPLE}")
    keys = [variation.key for variation in variations]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise UsageError(f"{twice[0]} is varied twice", "name all of its values at once")
    runs = list(product(*(variation.values for variation in variations)))
    if len(runs) > MOST:
        raise UsageError(f"these are {len(runs):,} runs, and a sweep has at most {MOST}", "vary fewer values")
    short = _short(keys)
    found: list[Combination] = []
    for values in runs:
        name = ",".join(f"{short[key]}={_slug(value)}" for key, value in zip(keys, values, strict=True))
        if len(name) > LONGEST:
            raise UsageError(f"'{name}' is too long for the name of a folder", "vary fewer values at once")
        names = {combination.name for combination in found}
        numbered = (f"{name}-{number}" for number in range(2, MOST + 2))
        unique = name if name not in names else next(each for each in numbered if each not in names)
        found.append(Combination(unique, dict(zip(keys, values, strict=True))))
    return found


def _short(keys: Sequence[str]) -> dict[str, str]:
    """As many of each key's last parts as tell it from the others."""
    found = {}
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in keys if other != key]
        found[key] = next((end for end in ends if not any(f".{o}".endswith(f".{end}") for o in others)), key)
    return found


def _slug(value: str) -> str:
    """A value in the name of a folder."""
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", value)
    return (plain if plain == value else plain.strip("-"))[:LONGEST_VALUE] or "none"
