"""Plots of generated numbers: curves beside the true one, points of the plane over real ones; and CSV.

Axes and size depend on the formula of the data alone, so that nothing else moves in an animation of plots.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Generator, Tensor

from gancli.rendering.images import save_picture, to_pil
from gancli.rendering.plots import quiet_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gancli.data.synthetic import Curve, Formula


REAL = 2_000
"""Real points behind the generated ones."""
CURVES, POINTS = (6.0, 4.5), (5.0, 5.0)
"""Sizes in inches, a hundred pixels each."""
_REAL, _MADE = "0.72", "#0072B2"
_TRUE = "#D55E00"


class Plot:
    """A plot that can be drawn repeatedly.

    Args:
        formula: of the data, a curve or points of the plane.
    """

    def __init__(self, formula: Formula) -> None:
        quiet_matplotlib()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.curve = None if formula.width == 2 else cast("Curve", formula)
        figure = Figure(figsize=CURVES if self.curve else POINTS, dpi=100)
        self.canvas: Any = FigureCanvasAgg(figure)
        # Placed by hand: automatic layout would move the axes with the title.
        self.axes: Axes = figure.add_axes((0.09, 0.08, 0.88, 0.85))
        if self.curve:
            x = self.curve.x
            self.axes.plot(x, self.curve.true, color=_TRUE, linewidth=2, linestyle="--", label="true", zorder=3)
            self.axes.plot([], [], color=_MADE, label="generated")
            self.axes.set(xlim=(float(x[0]), float(x[-1])))
        else:
            real = formula.draw(REAL, Generator().manual_seed(0))
            self.axes.scatter(*real.T.numpy(), s=4, color=_REAL, linewidths=0, label="real", zorder=1)
            self.axes.plot([], [], "o", color=_MADE, markersize=4, label="generated")
            self.axes.set(xlim=formula.limits, aspect="equal")
        self.axes.set(ylim=formula.limits)
        # Above the axes, where no point of the data can lie.
        self.axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9)
        self.axes.grid(color="0.93", linewidth=0.8, zorder=0)
        self.axes.spines[["top", "right"]].set_visible(False)

    def picture(self, rows: Tensor, title: str = "") -> Tensor:
        """Draw rows.

        Args:
            rows: (N, width), or the same numbers in the layout of images, (N, 1, 1, width).
            title: a line above it.

        Returns:
            uint8 (3, H, W).
        """
        rows = rows.detach().cpu().float().flatten(1)
        self.axes.set_title(title, loc="left", fontsize=9)
        few = len(rows) <= (8 if self.curve else 100)
        if self.curve:
            width, alpha = (1.6, 0.9) if few else (0.8, 0.35)
            x, y = self.curve.x, rows.T.numpy()
            drawn: list[Any] = self.axes.plot(x, y, color=_MADE, linewidth=width, alpha=alpha, zorder=2)
        else:
            size, alpha = (16, 0.9) if few else (5, 0.6)
            points = self.axes.scatter(*rows.T.numpy(), s=size, alpha=alpha, linewidths=0, color=_MADE, zorder=2)
            drawn = [points]
        try:
            self.canvas.draw()
            pixels = torch.frombuffer(bytearray(self.canvas.buffer_rgba()), dtype=torch.uint8)
        finally:
            for artist in drawn:
                artist.remove()
        width, height = self.canvas.get_width_height()
        return pixels.view(height, width, 4)[..., :3].permute(2, 0, 1).contiguous()

    def save(self, rows: Tensor, path: Path) -> None:
        """Draw rows and write them as PNG."""
        save_picture(to_pil(self.picture(rows)), path)


def to_csv(columns: Sequence[str], seeds: Iterable[int], rows: Tensor) -> str:
    """Rows (N, width) of numbers as CSV, one line for each seed, under the names of the columns."""
    # Nine digits restore a float32 exactly.
    lines = ([str(seed), *(f"{value:.9g}" for value in row)] for seed, row in zip(seeds, rows.tolist(), strict=True))
    return "".join(",".join(line) + "\n" for line in (["seed", *columns], *lines))
