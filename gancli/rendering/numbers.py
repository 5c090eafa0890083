"""Plots of what a generator of numbers makes: curves beside the true one, points of the plane on real ones.

The axes are fixed by the data's formula, and every plot of one formula has the same size in pixels, so that an
animation of plots holds still but for what it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import torch
from torch import Generator, Tensor

from gancli import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REAL = 2_000
"""Real points behind the generated ones."""
SIZE = {"curves": (6.0, 4.5), "points": (5.0, 5.0)}
"""Inches, a hundred pixels each."""
_REAL, _MADE = "0.72", "#0072B2"
_TRUE = "#D55E00"


class Formula(Protocol):
    """Where the numbers come from; ``x``, ``true`` and ``limits`` are used where it has them."""

    @property
    def width(self) -> int:
        """Numbers in a row: two are a point of the plane, others a curve."""
        ...

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Real rows, float32 (count, width)."""
        ...


class Plot:
    """One kind of plot, drawn again and again.

    Args:
        formula: of the data.
    """

    def __init__(self, formula: Formula) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        real = formula.draw(REAL, Generator().manual_seed(0))
        self.points = formula.width == 2
        figure = Figure(figsize=SIZE["points" if self.points else "curves"], dpi=100)
        self.canvas: Any = FigureCanvasAgg(figure)
        # Placed by hand: a layout that fits itself would move the axes with the title.
        self.axes: Axes = figure.add_axes((0.09, 0.08, 0.88, 0.85))
        limits = getattr(formula, "limits", None) or _around(real)
        self.x: Tensor = getattr(formula, "x", torch.arange(formula.width))
        if self.points:
            self.axes.scatter(*real.T.numpy(), s=4, color=_REAL, linewidths=0, label="real", zorder=1)
            self.axes.set(xlim=limits, ylim=limits, aspect="equal")
        else:
            true = getattr(formula, "true", real.mean(0))
            self.axes.plot(self.x, true, color=_TRUE, linewidth=2, linestyle="--", label="true", zorder=3)
            self.axes.set(xlim=(float(self.x[0]), float(self.x[-1])), ylim=limits)
        self._legend()

    def _legend(self) -> None:
        from matplotlib.lines import Line2D

        marker: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4} if self.points else {}
        made = Line2D([], [], color=_MADE, label="generated", **marker)
        handles = [*self.axes.get_legend_handles_labels()[0], made]
        # Above the axes, where no point of the data can lie.
        self.axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9)
        self.axes.grid(color="0.93", linewidth=0.8, zorder=0)
        self.axes.spines[["top", "right"]].set_visible(False)

    def picture(self, rows: Tensor, title: str = "") -> Tensor:
        """The plot of these rows as a picture.

        Args:
            rows: (N, width), or the same numbers in the layout of images, (N, 1, 1, width).
            title: a line above it.

        Returns:
            uint8 (3, H, W).
        """
        rows = rows.detach().cpu().float().flatten(1)
        self.axes.set_title(title, loc="left", fontsize=9)
        drawn = self._scatter(rows) if self.points else self._lines(rows)
        try:
            self.canvas.draw()
            pixels = torch.frombuffer(bytearray(self.canvas.buffer_rgba()), dtype=torch.uint8)
        finally:
            for artist in drawn:
                artist.remove()
        width, height = self.canvas.get_width_height()
        return pixels.view(height, width, 4)[..., :3].permute(2, 0, 1).contiguous()

    def _scatter(self, rows: Tensor) -> list[Any]:
        few = len(rows) <= 100
        style: dict[str, Any] = {"s": 16 if few else 5, "alpha": 0.9 if few else 0.6, "linewidths": 0}
        return [self.axes.scatter(rows[:, 0].numpy(), rows[:, 1].numpy(), color=_MADE, zorder=2, **style)]

    def _lines(self, rows: Tensor) -> list[Any]:
        few = len(rows) <= 8
        alpha = 0.9 if few else 0.35
        return self.axes.plot(self.x, rows.T.numpy(), color=_MADE, linewidth=1.6 if few else 0.8, alpha=alpha, zorder=2)


def _around(real: Tensor) -> tuple[float, float]:
    low, high = float(real.min()), float(real.max())
    margin = 0.15 * (high - low or 1.0)
    return low - margin, high + margin


def save_csv(path: Path, columns: Sequence[str], seeds: Iterable[int], rows: Tensor) -> None:
    """Write rows of numbers as CSV, a line a seed.

    Args:
        path: the file.
        columns: names of the numbers.
        seeds: one a row.
        rows: (N, width).
    """
    with files.atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, columns, seeds, rows)


def write_csv(file: TextIO, columns: Sequence[str], seeds: Iterable[int], rows: Tensor) -> None:
    """As :func:`save_csv`, into an open file."""
    import csv

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["seed", *columns])
    # Nine digits bring a float32 back to the bit.
    writer.writerows([seed, *(f"{value:.9g}" for value in row)] for seed, row in zip(seeds, rows.tolist(), strict=True))
