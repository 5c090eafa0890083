"""What can be said of a run from its files alone, finished or not. Never imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancli import lock, recipe
from gancli.errors import GancliError, UsageError
from gancli.rendering.plots import save_losses
from gancli.runs import health
from gancli.runs.metrics_log import read_metrics
from gancli.zoo import catalogue


@dataclass(frozen=True)
class Examination:
    """A run as its files show it.

    Attributes:
        folder: the run.
        model: its model; "a model" if the recipe cannot be read.
        data: its data set.
        rounds: done so far.
        budget: rounds in all; None if the recipe cannot be read.
        state: finished, diverged, stopped (by the health monitor), running or unfinished.
        rows: the lines of its metrics, without those of evaluations.
        monitor: the health monitor that observed them.
        rollbacks: times it went back: from, to, because, text, scale.
        stops: times that the monitor stopped it: round, because; all but that of the state "stopped" were gone on from.
    """

    folder: Path
    model: str
    data: str
    rounds: int
    budget: int | None
    state: str
    rows: list[dict[str, Any]]
    monitor: health.HealthMonitor
    rollbacks: list[dict[str, Any]]
    stops: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain = {key: getattr(self, key) for key in ("model", "data", "rounds", "budget", "state")}
        findings = [finding.to_dict() for finding in self.monitor.found]
        return {
            "run": str(self.folder),
            **plain,
            "previews": self.monitor.previews,
            "findings": findings,
            "rollbacks": self.rollbacks,
            "stops": self.stops,
        }

    def plot(self, path: Path) -> None:
        """Losses, how the opponent judges and the figures of the pictures, with findings and rollbacks marked."""
        seen = [(row["round"], row.get("images", 0)) for row in self.rows]
        marks = [(finding.since, finding.title) for finding in self.monitor.found]
        marks += [(back["to"], "back to here") for back in self.rollbacks]
        save_losses(
            self.rows, path, [(next((i for r, i in seen if r >= at), seen[-1][1]), words) for at, words in marks]
        )


def examine(folder: Path) -> Examination:
    """Read a run's files.

    Raises:
        UsageError: the folder holds no run.
        GancliError: a run that has not written a line yet.
    """
    metrics = folder / "metrics.jsonl"
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}", "name the folder of a training, or none for the newest")
    if not metrics.is_file():
        raise UsageError(f"{folder} is not a run: it has no metrics.jsonl", "name the folder of a training")
    rows = health.of_training(read_metrics(metrics))
    if not any(name.startswith("loss/") for row in rows for name in row):
        raise GancliError(f"{folder} has no metrics yet", "train for a while first")
    table = _table(folder / "recipe.toml")
    budget = _section(table, "training").get("rounds")
    monitor = health.replay(rows)
    return Examination(
        folder,
        str(table.get("model", "a model"))[:200],
        str(_section(table, "data").get("name", "unknown data"))[:200],
        rows[-1]["round"],
        budget if type(budget) is int and budget > 0 else None,
        _state(folder, rows, monitor),
        rows,
        monitor,
        [row[health.ROLLBACK] for row in rows if isinstance(row.get(health.ROLLBACK), dict)],
        [{"round": row["round"], "because": row[health.STOPPED]} for row in rows if _is_stop(row)],
    )


def _table(path: Path) -> dict[str, Any]:
    try:
        return recipe.read(path)
    except (GancliError, OSError):
        return {}


def _section(table: dict[str, Any], name: str) -> dict[str, Any]:
    section = table.get(name)
    return section if isinstance(section, dict) else {}


def _is_stop(row: dict[str, Any]) -> bool:
    return isinstance(row.get(health.STOPPED), str)


def _state(folder: Path, rows: list[dict[str, Any]], monitor: health.HealthMonitor) -> str:
    if catalogue.is_finished(folder):
        return "finished"
    if "not-a-number" in monitor.active:
        return "diverged"
    if _is_stop(rows[-1]):
        return "stopped"
    return "running" if lock.holder(folder) else "unfinished"
