"""What a person sees while a model trains: a calm live panel on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gancli.cli.terminal.console import say, talk
from gancli.runs.health import EVALUATION, KEY, ROLLBACK, advice

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
        self.rounds, self.first, self.judging = rounds, done, 0.0
        self.values: dict[str, Any] = {}

    def __exit__(self, *_: object) -> None:
        return None

    def row(self, values: dict[str, Any]) -> None:
        """Take a line of metrics."""
        self.values |= values
        # The first evaluation also reads the real images, and would count once a round.
        if EVALUATION in values and values["round"] > self.first:
            self.judging += values[EVALUATION]["seconds"]

    def pictures(self, images: Tensor) -> None:
        """Take current samples."""

    @property
    def left(self) -> float:
        """Seconds to the end, by the mean pace so far of training and evaluations."""
        done = int(self.values.get("round", 0))
        if not done:
            return 0.0
        return (self.values["seconds"] / done + self.judging / max(1, done - self.first)) * (self.rounds - done)


def news(values: dict[str, Any]) -> dict[str, str]:
    """What the health monitor found in a line of metrics, by name: what is seen, and what to try."""
    said = {name: f"{text}; try: {advice(name)}" for name, text in values.get(KEY, {}).items()}
    if back := values.get(ROLLBACK):
        words = f"back to round {back['to']:,} with rates x {back['scale']:g} after {back['because'].replace('-', ' ')}"
        said["rollback"] = f"{words} in round {back['from']:,}"
    return said


def verdict(found: dict[str, Any]) -> str:
    """What an evaluation found, in a line: the figure that the best is chosen by, what stands beside it, the time."""
    if "failed" in found:
        return f"evaluation failed: {found['failed']}"
    figure = dict(found["results"][found["by"]])
    value = f"{figure.pop('value'):.4g}" if "value" in figure else "no number"
    beside = "".join(f", {name} {number:.4g}" for name, number in figure.items() if name == "floor" or len(figure) == 1)
    return f"{found['by']} {value}{beside}{', best so far' if found['best'] else ''}, in {found['seconds']:.1f} s"


class Lines(Display):
    """One plain line about every ten seconds, for a pipe or a log, and one when the health monitor finds something."""

    _last = 0.0
    _said: frozenset[str] = frozenset()

    def tell(self, values: dict[str, Any]) -> None:
        """Say what the health monitor finds, once as long as it lasts."""
        if KEY not in values and ROLLBACK not in values:
            return
        said = news(values)
        for name in said.keys() - self._said:
            say(f"warning: round {values['round']:,}, {name.replace('-', ' ')}: {said[name]}")
        self._said = frozenset(said)

    def row(self, values: dict[str, Any]) -> None:
        """Print when ten seconds have passed, or at the end."""
        super().row(values)
        if found := values.get(EVALUATION):
            say(f"evaluation, round {values['round']:,}: {verdict(found)}")
            return
        self.tell(values)
        now = time.monotonic()
        if now - self._last < 10 and values["round"] < self.rounds:
            return
        self._last = now
        parts = [f"round {int(values['round']):,}/{self.rounds:,}", f"{rate(self.values['images_per_second'])} img/s"]
        parts += [f"{name.removeprefix('loss/')} {value:.3f}" for name, value in self._of("loss/")]
        say("  ".join([*parts, *self._judged(), f"{clock(self.left)} left"]))

    def _judged(self) -> list[str]:
        """How the discriminator judges: in the balance of cross entropy, D is 0.50 and its score -2 log 2 = -1.386.

        A critic, which has no probabilities, estimates a distance instead.
        """
        judged = [f"D({name.removeprefix('probability/')}) {value:.2f}" for name, value in self._of("probability/")]
        score = [f"D score {value:.3f}" for _, value in self._of("score/") if judged]
        distance = [f"distance {value:.3f}" for _, value in self._of("distance/")]
        return [*judged, *score, *distance, *(f"ELBO {value:.2f}" for _, value in self._of("elbo"))]

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

    def row(self, values: dict[str, Any]) -> None:
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
        from rich.text import Text

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
        )
        parts: list[Any] = [self.progress, table, losses]
        if judged := self._judged():
            parts.append(Text("   ".join(judged)))
        if found := self.values.get(EVALUATION):
            parts.append(Text(f"evaluation: {verdict(found)}"))
        parts += [Text(f"! {name.replace('-', ' ')}: {what}", "yellow") for name, what in news(self.values).items()]
        if self.samples is not None:
            parts.append(self.samples)
        return Group(*parts)


def display(rounds: int, done: int, quiet: bool) -> Display:
    """The display that fits where the words go."""
    kind = Display if quiet else Panel if talk().is_terminal and not talk().is_dumb_terminal else Lines
    return kind(rounds, done)
