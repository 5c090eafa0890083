"""Messages of validation errors: which key, its value, and what it should be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from reprlib import Repr
from typing import Any

from pydantic import AfterValidator, BaseModel, ValidationError

from gancli.errors import UsageError, nearest

DEEPEST = 16
"""Tables and lists within each other, at most."""

MOST = 20
"""Errors that are listed; a file from a stranger may hold a million."""

_short = Repr()
_short.maxstring, _short.maxother, _short.maxlist, _short.maxdict, _short.maxlevel = 80, 80, 8, 4, 3

# What a value should be, by pydantic's type of error.
_WORDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "greater than or equal to {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "less than or equal to {le}",
    "string_too_long": "at most {max_length} characters",
    "too_long": "no longer than {max_length} entries",
    "too_short": "no shorter than {min_length} entries",
    "value_error": "{error}",
}


def shown(value: Any) -> str:
    """A value as Python writes it, shortened where it is long; nothing in it reaches a terminal raw."""
    try:
        return _short.repr(list(value) if isinstance(value, tuple) else value)
    except ValueError:  # Python writes no whole number of thousands of digits
        return "…"


def dotted(path: Iterable[Any]) -> str:
    """``section.key``; a key that is no plain word is quoted."""
    return ".".join(str(key) if re.fullmatch(r"[\w-]{1,64}", str(key)) else shown(str(key)) for key in path)


def not_a_table(where: str, value: Any) -> str:
    """The error of a value where a table belongs."""
    return f"{where} = {shown(value)}: should be a table, as in {where}.KEY=VALUE"


def raise_all(errors: Sequence[str]) -> None:
    """All errors as one, if there are any.

    Raises:
        UsageError: with a line for each of the first :data:`MOST`.
    """
    if not errors:
        return
    count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
    more = [f"  … and {len(errors) - MOST} more"] if len(errors) > MOST else []
    raise UsageError(
        "\n".join([f"the recipe has {count}:", *(f"  {error}" for error in errors[:MOST]), *more]),
        "`gancli train DATA --dry-run` prints a whole recipe; `section.key=value` changes it",
    )


def matching(pattern: str, demand: str) -> AfterValidator:
    """A check of text by a regular expression; ``demand`` completes "should be …"."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(demand)
        return text

    return AfterValidator(check)


def whole(value: Any) -> Any:
    """A check for whole numbers that a Literal lists."""
    # Python holds True and 1.0 for 1, and so does a Literal.
    if isinstance(value, bool | float):
        raise ValueError("a whole number")
    return value


def unwritable(value: Any, path: tuple[Any, ...] = ()) -> Iterator[str]:
    """Errors of what no recipe file could hold: dates, broken Unicode, numbers beyond 64 bits, too deep a nest."""
    where = dotted(path)
    if len(path) > DEEPEST:
        yield f"{dotted(path[:3])}…: more than {DEEPEST} tables and lists within each other"
    elif isinstance(value, Mapping | list | tuple):
        table = value if isinstance(value, Mapping) else {str(index): inner for index, inner in enumerate(value)}
        for key, inner in table.items():
            if isinstance(key, str) and _is_unicode(key):
                yield from unwritable(inner, (*path, key))
            else:
                yield f"{dotted((*path, key))}: the key should be Unicode text"
    elif isinstance(value, str) and not _is_unicode(value):
        yield f"{where} = {shown(value)}: should be Unicode text"
    elif isinstance(value, int) and abs(value) >= 2**63:
        yield f"{where}: should be a whole number of at most 64 bits"
    elif not isinstance(value, str | int | float | None):
        yield f"{where} = {shown(str(value))}: should be text, a number, true or false, a list or a table"


def _is_unicode(text: str) -> bool:
    """Whether it holds no half of a surrogate pair."""
    return not re.search("[\ud800-\udfff]", text)


def from_pydantic(
    error: ValidationError, schema: type[BaseModel], prefix: tuple[str, ...] = (), more: Sequence[str] = ()
) -> Iterator[str]:
    """Pydantic's errors as messages.

    Args:
        error: what pydantic raised.
        schema: that was validated against.
        prefix: path of the table that was validated.
        more: keys that are valid there besides the schema's.
    """
    for count, found in enumerate(error.errors(include_url=False)):
        loc = found["loc"]
        named = bool(loc) and loc[-1] == "[key]"
        where, value = dotted((*prefix, *(loc[:-1] if named else loc))), shown(found["input"])
        if count >= MOST:
            yield where  # counted, not shown
        elif found["type"] == "extra_forbidden":
            known = [*_fields(schema, loc[:-1]), *more]
            yield f"{where} = {value}: unknown key, {nearest(str(loc[-1])[:64], known)}"
        elif found["type"] == "missing":
            yield f"{where}: missing"
        elif found["type"] in ("model_type", "dict_type", "model_attributes_type"):
            yield not_a_table(where, found["input"])
        else:
            yield f"{where}{'' if named else f' = {value}'}: {'the name ' if named else ''}{_demand(found)}"


def _demand(found: Mapping[str, Any]) -> str:
    """``should be …`` for one error."""
    if words := _WORDS.get(found["type"]):
        return "should be " + words.format(**{key: _plain(bound) for key, bound in found.get("ctx", {}).items()})
    # A type of error that only another package's component can have.
    return "should " + re.sub(r"^\w+ should ", "", found["msg"]) if " should " in found["msg"] else "is not valid"


def _plain(bound: Any) -> str:
    return str(bound).removesuffix(".0") if isinstance(bound, float) else str(bound)


def _fields(schema: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Known keys of the table at a path of a schema."""
    for part in islice(path, DEEPEST):
        field = schema.model_fields.get(str(part))
        if field is None:
            return []
        choices = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]
        if not inner:
            return []
        schema = inner[0]
    return list(schema.model_fields)
