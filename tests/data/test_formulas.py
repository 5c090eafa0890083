"""The formulas: what is drawn is what their papers and tutorials draw."""

import math

import pytest
import torch

from gancli.data import DATASETS, load
from gancli.data.synthetic import FORMULAS, Curve, Mixture, Spiral, examples, fingerprint
from gancli.errors import UsageError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_names_are_known_without_torch():
    assert {name for name, facts in DATASETS.items() if facts.formula} == set(FORMULAS)
    for name, formula in FORMULAS.items():
        assert formula.name == name
        assert DATASETS[name].size == (1, formula.width)


def test_a_batch_of_the_sine_is_one_noisy_curve():
    batch = FORMULAS["sine"].draw(64, seeded())
    assert batch.shape == (64, 15)
    assert torch.equal(batch, batch[:1].expand(64, -1))
    curve = torch.tensor([math.sin(math.pi * (-1 + 2 * i / 14)) for i in range(15)])
    noise = torch.randn(1, 15, generator=seeded())
    assert torch.allclose(batch[0], curve + 0.02 * noise[0], atol=1e-6)
    assert not torch.equal(FORMULAS["sine"].draw(2, seeded(1)), batch[:2])


def test_examples_of_the_sine_differ_from_each_other():
    rows = examples(FORMULAS["sine"], "train", 4000).flatten(1)
    assert rows.std(0).mean() == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize(("name", "modes", "sd"), [("ring", 8, 0.02), ("grid", 25, 0.05)])
def test_mixtures_have_their_modes(name, modes, sd):
    formula = FORMULAS[name]
    assert isinstance(formula, Mixture)
    points = formula.draw(20_000, seeded())
    away, nearest = torch.cdist(points, torch.tensor(formula.centres)).min(1)
    assert nearest.bincount().min() > 0.85 * 20_000 / modes
    assert len(nearest.bincount()) == modes
    # The distance to the centre of a normal distribution of the plane is Rayleigh's.
    assert away.square().mean().div(2).sqrt() == pytest.approx(sd, rel=0.03)


def test_the_ring_has_radius_two_and_the_grid_steps_of_two():
    ring, grid = FORMULAS["ring"], FORMULAS["grid"]
    assert isinstance(ring, Mixture)
    assert isinstance(grid, Mixture)
    assert [math.hypot(*centre) for centre in ring.centres] == pytest.approx([2] * 8, abs=1e-5)
    assert sorted(grid.centres) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]


def test_the_swiss_roll_turns_one_and_a_half_times():
    roll = FORMULAS["swissroll"]
    assert isinstance(roll, Spiral)
    line = roll.at(torch.linspace(0, 1, 500))
    angle = torch.atan2(line[:, 1], line[:, 0])
    turned = (angle.diff() + math.pi) % (2 * math.pi) - math.pi
    assert turned.sum() == pytest.approx(3 * math.pi, rel=1e-4)
    assert (line.norm(dim=1).diff() > 0).all()
    nearest = torch.cdist(roll.draw(5000, seeded()), roll.at(torch.linspace(0, 1, 4000))).min(1).values
    assert nearest.square().mean().sqrt() == pytest.approx(roll.sd, rel=0.06)


@pytest.mark.parametrize("name", FORMULAS)
def test_plots_hold_all_of_the_data(name):
    formula = FORMULAS[name]
    low, high = formula.limits
    rows = examples(formula, "test")
    assert low < rows.min()
    assert rows.max() < high
    assert len(formula.columns) == formula.width


def test_loading():
    dataset = load("sine", split="test")
    assert dataset.formula is FORMULAS["sine"]
    assert dataset.images.shape == (10_000, 1, 1, 15)
    assert dataset.images.dtype == torch.float32
    assert dataset.labels is None
    assert not torch.equal(dataset.images, load("sine").images)
    assert load("sine", size=(1, 15), channels=1).fingerprint == load("sine").fingerprint != dataset.fingerprint


@pytest.mark.parametrize("view", [{"size": (28, 28)}, {"channels": 3}])
def test_numbers_have_no_other_shape(view):
    with pytest.raises(UsageError) as refused:
        load("sine", **view)
    assert (refused.value.message, refused.value.hint) == (
        "'sine' is 15 numbers a sample, not images",
        "leave out size and channels",
    )


def test_the_fingerprint_is_of_the_formula():
    assert fingerprint(Curve("sine"), "train") == fingerprint(FORMULAS["sine"], "train")
    assert fingerprint(Curve("sine", noise=0.03), "train") != fingerprint(FORMULAS["sine"], "train")
