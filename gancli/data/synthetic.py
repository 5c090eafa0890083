"""Data made by a formula: numbers instead of pictures, drawn anew for every batch.

They are small enough to see all of what a generator does. ``sine`` is one curve with a little noise; ``ring``, ``grid``
and ``swissroll`` are points of the plane, the classic way to see a generator forget a part of its data.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Generator, Tensor

from gancli.data.points import Points

EXAMPLES = 10_000
"""Draws of a split, which stand for the endless data where something finite is needed."""

_SEEDS = {"train": 0, "test": 1}


@dataclass(frozen=True)
class Curve:
    """One curve, a row of numbers: sin(pi x) at evenly spaced x from -1 to 1, plus noise.

    The noise is independent from point to point, but is drawn once a batch and added to all of its rows: rows of one
    batch are equal, and a batch has no diversity of its own.

    Args:
        name: the data set's.
        width: points.
        noise: standard deviation of the noise.

    Attributes:
        limits: the lowest and the highest value that a plot shows, here as in the other formulas.
    """

    name: str
    width: int = 15
    noise: float = 0.02
    origin = "by a formula"
    limits = (-1.4, 1.4)

    @property
    def x(self) -> Tensor:
        """Where the points lie: (width,) from -1 to 1."""
        return torch.linspace(-1, 1, self.width)

    @property
    def true(self) -> Tensor:
        """The curve without noise: (width,)."""
        return self.at(self.x)

    def at(self, x: Tensor) -> Tensor:
        """The curve at any x, in the shape of x."""
        return torch.sin(math.pi * x)

    @property
    def columns(self) -> list[str]:
        """What the numbers of a row are called: their x."""
        return [f"{round(x, 4) + 0.0:.4f}" for x in self.x.tolist()]

    def draw(self, count: int, generator: Generator) -> Tensor:
        """One batch, float32 (count, width): the same noisy curve in every row."""
        return self.several(1, generator).repeat(count, 1)

    def several(self, count: int, generator: Generator) -> Tensor:
        """Rows of as many batches, float32 (count, width): each with noise of its own."""
        return self.true + self.noise * torch.randn(count, self.width, generator=generator)


@dataclass(frozen=True)
class Mixture:
    """Points of the plane around centres that are equally likely, normal in both directions.

    Args:
        name: the data set's.
        centres: (x, y) of each.
        sd: standard deviation around a centre.
    """

    name: str
    centres: tuple[tuple[float, float], ...]
    sd: float
    width = 2
    origin = "by a formula"
    columns = ("x", "y")

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that a plot shows, on both axes."""
        reach = 1.25 * max(abs(value) for centre in self.centres for value in centre)
        return -reach, reach

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Independent points, float32 (count, 2)."""
        chosen = torch.randint(len(self.centres), (count,), generator=generator)
        return torch.tensor(self.centres)[chosen] + self.sd * torch.randn(count, 2, generator=generator)

    several = draw


@dataclass(frozen=True)
class Spiral:
    """Points of the plane near a spiral: (t cos t, t sin t) / scale for t uniform from 1.5 pi to 4.5 pi, plus noise.

    These are two of the three coordinates of the swiss roll of Tenenbaum et al. (2000), in the proportions of
    Gulrajani et al. (2017, figure 1).

    Args:
        name: the data set's.
        sd: standard deviation of the noise, in both directions.
        scale: divisor that brings the spiral to about [-2, 2].
    """

    name: str
    sd: float = 0.25 / 7.5
    scale: float = 7.5
    limits = (-2.3, 2.3)
    origin = "by a formula"
    width = 2
    columns = ("x", "y")

    def at(self, part: Tensor) -> Tensor:
        """Points of the spiral itself, for parts from 0 (inside) to 1 (outside): (N,) to (N, 2)."""
        t = math.pi * (1.5 + 3 * part)
        return torch.stack([t * t.cos(), t * t.sin()], dim=1) / self.scale

    def draw(self, count: int, generator: Generator) -> Tensor:
        """Independent points, float32 (count, 2)."""
        noise = self.sd * torch.randn(count, 2, generator=generator)
        return self.at(torch.rand(count, generator=generator)) + noise

    several = draw


Formula = Curve | Mixture | Spiral | Points
"""What draws numbers: rows of ``width``, within ``limits`` where plotted; ``origin`` says in words how."""

_AROUND = tuple(
    (round(2 * math.cos(turn * math.pi / 4), 6), round(2 * math.sin(turn * math.pi / 4), 6)) for turn in range(8)
)
_SQUARE = tuple((2.0 * column - 4, 2.0 * row - 4) for row in range(5) for column in range(5))

FORMULAS: Mapping[str, Curve | Mixture | Spiral] = {
    formula.name: formula
    for formula in (
        Curve("sine"),
        # Metz et al. 2017, "Unrolled generative adversarial networks", section 3.2: 8 Gaussians on a ring of radius 2.
        Mixture("ring", _AROUND, 0.02),
        # Srivastava et al. 2017, "VEEGAN", section 4: 25 Gaussians on a grid.
        Mixture("grid", _SQUARE, 0.05),
        Spiral("swissroll"),
    )
}
"""By the name of the data set; :mod:`gancli.data.builtin.names` lists the same names without torch."""


def examples(formula: Formula, split: str, count: int = EXAMPLES) -> Tensor:
    """Fixed draws of a split, in the layout of images: float32 (count, 1, 1, width)."""
    generator = torch.Generator().manual_seed(_SEEDS[split])
    return formula.several(count, generator)[:, None, None, :]


def fingerprint(formula: Curve | Mixture | Spiral, split: str) -> str:
    """16 hex digits that stand for the formula's own numbers: the last bits of a draw depend on the processor."""
    return hashlib.sha256(repr((sorted(asdict(formula).items()), split)).encode()).hexdigest()[:16]
