"""What users see during training: a live panel on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gancli.cli.terminal.console import say, stderr
from gancli.library.progress import Tracker, clock, rate, summary, warnings
from gancli.runs.health import EVALUATION, KEY

if TYPE_CHECKING:
    from torch import Tensor

PICTURES, MOST_CLASSES = 12, 16
"""Samples in the terminal's picture, in two rows; where there is one of each class, all of at most so many."""


class Display(Tracker, AbstractContextManager["Display"]):
    """Shows nothing: ``--quiet``."""

    def __exit__(self, *_: object) -> None:
        return None


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
        say(self.line())

    def _warn(self, values: dict[str, Any]) -> None:
        """Print each finding once as long as it lasts."""
        if KEY not in values:
            return
        found = warnings(values)
        for name in found.keys() - self._shown:
            say(f"warning: round {values['round']:,}, {name}: {found[name]}")
        self._shown = frozenset(found)


class Panel(Display):
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
        super().row(values)
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
            [self.count(), speed, f"{clock(self.values['seconds'])} elapsed", left],
            self.named("loss/", "{} loss {:.3f}"),
            self.scores(),
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
