"""A run that may still be trained, followed by its files: how far it is, curves, findings, evaluations. Never imports
torch, and needs little memory however long the training is."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli.runs import health, listing
from gancli.runs.folder import METRICS_FILE, SAMPLES
from gancli.runs.metrics_log import MetricsTail

MOST_POINTS = 400
"""Points of a curve after thinning: of twice as many, each two neighbours become one."""

MOST_EVALUATIONS = 500
RECENT = 30
"""Rows over which the speed is averaged."""


class Curves:
    """Rows of metrics thinned to a bounded number: each point is the mean of as many rows as the others."""

    def __init__(self) -> None:
        self._points: list[dict[str, tuple[float, int]]] = []
        self._stride = self._open = 1

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row; what is no number is left out."""
        numbers = {name: (float(value), 1) for name, value in row.items() if _is_number(value)}
        if self._open < self._stride and self._points:
            self._points[-1] = _joined(self._points[-1], numbers)
            self._open += 1
            return
        if len(self._points) == 2 * MOST_POINTS:
            self._points = [_joined(*pair) for pair in zip(self._points[::2], self._points[1::2], strict=True)]
            self._stride *= 2
        self._points.append(numbers)
        self._open = 1

    def columns(self) -> dict[str, list[float | None]]:
        """Values by metric, ``round``, ``images`` and ``seconds`` among them; None where a point has no value."""
        names = dict.fromkeys(name for point in self._points for name in point)
        return {name: [_mean(point.get(name)) for point in self._points] for name in names}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _joined(
    one: Mapping[str, tuple[float, int]], other: Mapping[str, tuple[float, int]]
) -> dict[str, tuple[float, int]]:
    none = (0.0, 0)
    pairs = {name: (one.get(name, none), other.get(name, none)) for name in {**one, **other}}
    return {name: (first[0] + second[0], first[1] + second[1]) for name, (first, second) in pairs.items()}


def _mean(sums: tuple[float, int] | None) -> float | None:
    return None if sums is None else float(f"{sums[0] / sums[1]:.6g}")


class Followed:
    """A run folder, or the place of one that is about to be made.

    Args:
        folder: of the run.

    Attributes:
        curves: of the training's metrics.
        monitor: that has checked all rows.
        evaluations: rows of evaluations, the last ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._metrics = MetricsTail(folder / METRICS_FILE)
        self._begin()

    def _begin(self) -> None:
        self.curves, self.monitor = Curves(), health.HealthMonitor()
        self.evaluations: deque[Mapping[str, Any]] = deque(maxlen=MOST_EVALUATIONS)
        self._recent: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self._last: Mapping[str, Any] = {}
        self._rows = 0

    def update(self) -> None:
        """Read what was written since the last call."""
        generation = self._metrics.generation
        rows = self._metrics.read()
        if self._metrics.generation != generation:
            self._begin()
        for row in rows:
            self._rows += 1
            if health.EVALUATION in row:
                self.evaluations.append(row)
                continue
            self._last = row
            self.monitor.observe(row)
            if _is_number(row.get("seconds")):
                self._recent.append((row["round"], row["seconds"]))
                self.curves.add(row)

    @property
    def version(self) -> str:
        """Another one whenever there are new rows."""
        return f"{self._metrics.generation}-{self._rows}"

    def samples(self) -> list[int]:
        """The rounds of its sample grids, in order."""
        names = (path.stem for path in (self.folder / SAMPLES).glob("*.png"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) == 8)

    def sample(self, number: int) -> Path:
        """The file of the sample grid of a round, which need not exist."""
        return self.folder / SAMPLES / f"{number:08d}.png"

    def status(self) -> dict[str, Any]:
        """How far it is and what was found, as plain JSON.

        ``state`` is one of :class:`gancli.runs.listing.Listed`, or ``waiting`` where there is no run yet; ``eta`` is in
        seconds, None where it cannot be told.
        """
        listed = listing.read(self.folder)
        state = listed.state if (self.folder / METRICS_FILE).exists() or not listed.broken else "waiting"
        done = max(self._last.get("round", 0), listed.rounds or 0)
        active = self.monitor.active
        found = [{**finding.to_dict(), "active": finding.name in active} for finding in self.monitor.found]
        return {
            "name": listed.tag or listed.name,
            "folder": str(self.folder),
            "model": listed.model,
            "data": listed.data,
            "state": state,
            "broken": listed.broken if state == "broken" else "",
            "round": done,
            "budget": listed.budget,
            "seconds": self._number("seconds"),
            "images_per_second": self._number("images_per_second"),
            "eta": self._eta(done, listed.budget) if state == "running" else None,
            "previews": self.monitor.previews,
            "findings": found,
            "evaluations": [_evaluated(row) for row in self.evaluations],
            "samples": self.samples(),
            "version": self.version,
        }

    def _number(self, name: str) -> float | None:
        """A metric of the last row."""
        value = self._last.get(name)
        return value if _is_number(value) else None

    def _eta(self, done: int, budget: int | None) -> float | None:
        """Seconds to the end of the budget at the speed of the last rows."""
        if budget is None or len(self._recent) < 2:
            return None
        (first, begun), (last, now) = self._recent[0], self._recent[-1]
        return max(0, budget - done) * (now - begun) / (last - first) if last > first and now > begun else None


def _evaluated(row: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation: its round, and the value of each figure with what it is called; or how it failed."""
    from gancli.evaluation.scores import number, title

    found = row[health.EVALUATION]
    results = found.get("results", {})
    return {
        "round": row["round"],
        "images": row.get("images"),
        "seconds": row.get("seconds"),
        "failed": found.get("failed", ""),
        "best": found.get("best", False),
        "by": title(found["by"]) if "by" in found else "",
        "figures": [
            {"name": title(name), "value": result["value"], "text": number(name, result["value"])}
            for name, result in results.items()
            if _is_number(result.get("value"))
        ],
    }
