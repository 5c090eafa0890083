"""Classes and codes for a conditional generator, as users type them. No torch is imported here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from gancli.data.selection import class_hint, class_number
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.latents import Inputs, LatentSpec, Seeds

COLUMNS = 10
"""Images in a row of a picture with a row for each class, and values of a sweep, unless the user says otherwise."""

_NUMBER = r"[+-]?[0-9]{0,6}(?:\.(?=[0-9]))?[0-9]{1,9}"
_CODE = re.compile(rf"\s*([0-9]{{1,4}})\s*=\s*({_NUMBER})\s*(?:\.\.\s*({_NUMBER})\s*)?")
_EXAMPLE = "as in `codes=0=1.5`, or `codes=0=-2..2` for a sweep"


@dataclass(frozen=True)
class Code:
    """A fixed value of a code, or a sweep from one value to another.

    Attributes:
        number: which code, from 0.
        first: the value.
        last: the other end of a sweep; None for a fixed value.
    """

    number: int
    first: float
    last: float | None = None

    def values(self, count: int) -> list[float]:
        """``count`` values of a sweep, evenly spaced, both ends included; the one value where nothing sweeps."""
        if self.last is None or count < 2:
            return [self.first]
        return [self.first + (self.last - self.first) * step / (count - 1) for step in range(count)]


def parse_codes(texts: Sequence[str]) -> tuple[Code, ...]:
    """Read ``0=1.5`` and ``0=-2..2``.

    Raises:
        UsageError: another form, a code named twice, or two sweeps.
    """
    codes = tuple(_code(text) for text in texts)
    number, times = Counter(code.number for code in codes).most_common(1)[0] if codes else (0, 0)
    if times > 1:
        raise UsageError(f"code {number} is given twice", "give every code once")
    sweeps = [code.number for code in codes if code.last is not None]
    if len(sweeps) > 1:
        raise UsageError(
            f"the codes {sweeps[0]} and {sweeps[1]} both sweep", f"fix one of them, as in `codes={sweeps[1]}=0`"
        )
    return codes


def _code(text: str) -> Code:
    found = _CODE.fullmatch(text)
    if not found:
        raise UsageError(f"`codes` '{text[:40]}' is not NUMBER=VALUE or NUMBER=FIRST..LAST", _EXAMPLE)
    return Code(int(found[1]), *(float(end) for end in found.groups()[1:] if end is not None))


def check_codes(codes: Sequence[Code], model: str, count: int) -> None:
    """Hold codes against the number of codes that a model takes.

    Raises:
        UsageError: it takes none, or not so many.
    """
    for code in codes:
        if code.number >= count:
            hint = (
                f"its codes go from 0 to {count - 1}" if count else "it takes none; infogan/mnist is a model with codes"
            )
            raise UsageError(f"'{model}' has no code {code.number}", hint)


def parse_classes(text: str, names: Sequence[str], model: str) -> tuple[int, ...]:
    """Read ``7``, ``3,7``, ``0-4``, ``cat,dog`` or ``all``: names and numbers of a model's classes.

    Args:
        text: what the user typed.
        names: the model's classes; () for a model that takes none.
        model: its name, for messages.

    Raises:
        UsageError: a model without classes, or an unknown class.
    """
    if not names:
        raise UsageError(f"'{model}' takes no classes", "leave out `classes`; cgan/mnist is a model with classes")
    if text.strip().casefold() == "all" and "all" not in names:
        return tuple(range(len(names)))
    if (whole := class_number(text, names)) is not None:  # a name may have commas
        return (whole,)
    numbers: list[int] = []
    for part in (part.strip() for part in text.split(",")):
        found = re.fullmatch(r"([0-9]{1,6})\s*-\s*([0-9]{1,6})", part) if part not in names else None
        first, last = (_class(end, names, model) for end in (found.groups() if found else (part, part)))
        if last < first:
            raise UsageError(f"`classes` '{part}' runs backwards", f"write it as {last}-{first}")
        numbers += range(first, last + 1)
    return tuple(numbers)


def _class(text: str, names: Sequence[str], model: str) -> int:
    number = class_number(text, names)
    if number is None:
        raise UsageError(f"'{model}' has no class '{text[:40]}'", class_hint(text, names))
    return number


def folder_name(name: str) -> str:
    """A class's name as the name of a folder: what a file system would take for something else becomes a hyphen."""
    return re.sub(r"[/\\:*?\"<>|\x00-\x1f]+", "-", name).strip(" .") or "class"


def folder_names(names: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """A folder for each of these classes; the number tells those apart that a file system may take for one."""
    found = [folder_name(name) for name in names]
    alike = Counter(name.casefold() for name in found)
    return [found[n] if alike[found[n].casefold()] == 1 else f"{found[n]}-{n}" for n in numbers]


@dataclass(frozen=True)
class Request:
    """Images in the order of a picture: class after class, in each class seed after seed, for each seed the sweep.

    Attributes:
        seeds: one z each, the same in every class.
        classes: the classes asked for; None leaves every seed its own.
        codes: codes with a value for all images.
        sweep: a code and its values; every seed goes through all of them.
    """

    seeds: Seeds
    classes: tuple[int, ...] | None = None
    codes: tuple[Code, ...] = ()
    sweep: tuple[int, tuple[float, ...]] | None = None

    def __len__(self) -> int:
        return len(self.seeds) * len(self.classes or (0,)) * len(self.sweep[1] if self.sweep else (0,))

    @property
    def columns(self) -> int | None:
        """Columns of the picture: the sweep's values, or one class a row; None where neither decides."""
        if self.sweep:
            return len(self.sweep[1])
        return len(self.seeds) if self.classes and len(self.classes) > 1 else None

    def inputs(self, spec: LatentSpec, batch: int = 256) -> Iterator[Inputs]:
        """All of them, in order, about ``batch`` images at a time."""
        values = self.sweep[1] if self.sweep else ()
        size = max(1, batch // max(1, len(values)))
        starts = range(0, len(self.seeds), size)
        for number, start in product(self.classes or (None,), starts):
            inputs = spec.from_seeds(self.seeds[start : start + size])
            if number is not None:
                inputs["y"].fill_(number)
            for code in self.codes:
                inputs["c"][:, code.number] = code.first
            if self.sweep:
                inputs = {name: value.repeat_interleave(len(values), 0) for name, value in inputs.items()}
                inputs["c"][:, self.sweep[0]] = inputs["c"].new_tensor(values).repeat(len(inputs["c"]) // len(values))
            yield inputs
