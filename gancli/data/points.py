"""Points of the plane from a table, a CSV: drawn anew for every batch, with replacement."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from gancli.errors import UsageError
from gancli.files import refuse_special

COLUMNS = ("x", "y")
LARGEST = 64 << 20
"""Bytes of a table at most."""

FEWEST, FARTHEST = 10, 1000.0
"""Points at least, and how far from 0 they may lie on either axis: networks start with outputs near 0."""

_LAYOUT = "a line for each point, as in `0.5,-1.25`, or with x and y as names of columns in the first line"


@dataclass(frozen=True, eq=False)
class Points:
    """Points of the plane that are equally likely.

    Args:
        name: the data set's.
        rows: float32 (N, 2), x and y of each.
    """

    name: str
    rows: Tensor
    width = 2
    columns = COLUMNS

    @property
    def origin(self) -> str:
        """Where samples come from, in words."""
        return f"from {len(self.rows):,} points"

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that a plot shows, on both axes."""
        reach = 1.25 * max(float(self.rows.abs().max()), 1e-3)
        return -reach, reach

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Independent points, float32 (count, 2)."""
        return self.rows[torch.randint(len(self.rows), (count,), generator=generator)]

    several = draw


def read(path: Path) -> Points:
    """The points of a CSV: two columns of numbers, or the columns x and y of a table with names in its first line.

    Raises:
        UsageError: another layout, too few points, or points that are too far from 0.
    """
    refuse_special(path)
    if path.stat().st_size > LARGEST:
        raise UsageError(f"'{path}' is larger than {LARGEST >> 20} MiB", "a million points are plenty")
    try:
        rows = list(_numbers(list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))))
    except (ValueError, csv.Error) as error:
        raise UsageError(f"'{path}' is no table of points: {error}", _LAYOUT) from None
    if len(rows) < FEWEST:
        raise UsageError(f"'{path}' has {len(rows)} points", f"{FEWEST} are needed at least")
    return Points(path.stem, torch.tensor(rows, dtype=torch.float32))


def _numbers(lines: Sequence[Sequence[str]]) -> Iterator[tuple[float, float]]:
    """x and y of every line.

    Raises:
        ValueError: a line that has not both.
    """
    names = [name.strip().lower() for name in lines[0]] if lines else []
    named = all(name in names for name in COLUMNS)
    first, second = (names.index(name) for name in COLUMNS) if named else (0, 1)
    for number, line in enumerate(lines, 1):
        if not line or (named and number == 1):
            continue
        try:
            if not named and len(line) != len(COLUMNS):
                raise ValueError
            x, y = float(line[first]), float(line[second])
        except (ValueError, IndexError):
            raise ValueError(f"line {number} is '{','.join(line)[:60]}'") from None
        if not (math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= FARTHEST):
            raise ValueError(f"the point of line {number} is ({x:g}, {y:g}), and none may be beyond {FARTHEST:,.0f}")
        yield x, y
