"""Figures of numbers, on samples whose faults are known."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gancli.data.synthetic import FORMULAS, Mixture, Spiral, examples
from gancli.errors import GancliError, UsageError
from gancli.evaluation.evaluators.checks import Options
from gancli.evaluation.evaluators.numbers import evaluate as evaluate_numbers
from gancli.evaluation.report import Report
from gancli.evaluation.subjects import Subject
from gancli.metrics import numbers


def real(name: str, count: int = 2500) -> Tensor:
    return examples(FORMULAS[name], "train", count).flatten(1)


class Planted(Subject):
    """Seed s gives row s of a tensor, over and over."""

    def __init__(self, rows: Tensor) -> None:
        self.rows, self.name, self.header = rows, "planted/numbers", {"recipe": {"training": {"ema": None}}}

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        for part in torch.tensor(seeds).split(batch):
            yield self.rows[part % len(self.rows)][:, None, None]


def measure(rows: Tensor, formula: Any) -> dict[str, float]:
    return numbers.measure(rows, formula)[0]


def evaluate(subject: Subject, data: str, count: int, metrics: Sequence[str] = (), seed_start: int = 0) -> Report:
    return evaluate_numbers(subject, data, Options(tuple(metrics), count, seed_start=seed_start))


def test_figures_of_a_curve_by_hand() -> None:
    formula = FORMULAS["sine"]
    true = torch.sin(math.pi * torch.linspace(-1, 1, 15))
    rows = torch.stack([true + 0.1, true - 0.3])
    found = measure(rows, formula)
    assert found["rmse"] == pytest.approx(0.2, abs=1e-6)
    assert found["rmse_worst"] == pytest.approx(0.3, abs=1e-6)
    assert found["spread"] == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_real_points_have_every_mode(name: str, modes: int) -> None:
    found = measure(real(name), FORMULAS[name])
    assert found["modes"] == modes
    # Within three standard deviations in both directions together: 1 - exp(-9 / 2).
    assert found["quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)


def test_a_mode_counts_with_a_fifth_of_its_share() -> None:
    formula = FORMULAS["grid"]
    assert isinstance(formula, Mixture)
    centres = torch.tensor(formula.centres)
    for extra, modes in ((19, 1), (20, 2)):
        rows = centres[[0] * (2500 - extra) + [7] * extra]
        assert measure(rows, formula) == {"modes": modes, "quality": 1}
    between = (centres[0] + centres[1]) / 2
    assert measure(torch.cat([centres, between.expand(75, 2)]), formula) == {"modes": 25, "quality": 0.25}


def test_the_spiral_knows_near_from_covered() -> None:
    formula = FORMULAS["swissroll"]
    assert isinstance(formula, Spiral)
    found = measure(real("swissroll"), formula)
    assert found["quality"] > 0.99
    assert found["coverage"] == 1
    half = measure(formula.at(torch.linspace(0, 0.5, 2500)), formula)
    assert half["quality"] == 1
    assert half["coverage"] == pytest.approx(0.5, abs=0.04)
    assert measure(torch.zeros(2500, 2), formula) == {"quality": 0, "coverage": 0}


def test_a_report_has_the_floor_and_says_how_it_was_made() -> None:
    report = evaluate(Planted(real("grid")[:1]), "grid", 500, seed_start=3)
    (modes, quality) = report.results
    assert (modes.metric, modes.value, modes.floor, modes.better) == ("modes", 1, 25, "higher")
    assert quality.floor > 0.97
    assert modes.baseline == 0
    assert quality.baseline == pytest.approx(0.03, abs=0.02)
    table = report.to_dict()
    assert table["protocol"]["seeds"] == "3-502"
    assert table["protocol"]["generated_images"] == 500
    assert table["protocol"]["ema"] is False
    assert table["protocol"]["method"].startswith("near is within 3 standard deviations")
    assert {row["metric"] for row in table["results"]} <= {figure.name for figure in numbers.FIGURES}
    assert [row.metric for row in evaluate(Planted(real("sine")), "sine", 100, ["spread"]).results] == ["spread"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: evaluate(Planted(real("sine")), "grid", 100), "makes 15 numbers a sample, and grid has 2"),
        (lambda: evaluate(Planted(real("grid")), "grid", 99), "cannot evaluate by 99 samples"),
        (lambda: evaluate(Planted(real("grid")), "grid", 100, seed_start=2**32 - 50), "leave the range"),
        (lambda: evaluate(Planted(real("grid")), "grid", 100, ["fid"]), "'grid' has no figure 'fid'"),
    ],
)
def test_what_cannot_be_judged(ask: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask()


def test_no_numbers() -> None:
    with pytest.raises(GancliError, match="values that are no numbers"):
        evaluate(Planted(torch.full((1, 2), math.nan)), "grid", 100)
