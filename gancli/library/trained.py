"""What ``gancli.train`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gancli import model as models
from gancli.data.types import Skipped
from gancli.model import Model
from gancli.recipe import Recipe
from gancli.runs.folder import METRICS_FILE
from gancli.runs.health import Finding
from gancli.runs.metrics_log import read_metrics


@dataclass(frozen=True)
class Trained:
    """A training that is done.

    Attributes:
        folder: of the run; every command takes it, as in ``gancli doctor``.
        recipe: what it was trained by, every default filled in.
        rounds: that it was trained for; a round is one step of every network.
        device: where it was trained.
        skipped: files of the data that were left out, each with the reason.
        findings: of the health monitor, each with ``title``, ``text`` and ``advice``.
    """

    folder: Path
    recipe: Recipe
    rounds: int
    device: str
    skipped: Sequence[Skipped]
    findings: Sequence[Finding]

    @cached_property
    def model(self) -> Model:
        """The trained model, on the device where it was trained."""
        return models.load(self.folder, device=self.device)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of the run's ``metrics.jsonl``: about one a second, with ``round``, ``images``, ``seconds`` and the
        training's metrics by name; those of evaluations have the key ``evaluation``."""
        return read_metrics(self.folder / METRICS_FILE)
