"""What users see during training: a live panel on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gancli.cli.terminal.console import say, stderr
from gancli.runs.health import EVALUATION, KEY, RULES

if TYPE_CHECKING:
    from torch import Tensor

PICTURES, MOST_CLASSES = 12, 16
"""Samples in the terminal's picture, in two rows; where there is one of each class, all of at most so many."""


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def rate(images_per_second: float) -> str:
    """Images per second to three figures."""
    return f"{images_per_second:,.0f}" if images_per_second >= 100 else f"{images_per_second:.1f}"


class Display(AbstractContextManager["Display"]):
    """Shows nothing: ``--quiet``."""

    def __init__(self, rounds: int, done: int) -> None:
        self.rounds, self.first, self.evaluating = rounds, done, 0.0
        self.values: dict[str, Any] = {}

    def __exit__(self, *_: object) -> None:
        return None

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


def warnings(values: dict[str, Any]) -> dict[str, str]:
    """What the health monitor found in a row of metrics, by name: the finding, and what to try."""
    found = values.get(KEY, {}).items()
    return {name.replace("-", " "): f"{text}; try: {RULES[name].advice}" for name, text in found}


def summary(found: dict[str, Any]) -> str:
    """An evaluation in a line: the metric that decides which model is best, its floor, the time."""
    if "failed" in found:
        return f"evaluation failed: {found['failed']}"
    figure = dict(found["results"][found["by"]])
    value = f"{figure.pop('value'):.4g}" if "value" in figure else "no number"
    floor = "".join(f", {name} {number:.4g}" for name, number in figure.items() if name == "floor" or len(figure) == 1)
    return f"{found['by']} {value}{floor}{', best so far' if found['best'] else ''}, in {found['seconds']:.1f} s"


class Lines(Display):
    """A line about every ten seconds, for a pipe or a log, and one for each new finding of the health monitor."""

    _last = 0.0
    _shown: frozenset[str] = frozenset()

    def row(self, values: dict[str, Any]) -> None:
        """Print a line if ten seconds have passed, or at the end."""
        super().row(values)
        if found := values.get(EVALUATION):
            say(f"evaluation, round {values['round']:,}: {summary(found)}")
            return
        self._warn(values)
        now = time.monotonic()
        if now - self._last < 10 and values["round"] < self.rounds:
            return
        self._last = now
        parts = [self._rounds(), f"{rate(self.values['images_per_second'])} img/s", *self._values("loss/")]
        say("  ".join([*parts, *self._scores(), f"{clock(self.left)} left"]))

    def _warn(self, values: dict[str, Any]) -> None:
        """Print each finding once as long as it lasts."""
        if KEY not in values:
            return
        found = warnings(values)
        for name in found.keys() - self._shown:
            say(f"warning: round {values['round']:,}, {name}: {found[name]}")
        self._shown = frozenset(found)

    def _rounds(self) -> str:
        return f"round {int(self.values['round']):,}/{self.rounds:,}"

    def _scores(self) -> list[str]:
        """The discriminator's probabilities and score; a critic's distance; an encoder's ELBO.

        At the equilibrium of cross entropy, D is 0.50 and its score -2 log 2 = -1.386.
        """
        probabilities = self._values("probability/", "D({}) {:.2f}")
        score = self._values("score/", "D score {1:.3f}") if probabilities else []
        distance, elbo = self._values("distance/", "distance {1:.3f}"), self._values("elbo", "ELBO {1:.2f}")
        return [*probabilities, *score, *distance, *elbo]

    def _values(self, prefix: str, form: str = "{} {:.3f}") -> list[str]:
        values = self.values.items()
        return [form.format(name.removeprefix(prefix), value) for name, value in values if name.startswith(prefix)]


class Panel(Lines):
    """A live panel: progress, metrics and current samples."""

    def __init__(self, rounds: int, done: int) -> None:
        super().__init__(rounds, done)
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(bar_width=None), TaskProgressColumn()
        self.progress = Progress(*columns, expand=True, console=stderr())
        self.task = self.progress.add_task("training", total=rounds, completed=done)
        self.samples: Any = None
        self.live = Live(console=stderr(), refresh_per_second=4, get_renderable=self.render, vertical_overflow="crop")

    def __enter__(self) -> Panel:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def row(self, values: dict[str, Any]) -> None:
        """Update the bar and the metrics."""
        Display.row(self, values)
        self.progress.update(self.task, completed=values["round"], total=self.rounds)

    def pictures(self, images: Tensor) -> None:
        """Show new samples."""
        from gancli.rendering.terminal import picture

        shown = images if len(images) <= MOST_CLASSES else images[:PICTURES]
        self.samples = picture(shown, columns=-(-len(shown) // 2), console=stderr(), height=16)

    def render(self) -> Any:
        """Never wider than the terminal, never higher than 24 lines."""
        from rich.console import Group
        from rich.text import Text

        if not self.values:
            return self.progress
        left = f"{clock(self.left)} left" if self.values["round"] < self.rounds else "done"
        speed = f"{rate(self.values['images_per_second'])} images/s"
        rows = [
            [self._rounds(), speed, f"{clock(self.values['seconds'])} elapsed", left],
            self._values("loss/", "{} loss {:.3f}"),
            self._scores(),
        ]
        if found := self.values.get(EVALUATION):
            rows.append([f"evaluation: {summary(found)}"])
        parts: list[Any] = [self.progress, *(Text("   ".join(row)) for row in rows if row)]
        parts += [Text(f"! {name}: {what}", "yellow") for name, what in warnings(self.values).items()]
        if self.samples is not None:
            parts.append(self.samples)
        return Group(*parts)


def display(rounds: int, done: int, quiet: bool) -> Display:
    """The display for this terminal or pipe."""
    kind = Display if quiet else Panel if stderr().is_terminal and not stderr().is_dumb_terminal else Lines
    return kind(rounds, done)
