"""Judging numbers: what a formula says is compared with what a generator makes, with no features in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import torch
from torch import Tensor

import gancli
from gancli.data.synthetic import FORMULAS, Curve, Mixture, Numbers, Spiral, examples, fingerprint
from gancli.errors import GancliError, UsageError, nearest
from gancli.evaluation.protocol import PlainReport, averaged
from gancli.latents import MAX_SEED

if TYPE_CHECKING:
    from gancli.evaluation.features import Progress

SAMPLES = 2_500
"""As many as Srivastava et al. (2017, section 4) draw."""
FEWEST, MOST = 100, 1_000_000
NEAR = 3.0
"""Standard deviations within which a sample is of high quality (the same section)."""
ENOUGH = 0.2
"""A mode is found when it gets this share of what would be fair, as samples of high quality. The paper takes one sample
for enough; but one of 2,500 is luck."""
PIECES = 32
"""Pieces of equal likelihood into which the spiral is cut."""

Figures = dict[str, float]


class Subject(Interface):
    """What can be judged: a :class:`gancli.model.Model` of numbers, or anything with these."""

    @property
    def name(self) -> str:
        """How the report calls it."""
        ...

    @property
    def header(self) -> Mapping[str, Any]:
        """What its file says of itself."""
        ...

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """One row a seed: float32 (N, 1, 1, width)."""
        ...


@dataclass(frozen=True)
class Figure:
    """A named figure.

    Attributes:
        title: how tables head it.
        better: "lower", "higher", or "equal" where the real draws' own value is the aim.
        digits: decimals in tables.
    """

    title: str
    better: str
    digits: int = 4


FIGURES: Mapping[str, Figure] = {
    "rmse": Figure("RMSE", "lower"),
    "rmse_worst": Figure("RMSE, worst", "lower"),
    "spread": Figure("spread", "equal"),
    "modes": Figure("modes", "higher", 0),
    "quality": Figure("quality", "higher"),
    "coverage": Figure("coverage", "higher"),
}


def of_curve(rows: Tensor, formula: Curve) -> Figures:
    """Distance of each row to the true curve, and how much rows differ.

    Args:
        rows: (N, width).
        formula: the curve.

    Returns:
        ``rmse``, the mean over rows of the root of the mean squared distance to the curve; ``rmse_worst``, that of the
        worst row; ``spread``, the standard deviation over rows, the mean over points.
    """
    errors = (rows - formula.true).square().mean(1).sqrt()
    spread = rows.std(0, correction=0).mean()
    return {"rmse": float(errors.mean()), "rmse_worst": float(errors.max()), "spread": float(spread)}


def of_mixture(rows: Tensor, formula: Mixture) -> Figures:
    """Modes found, and the share of samples near one.

    Args:
        rows: (N, 2).
        formula: the mixture.

    Returns:
        ``modes``, those that have at least a fifth of their fair share of samples within three standard deviations;
        ``quality``, the share of samples within three standard deviations of the nearest mode.
    """
    distances, nearest = torch.cdist(rows, torch.tensor(formula.centres)).min(1)
    good = distances <= NEAR * formula.sd
    counts = torch.bincount(nearest[good], minlength=len(formula.centres))
    found = counts >= max(1.0, ENOUGH * len(rows) / len(formula.centres))
    return {"modes": float(found.sum()), "quality": float(good.float().mean())}


def of_spiral(rows: Tensor, formula: Spiral) -> Figures:
    """The share of samples near the spiral, and the share of the spiral near samples.

    Args:
        rows: (N, 2).
        formula: the spiral.

    Returns:
        ``quality``, the share of samples within three standard deviations of the spiral; ``coverage``, the share of 32
        pieces of it that have at least a fifth of their fair share of those samples.
    """
    steps = 64 * PIECES
    line = formula.at((torch.arange(steps) + 0.5) / steps)
    distances, nearest = torch.cdist(rows, line).min(1)
    good = distances <= NEAR * formula.sd
    counts = torch.bincount(nearest[good] * PIECES // steps, minlength=PIECES)
    covered = counts >= max(1.0, ENOUGH * len(rows) / PIECES)
    return {"quality": float(good.float().mean()), "coverage": float(covered.float().mean())}


_MEASURES: Mapping[type, Callable[[Tensor, Any], Figures]] = {Curve: of_curve, Mixture: of_mixture, Spiral: of_spiral}
_METHODS: Mapping[type, str] = {
    Curve: "distances to the curve without noise",
    Mixture: f"near is within {NEAR:g} standard deviations of a centre; a mode is found with "
    f"{ENOUGH:.0%} of its fair share of samples near it",
    Spiral: f"near is within {NEAR:g} standard deviations of the spiral; a piece of {PIECES} is covered with "
    f"{ENOUGH:.0%} of its fair share of samples near it",
}


def measure(rows: Tensor, formula: Numbers) -> Figures:
    """The figures of rows (N, width) for a formula, the most telling first."""
    return _MEASURES[type(formula)](rows.float(), formula)


@dataclass(frozen=True)
class Result:
    """One figure.

    Attributes:
        metric: its name in :data:`FIGURES`.
        value: of the generated numbers.
        floor: of as many real draws.
        better: see :class:`Figure`.
    """

    metric: str
    value: float
    floor: float
    better: str


@dataclass(frozen=True)
class Protocol:
    """Everything that a figure depends on beside the model's weights.

    Attributes:
        method: what is counted, in words.
        data: the data set.
        data_fingerprint: of its formula.
        split: which draws gave the floor.
        real_images: how many they were.
        generated_images: how many rows the model made.
        seeds: of the generated rows, both ends included.
        truncation: the largest value that latents could have; None for no limit.
        ema: whether the running average of the weights was judged; None when the model does not say.
        gancli: version of this program.
    """

    method: str
    data: str
    data_fingerprint: str
    split: str
    real_images: int
    generated_images: int
    seeds: str
    truncation: float | None
    ema: bool | None
    gancli: str


class FormulaReport(PlainReport):
    """What an evaluation of numbers found."""


def evaluate(
    model: Subject,
    data: str,
    samples: int | None = None,
    metrics: Sequence[str] = (),
    *,
    seed_start: int = 0,
    progress: Progress | None = None,
) -> FormulaReport:
    """Judge a model of numbers by the formula of its data.

    Args:
        model: what makes the numbers.
        data: a name of :data:`gancli.data.synthetic.FORMULAS`.
        samples: rows to generate; 2,500 unless given, and as many real draws for the floor.
        metrics: names of the figures; none for all that the formula has.
        seed_start: the first seed.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: numbers of another width than the data's, a number of samples out of range, an unknown figure.
        GancliError: the model makes something that is not a number.
    """
    formula, count = FORMULAS[data], SAMPLES if samples is None else samples
    if not FEWEST <= count <= MOST:
        raise UsageError(f"cannot judge by {count:,} samples", f"from {FEWEST} to {MOST:,} can be generated")
    if not 0 <= seed_start <= MAX_SEED + 1 - count:
        raise UsageError(f"{count:,} seeds from {seed_start} on leave the range", f"seeds go from 0 to {MAX_SEED}")
    seeds = range(seed_start, seed_start + count)
    report = progress or (lambda what, done, total: None)
    report("samples", 0, count)
    rows = model.sample(seeds).flatten(1)
    report("samples", count, count)
    if rows.shape[1] != formula.width:
        raise UsageError(
            f"'{model.name}' makes {rows.shape[1]} numbers a sample, and {data} has {formula.width}",
            "--data NAME says what to compare with",
        )
    if not torch.isfinite(rows).all():
        raise GancliError(f"'{model.name}' makes values that are no numbers", "train it anew with a smaller rate")
    values = measure(rows, formula)
    floors = measure(examples(formula, "test", count).flatten(1), formula)
    protocol = Protocol(
        method=_METHODS[type(formula)],
        data=data,
        data_fingerprint=fingerprint(formula, "test"),
        split="test",
        real_images=count,
        generated_images=count,
        seeds=f"{seeds[0]}-{seeds[-1]}",
        truncation=getattr(getattr(model, "latent", None), "truncation", None),
        ema=averaged(model.header),
        gancli=gancli.__version__,
    )
    chosen = list(dict.fromkeys(metrics)) or list(values)
    if unknown := [name for name in chosen if name not in values]:
        raise UsageError(f"'{data}' has no figure '{unknown[0]}'", nearest(unknown[0], values))
    results = tuple(Result(name, values[name], floors[name], FIGURES[name].better) for name in chosen)
    return FormulaReport(model.name, protocol, results)
