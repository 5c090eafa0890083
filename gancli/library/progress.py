"""Where a training stands, from the rows that it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gancli.runs.health import EVALUATION, KEY, RULES
from gancli.runs.metrics_log import metrics_of

if TYPE_CHECKING:
    from torch import Tensor


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def rate(images_per_second: float) -> str:
    """Images per second to three figures."""
    return f"{images_per_second:,.0f}" if images_per_second >= 100 else f"{images_per_second:.1f}"


def warnings(values: Mapping[str, Any]) -> dict[str, str]:
    """What the health monitor found in a row of metrics, by name: the finding, and what to try."""
    found = values.get(KEY, {}).items()
    return {name.replace("-", " "): f"{text}; try: {RULES[name].advice}" for name, text in found}


def summary(found: Mapping[str, Any]) -> str:
    """An evaluation in a line: the metric that decides which model is best, its floor, the time."""
    if "failed" in found:
        return f"evaluation failed: {found['failed']}"
    figure = dict(found["results"][found["by"]])
    value = f"{figure.pop('value'):.4g}" if "value" in figure else "no number"
    floor = "".join(f", {name} {number:.4g}" for name, number in figure.items() if name == "floor" or len(figure) == 1)
    return f"{found['by']} {value}{floor}{', best so far' if found['best'] else ''}, in {found['seconds']:.1f} s"


class Tracker:
    """The latest values of all that a training reports; see :class:`gancli.runs.run.Reporter`.

    Args:
        rounds: planned in all.
        done: rounds that were done before.
    """

    def __init__(self, rounds: int, done: int) -> None:
        self.rounds, self.first, self.evaluating = rounds, done, 0.0
        self.values: dict[str, Any] = {}

    def row(self, values: dict[str, Any]) -> None:
        """Take a row of metrics."""
        self.values |= values
        # The first evaluation also reads the real images, which later ones do not.
        if EVALUATION in values and values["round"] > self.first:
            self.evaluating += values[EVALUATION]["seconds"]

    def pictures(self, images: Tensor) -> None:
        """Take current samples."""

    def replanned(self, rounds: int) -> None:
        """Take the new number of rounds in all."""
        self.rounds = rounds

    @property
    def left(self) -> float:
        """Seconds to the end, by the mean pace so far of training and evaluations."""
        done = int(self.values.get("round", 0))
        if not done:
            return 0.0
        return (self.values["seconds"] / done + self.evaluating / max(1, done - self.first)) * (self.rounds - done)

    def line(self) -> str:
        """All in one line."""
        parts = [self.count(), f"{rate(self.values['images_per_second'])} img/s", *self.named("loss/")]
        return "  ".join([*parts, *self.scores(), f"{clock(self.left)} left"])

    def count(self) -> str:
        """The round, of how many."""
        return f"round {int(self.values['round']):,}/{self.rounds:,}"

    def scores(self) -> list[str]:
        """The discriminator's probabilities and score; a critic's distance; an encoder's ELBO.

        At the equilibrium of cross entropy, D is 0.50 and its score -2 log 2 = -1.386.
        """
        probabilities = self.named("probability/", "D({}) {:.2f}")
        score = self.named("score/", "D score {1:.3f}") if probabilities else []
        distance, elbo = self.named("distance/", "distance {1:.3f}"), self.named("elbo", "ELBO {1:.2f}")
        return [*probabilities, *score, *distance, *elbo]

    def named(self, prefix: str, form: str = "{} {:.3f}") -> list[str]:
        """The values whose names start so, in words."""
        values = self.values.items()
        return [form.format(name.removeprefix(prefix), value) for name, value in values if name.startswith(prefix)]


@dataclass(frozen=True)
class Progress:
    """Where a training stands; ``str()`` gives a line of it, so that ``progress=print`` shows one about every second.

    Attributes:
        round: rounds that are done.
        rounds: planned in all; where the budget is in minutes, this may change.
        images: real images that were seen.
        seconds: of training so far, without evaluations.
        left: seconds to the end, estimated.
        metrics: the latest value of every metric by name, as in ``metrics.jsonl``; ``evaluation/fid`` of an evaluation.
        findings: what the health monitor found in the last preview, as sentences by name.
        samples: the latest preview, uint8 (N, C, H, W); one image of each class where there are classes, a plot of
            numbers. None before the first preview.
    """

    round: int
    rounds: int
    images: int
    seconds: float
    left: float
    metrics: Mapping[str, float]
    findings: Mapping[str, str]
    samples: Tensor | None = field(repr=False)
    _line: str = field(repr=False)

    def __str__(self) -> str:
        return self._line


class Callback(Tracker):
    """Calls a function with every :class:`Progress`.

    Args:
        function: to call.
        rounds: planned in all.
        done: rounds that were done before.
    """

    def __init__(self, function: Callable[[Progress], object], rounds: int, done: int) -> None:
        super().__init__(rounds, done)
        self.function = function
        self.metrics: dict[str, float] = {}
        self.samples: Tensor | None = None

    def row(self, values: dict[str, Any]) -> None:
        """Call the function."""
        super().row(values)
        self.metrics |= metrics_of(values)
        line = self.line() if EVALUATION not in values else f"{self.count()}  {summary(values[EVALUATION])}"
        findings = dict(self.values.get(KEY, {}))
        where = (int(self.values["round"]), self.rounds, int(self.values["images"]))
        self.function(
            Progress(*where, self.values["seconds"], self.left, dict(self.metrics), findings, self.samples, line)
        )

    def pictures(self, images: Tensor) -> None:
        """Keep them for the next row."""
        self.samples = images
