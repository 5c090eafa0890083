"""What a person sees while a model trains: a calm live panel on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gancli.cli.console import say, talk

if TYPE_CHECKING:
    from torch import Tensor

PICTURES = 12
"""Samples in the terminal's picture: two rows of six."""


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def rate(images_per_second: float) -> str:
    """Images a second with three figures."""
    return f"{images_per_second:,.0f}" if images_per_second >= 100 else f"{images_per_second:.1f}"


class Display(AbstractContextManager["Display"]):
    """Says nothing: ``--quiet``."""

    def __init__(self, rounds: int, done: int) -> None:
        self.rounds, self.first = rounds, done
        self.values: dict[str, float] = {}

    def __exit__(self, *_: object) -> None:
        return None

    def row(self, values: dict[str, float]) -> None:
        """Take a line of metrics."""
        self.values |= values

    def pictures(self, images: Tensor) -> None:
        """Take current samples."""

    @property
    def left(self) -> float:
        """Seconds to the end, by the mean pace so far."""
        done = int(self.values.get("round", 0))
        return self.values["seconds"] / done * (self.rounds - done) if done else 0.0


class Lines(Display):
    """One plain line about every ten seconds, for a pipe or a log."""

    _last = 0.0

    def row(self, values: dict[str, float]) -> None:
        """Print when ten seconds have passed, or at the end."""
        super().row(values)
        now = time.monotonic()
        if now - self._last < 10 and values["round"] < self.rounds:
            return
        self._last = now
        parts = [f"round {int(values['round']):,}/{self.rounds:,}", f"{rate(self.values['images_per_second'])} img/s"]
        parts += [f"{name.removeprefix('loss/')} {value:.3f}" for name, value in self._of("loss/")]
        parts += [f"D({name.removeprefix('probability/')}) {value:.2f}" for name, value in self._of("probability/")]
        say("  ".join([*parts, f"{clock(self.left)} left"]))

    def _of(self, prefix: str) -> list[tuple[str, float]]:
        return [(name, value) for name, value in self.values.items() if name.startswith(prefix)]


class Panel(Lines):
    """A live panel: progress, figures, and what the generator paints now."""

    def __init__(self, rounds: int, done: int) -> None:
        super().__init__(rounds, done)
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            expand=True,
            console=talk(),
        )
        self.task = self.progress.add_task("training", total=rounds, completed=done)
        self.samples: Any = None
        self.live = Live(console=talk(), refresh_per_second=4, get_renderable=self.render, vertical_overflow="crop")

    def __enter__(self) -> Panel:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def row(self, values: dict[str, float]) -> None:
        """Move the bar and the figures."""
        Display.row(self, values)
        self.progress.update(self.task, completed=values["round"])

    def pictures(self, images: Tensor) -> None:
        """Show new samples."""
        from gancli.rendering.terminal import picture

        self.samples = picture(images[:PICTURES], columns=PICTURES // 2, console=talk(), height=16)

    def render(self) -> Any:
        """Never wider than the terminal, never higher than a screen of 24 lines."""
        from rich.console import Group
        from rich.table import Table

        if not self.values:
            return Group(self.progress)
        table = Table.grid(padding=(0, 3))
        left = f"{clock(self.left)} left" if self.values["round"] < self.rounds else "done"
        table.add_row(
            f"round {int(self.values['round']):,}/{self.rounds:,}",
            f"{rate(self.values['images_per_second'])} images/s",
            f"{clock(self.values['seconds'])} gone",
            left,
        )
        losses = Table.grid(padding=(0, 3))
        losses.add_row(
            *(f"{name.removeprefix('loss/')} loss {value:.3f}" for name, value in self._of("loss/")),
            *(f"D({name.removeprefix('probability/')}) {value:.2f}" for name, value in self._of("probability/")),
        )
        return Group(self.progress, table, losses, *([self.samples] if self.samples is not None else []))


def display(rounds: int, done: int, quiet: bool) -> Display:
    """The display that fits where the words go."""
    kind = Display if quiet else Panel if talk().is_terminal and not talk().is_dumb_terminal else Lines
    return kind(rounds, done)
