"""``metrics.jsonl``: written by the training, read also meanwhile. Never imports torch.

A run folder may come from a stranger: rows that no training writes are left out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import BaseModel, Field, FiniteFloat

from gancli.errors import GancliError
from gancli.files import atomic, refuse_special

LARGEST = 256 << 20
"""Bytes of a file at most: a row is a second of training, and this is a month."""

MOST_NAMES = 256
"""Metrics of a training at most: it has a few dozen."""

_NAME = re.compile(r"[A-Za-z0-9_./-]{1,100}")
Text = Annotated[str, Field(max_length=1000)]


class Failed(BaseModel, strict=True, extra="forbid"):
    """An evaluation that failed."""

    failed: Text
    seconds: FiniteFloat


class Evaluated(BaseModel, strict=True, extra="forbid"):
    """An evaluation: results by metric, the metric that chooses the best model, and whether this one is the best."""

    results: dict[str, dict[str, float]]
    fingerprint: Text
    by: Text
    best: bool
    seconds: FiniteFloat


class Row(BaseModel, strict=True, extra="allow"):
    """What a row may hold: metrics by name, and what the health monitor and evaluations add."""

    __pydantic_extra__: dict[str, float]  # ty: ignore[incompatible-mutable-override]
    round: int = Field(ge=0, lt=2**53)
    health: Annotated[dict[Text, Text], Field(max_length=32)] = {}
    stopped: Text = ""
    diverged: Text = ""
    evaluation: Failed | Evaluated = Field(None)  # ty: ignore[invalid-assignment]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``, without a last line that a dying process left half written.

    Raises:
        GancliError: a file that is larger than any training's.
    """
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    with suppress(FileNotFoundError):
        _check(path)
        with path.open(encoding="utf-8", errors="replace") as file:
            rows += [row for line in file if (row := _parsed(line, names)) is not None]
    return rows


def _check(path: Path) -> None:
    """Refuse what is no file, and one that is larger than any training's."""
    refuse_special(path)
    if path.stat().st_size > LARGEST:
        raise GancliError(f"{path} is larger than any training's", "name the folder of a training")


def _parsed(line: str, names: set[str]) -> dict[str, Any] | None:
    """The row of a line; None where no training has written it. Its names are added to those of the rows before."""
    with suppress(AttributeError, ValueError, RecursionError):
        row = {name: value for name, value in json.loads(line).items() if _NAME.fullmatch(name)}
        found = Row.model_validate(row).evaluation
        if len(names | row.keys()) <= MOST_NAMES and (not isinstance(found, Evaluated) or found.by in found.results):
            names.update(row)
            return row
    return None


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Write one row more."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def rewrite(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace all rows, in a folder that exists."""
    with atomic(path, make=False) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


STAMPS = ("round", "images", "seconds")
"""What says when a row was logged; the rest are metrics."""


def metrics_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a row by name, and ``evaluation/NAME`` of every result of an evaluation."""
    results = row.get("evaluation", {}).get("results", {})
    found = {f"evaluation/{name}": result["value"] for name, result in results.items() if "value" in result}
    numbers = {name: value for name, value in row.items() if isinstance(value, int | float) and name not in STAMPS}
    return numbers | found


class MetricsTail:
    """A ``metrics.jsonl`` that is being written: every row is read once.

    Args:
        path: of the file, which need not exist yet.

    Attributes:
        generation: how often it was found to be another file, as after a resume; its rows then begin anew.
    """

    CHUNK = 1 << 22
    """Bytes that are read at once; a longer line is none of a training's, and is left out."""

    HEAD = 256
    """Bytes of the beginning, by which another file is told from the same one."""

    def __init__(self, path: Path) -> None:
        self.path, self.generation = path, 0
        self._offset, self._head = 0, b""
        self._number: tuple[int, int] | None = None
        self._names: set[str] = set()

    def read(self) -> list[dict[str, Any]]:
        """The rows since the last call, without a last line that is half written.

        Raises:
            GancliError: a file that is larger than any training's.
        """
        rows: list[dict[str, Any]] = []
        with suppress(FileNotFoundError):
            _check(self.path)
            with self.path.open("rb") as file:
                self._notice_another(file)
                file.seek(self._offset)
                while chunk := file.read(self.CHUNK):
                    whole, newline, _ = chunk.rpartition(b"\n")
                    if not newline and len(chunk) < self.CHUNK:
                        break
                    self._offset += len(whole) + 1 if newline else len(chunk)
                    file.seek(self._offset)
                    lines = whole.decode("utf-8", "replace").split("\n")
                    rows += [row for line in lines if (row := _parsed(line, self._names)) is not None]
        return rows

    def _notice_another(self, file: BinaryIO) -> None:
        """Begin anew where the file is another one, or has become shorter."""
        facts, head = os.fstat(file.fileno()), file.read(self.HEAD)
        number = (facts.st_dev, facts.st_ino)
        same = number == self._number and facts.st_size >= self._offset and head.startswith(self._head)
        if self._number is not None and not same:
            self.generation += 1
            self._offset = 0
            self._names = set()
        self._head, self._number = head, number
