"""``metrics.jsonl``: written by the training, read also meanwhile. Never imports torch.

A run folder may come from a stranger: anything that no training writes is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gancli.errors import GancliError
from gancli.files import atomic, refuse_special
from gancli.runs.health import MOST_PREVIEWS

LARGEST = 256 << 20
"""Bytes of a file at most: a row is a second of training, and this is a month."""

MOST_NAMES = 256
"""Metrics of a training at most: it has a few dozen."""

_NAME = re.compile(r"[A-Za-z0-9_./-]{1,100}")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``, without a last line that a dying process left half written.

    Raises:
        GancliError: a file that is larger than any training's.
    """
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    previews = 0
    with suppress(FileNotFoundError):
        refuse_special(path)
        if path.stat().st_size > LARGEST:
            raise GancliError(f"{path} is larger than any training's", "name the folder of a training")
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                row = None
                with suppress(ValueError, RecursionError):
                    row = _tidy(json.loads(line))
                if row is None:
                    continue
                for name in row.keys() - names:
                    if len(names) >= MOST_NAMES:
                        del row[name]
                    else:
                        names.add(name)
                previews += "health" in row
                if previews > MOST_PREVIEWS:
                    row.pop("health", None)
                rows.append(row)
    return rows


def read_until(path: Path, done: int) -> list[dict[str, Any]]:
    """The rows up to a round."""
    return [row for row in read_metrics(path) if row["round"] <= done]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Write one row more."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def rewrite(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace all rows."""
    with atomic(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _tidy(row: Any) -> dict[str, Any] | None:
    """The valid entries of a row; None where it is no row, or has an invalid evaluation."""
    if not isinstance(row, dict) or not counts(row.get("round")):
        return None
    if "evaluation" in row and not _is_evaluation(row["evaluation"]):
        return None
    return {name: value for name, value in row.items() if _NAME.fullmatch(name) and _KINDS.get(name, _number)(value)}


def _number(value: Any) -> bool:
    """Whether it is a number of 64 bits, NaN and infinity included."""
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def _finite(value: Any) -> bool:
    return _number(value) and math.isfinite(value)


def counts(value: Any) -> bool:
    """Whether it is a count, such as rounds, that every reader of JSON has exactly."""
    return type(value) is int and 0 <= value < 2**53


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1000


def _is_health(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= 32 and all(map(_text, (*value.keys(), *value.values())))


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _are_results(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(figure, dict) and all(map(_number, figure.values())) for figure in value.values()
    )


Kinds = dict[str, Callable[[Any], bool]]
_ROLLBACK: Kinds = {"from": counts, "to": counts, "because": _text, "text": _text, "scale": _finite}
_FAILED: Kinds = {"failed": _text, "seconds": _finite}
# By metric; which one chooses the best model, and whether this one is.
_EVALUATED: Kinds = {
    "results": _are_results, "fingerprint": _text, "by": _text, "best": _is_flag, "seconds": _finite
}  # fmt: skip


def _has(value: Any, kinds: Kinds) -> bool:
    return isinstance(value, dict) and value.keys() == kinds.keys() and all(kinds[k](v) for k, v in value.items())


def _is_rollback(value: Any) -> bool:
    return _has(value, _ROLLBACK)


def _is_evaluation(value: Any) -> bool:
    return _has(value, _FAILED) or (_has(value, _EVALUATED) and value["by"] in value["results"])


_KINDS: Kinds = {
    "health": _is_health,
    "rollback": _is_rollback,
    "stopped": _text,
    "diverged": _text,
    "evaluation": _is_evaluation,
}
