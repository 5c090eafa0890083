"""Two runs or more beside each other: what differs in their recipes, their curves and figures at equal budgets. Never
imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from gancli import recipe
from gancli.errors import GancliError, UsageError
from gancli.runs import health, listing
from gancli.runs.folder import METRICS_FILE, RECIPE_FILE
from gancli.runs.metrics_log import read_metrics

Budget = Literal["images", "seconds", "rounds"]
Point = tuple[float, float]

MOST = 8
"""Runs that are compared at most: as many as there are lines that can be told apart."""

BINS = 120
"""Points of a curve at most: each is the mean of the rows between two of them."""

HIDDEN = ("training.earlier_plans", "summary", "teaches", "limits", "paper")
"""Parts of recipes that decide nothing of a training."""


@dataclass(frozen=True)
class Compared:
    """A run of a comparison.

    Attributes:
        listed: the run in a list.
        label: what it is called: its tag, or its folder's name, with the parents that tell it from the others.
        recipe: its recipe's tables; empty where they cannot be read.
        rows: of its metrics.
    """

    listed: listing.Listed
    label: str
    recipe: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    def end(self, by: Budget) -> float:
        """How much of a budget it has used."""
        return max((_used(row, by) for row in self.rows), default=0.0)

    def curve(self, metric: str, by: Budget, until: float) -> list[Point]:
        """(used budget, value) of a metric, averaged over equal parts of the budget."""
        bins: dict[int, list[Point]] = {}
        for row in self.rows:
            value, used = _value(row, metric), _used(row, by)
            if value is not None and used <= until:
                bins.setdefault(round(BINS * used / until) if until else 0, []).append((used, value))
        return [
            (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in bins.values()
        ]


def _used(row: Mapping[str, Any], by: Budget) -> float:
    """How much of a budget had been used at a row."""
    return float(row.get("round" if by == "rounds" else by, 0))


def _value(row: Mapping[str, Any], metric: str) -> float | None:
    """Of an evaluation's metric, or of the training's."""
    evaluation = row.get(health.EVALUATION)
    if evaluation is not None:
        return evaluation.get("results", {}).get(metric, {}).get("value")
    value = row.get(metric)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other.

    Attributes:
        runs: in the order in which they were named.
        by: the budget that is equal.
    """

    runs: Sequence[Compared]
    by: Budget

    @cached_property
    def until(self) -> float:
        """The budget that every run has used."""
        return min(run.end(self.by) for run in self.runs)

    @cached_property
    def differences(self) -> list[tuple[str, list[Any]]]:
        """What differs between the recipes: name, and the value of each run, None where it has none."""
        tables = [dict(_flat(run.recipe)) for run in self.runs]
        names = sorted({name for table in tables for name in table if not name.startswith(HIDDEN)})
        rows = [(name, [table.get(name) for table in tables]) for name in names]
        return [(name, values) for name, values in rows if any(value != values[0] for value in values)]

    @cached_property
    def metrics(self) -> list[str]:
        """Metrics of evaluations first, then those of training; what at least two runs have."""
        found: dict[str, int] = {}
        for run in self.runs:
            for name in {name: None for row in run.rows for name in _names(row)}:
                found[name] = found.get(name, 0) + 1
        shared = [name for name, count in found.items() if count > 1 or len(self.runs) == 1]
        evaluated = {name for run in self.runs for row in run.rows for name in _evaluated(row)}
        return sorted(shared, key=lambda name: (name not in evaluated, name))

    def curves(self, metric: str) -> list[list[Point]]:
        """Of each run, up to the budget that all have used."""
        return [run.curve(metric, self.by, self.until) for run in self.runs]

    @cached_property
    def figures(self) -> list[tuple[str, list[Mapping[str, Any] | None]]]:
        """Results by metric, of the runs whose data and protocol are those of most."""
        protocols = [_protocol(run.listed) for run in self.runs]
        known = [protocol for protocol in protocols if protocol is not None]
        if not known:
            return []
        shared = max(known, key=known.count)
        results = [
            {each["metric"]: each for each in run.listed.evaluation["results"]} if protocol == shared else {}
            for run, protocol in zip(self.runs, protocols, strict=True)
        ]
        names = dict.fromkeys(name for table in results for name in table)
        return [(name, [table.get(name) for table in results]) for name in names]

    @cached_property
    def left_out(self) -> list[str]:
        """Labels of the runs that have no results which compare with the others'."""
        compared = [any(row[at] for _, row in self.figures) for at in range(len(self.runs))]
        return [run.label for run, found in zip(self.runs, compared, strict=True) if not found]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, with values at the end of the equal budget."""
        return {
            "runs": [{**run.listed.to_dict(), "label": run.label} for run in self.runs],
            "by": self.by,
            "until": self.until,
            "differences": dict(self.differences),
            "figures": {name: [each and dict(each) for each in row] for name, row in self.figures},
            "curves": {name: self.curves(name) for name in self.metrics},
        }


def _protocol(run: listing.Listed) -> tuple[str, str] | None:
    return (run.data, str(run.evaluation.get("fingerprint"))) if run.result is not None else None


def _names(row: Mapping[str, Any]) -> Iterable[str]:
    if health.EVALUATION in row:
        return _evaluated(row)
    return [name for name, value in row.items() if isinstance(value, float) and name not in ("seconds",)]


def _evaluated(row: Mapping[str, Any]) -> Iterable[str]:
    return row.get(health.EVALUATION, {}).get("results", {})


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def compare(folders: Sequence[Path], by: Budget = "images") -> Comparison:
    """Runs beside each other.

    Args:
        folders: of at least one run, each named once.
        by: the budget that is equal in curves.

    Raises:
        UsageError: too many, none, or what is no run.
    """
    if not 1 <= len(folders) <= MOST:
        raise UsageError(f"{len(folders)} runs cannot be compared", f"name two to {MOST}")
    listed = [listing.read(folder) for folder in folders]
    for run in listed:
        if run.state == "broken":
            raise UsageError(f"{run.folder} is broken: {run.broken}", "leave it out")
    return Comparison([_read(run, label) for run, label in zip(listed, labels(listed), strict=True)], by)


def labels(runs: Sequence[listing.Listed]) -> list[str]:
    """Tags or names of runs, with as many parents as tell all of them apart.

    Raises:
        UsageError: one is there twice.
    """
    for depth in range(1, 10):
        found = [run.tag or "/".join(run.folder.resolve().parts[-depth:]) for run in runs]
        if len(set(found)) == len(found):
            return found
    raise UsageError("a run is named twice", "name each run once")


def _read(run: listing.Listed, label: str) -> Compared:
    try:
        table = recipe.read(run.folder / RECIPE_FILE)
    except (GancliError, OSError):
        table = {}
    return Compared(run, label, table, read_metrics(run.folder / METRICS_FILE))
