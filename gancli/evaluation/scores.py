"""The one figure that stands for a model in a list: the first of its evaluation. Without torch, so that lists are
instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ACRONYMS = {"elbo", "fid", "kid", "mse", "psnr", "rmse", "ssim"}


@dataclass(frozen=True)
class Score:
    """A figure, and what it is to be compared with.

    Attributes:
        metric: its name.
        value: of the model.
        floor: of real data; None where there is none.
        baseline: without the model, as by the simplest repair; None where there is none.
    """

    metric: str
    value: float
    floor: float | None
    baseline: float | None = None

    def __str__(self) -> str:
        """With its title: "FID 0.3420", "modes 25", "PSNR 23.4 dB"."""
        unit = " dB" if self.metric == "psnr" else ""
        return f"{title(self.metric)} {number(self.metric, self.value)}{unit}"

    @property
    def beside(self) -> str:
        """The floor alone, or the baseline; empty where there is neither."""
        if self.floor is not None:
            return number(self.metric, self.floor)
        return "" if self.baseline is None else f"over {number(self.metric, self.baseline)}"


def score(evaluation: Mapping[str, Any]) -> Score | None:
    """The first result of an evaluation as it stands in a model's header; None where there is none."""
    for result in evaluation.get("results", []):
        return Score(result["metric"], result["value"], result.get("floor"), result.get("baseline"))
    return None


def beaten(result: Mapping[str, Any]) -> bool:
    """Whether a result is no better than the simplest method, where that is worse than real data."""
    value, floor, baseline = (result.get(key) for key in ("value", "floor", "baseline"))
    if value is None or baseline is None:
        return False
    # Metrics of a run do not say which direction is good. Without a floor it is that of PSNR.
    better = result.get("better") or ("lower" if floor is not None and floor < baseline else "higher")
    sign = 1 if better == "lower" else -1
    return sign * value >= sign * baseline and (floor is None or sign * floor < sign * baseline)


def title(metric: str) -> str:
    """How a metric is headed."""
    return metric.upper() if metric in _ACRONYMS else metric.replace("_", " ")


def number(metric: str, value: float) -> str:
    """A figure with as many decimals as tell models apart."""
    decimals = {"modes": 0, "psnr": 2}.get(metric, 4 if abs(value) < 10 else 1)
    return f"{value:.{decimals}f}"
