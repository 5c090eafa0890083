"""What a run's files show of it, finished or not. Never imports torch."""

from __future__ import annotations

import math
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
        rows: of its metrics, without those of evaluations.
        monitor: the health monitor after these rows.
        stops: round and because of each stop by the monitor; all but that of the state "stopped" were resumed.
        needed: rounds before which nothing can be said: a tenth of the shortest training of this model in the zoo, or
            of any that makes images from latents where it has none, by images seen.
        evaluation: round and first result of the last evaluation; None where there was none.
    """

    folder: Path
    model: str
    data: str
    rounds: int
    budget: int | None
    state: str
    rows: list[dict[str, Any]]
    monitor: health.HealthMonitor
    stops: list[dict[str, Any]]
    needed: int
    evaluation: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain = {key: getattr(self, key) for key in ("model", "data", "rounds", "budget", "state")}
        findings = [finding.to_dict() for finding in self.monitor.found]
        plain |= {"previews": self.monitor.previews, "findings": findings, "stops": self.stops}
        plain |= {"rounds_needed": self.needed, "evaluation": self.evaluation}
        return {"run": str(self.folder), **plain}

    def plot(self, path: Path) -> None:
        """Losses, outputs of the discriminator and statistics of previews, with findings marked."""
        marks = [(finding.since, finding.title) for finding in self.monitor.found]
        images = [(row["round"], row.get("images", 0)) for row in self.rows]
        marks = [(next((i for r, i in images if r >= at), images[-1][1]), words) for at, words in marks]
        save_losses(self.rows, path, marks)


def examine(folder: Path) -> Examination:
    """Read a run's files.

    Raises:
        UsageError: the folder holds no run.
        GancliError: a run that has not written metrics yet.
    """
    metrics = folder / "metrics.jsonl"
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}", "name the folder of a training, or none for the newest")
    if not metrics.is_file():
        raise UsageError(f"{folder} is not a run: it has no metrics.jsonl", "name the folder of a training")
    logged = read_metrics(metrics)
    rows = health.of_training(logged)
    if not any(name.startswith("loss/") for row in rows for name in row):
        raise GancliError(f"{folder} has no metrics yet", "train for a while first")
    try:
        table = recipe.read(folder / "recipe.toml")
    except (GancliError, OSError):
        table = {}
    budget = _section(table, "training").get("rounds")
    monitor = health.replay(rows)
    model = str(table.get("model", "a model"))[:200]
    return Examination(
        folder,
        model,
        str(_section(table, "data").get("name", "unknown data"))[:200],
        rows[-1]["round"],
        budget if type(budget) is int and budget > 0 else None,
        _state(folder, rows[-1], monitor),
        rows,
        monitor,
        [{"round": row["round"], "because": row[health.STOPPED]} for row in rows if health.STOPPED in row],
        _needed(model, rows[-1]),
        next(filter(None, map(_result, reversed(logged))), None),
    )


def _needed(model: str, last: dict[str, Any]) -> int:
    trained = [(entry.model, entry.header()) for entry in catalogue.entries() if entry.path]
    alike = [header for name, header in trained if name == model]
    alike = alike or [header for _, header in trained if header.get("takes", "latent") == "latent"]
    images = min((header["images"] for header in alike), default=0)
    return math.ceil(images / 10 * last["round"] / max(1, last.get("images", 0)))


def _result(row: dict[str, Any]) -> dict[str, Any] | None:
    """The result that an evaluation is known by; None for another row, and for an evaluation that failed."""
    found = row.get(health.EVALUATION, {})
    return (
        {"round": row["round"], "metric": found["by"], **found["results"][found["by"]]} if "results" in found else None
    )


def _section(table: dict[str, Any], name: str) -> dict[str, Any]:
    section = table.get(name)
    return section if isinstance(section, dict) else {}


def _state(folder: Path, last: dict[str, Any], monitor: health.HealthMonitor) -> str:
    if catalogue.is_finished(folder):
        return "finished"
    if "not-a-number" in monitor.active:
        return "diverged"
    if health.STOPPED in last:
        return "stopped"
    return "running" if lock.holder(folder) else "unfinished"
