"""Losses and regularizers against values worked out by hand, in float64."""

import math

import pytest
import torch
from steps import ToyDiscriminator, step
from torch import nn

from gancli import registry
from gancli.objectives.adversarial import Adversarial
from gancli.terms.batch import Batch
from gancli.terms.regularizers import R1, R2

REAL = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.5], [-3.0]], dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


CROSS_ENTROPY = (
    -(math.log(sigmoid(2)) + math.log(sigmoid(-1))) / 2 - (math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-3))) / 2
)


@pytest.mark.parametrize(
    ("name", "d", "g"),
    [
        ("non-saturating", CROSS_ENTROPY, -(math.log(sigmoid(0.5)) + math.log(sigmoid(-3))) / 2),
        ("minimax", CROSS_ENTROPY, (math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-3))) / 2),
        ("least-squares", (1 + 4) / 4 + (0.25 + 9) / 4, (0.25 + 16) / 4),
        # Pairs: 2 with 0.5, -1 with -3. Means: 0.5 of the real logits, -1.25 of the fake ones.
        ("relativistic", (softplus(-1.5) + softplus(-2)) / 2, (softplus(1.5) + softplus(2)) / 2),
        (
            "relativistic-average",
            (softplus(-3.25) + softplus(-0.25)) / 2 + (softplus(0) + softplus(-3.5)) / 2,
            (softplus(3.25) + softplus(0.25)) / 2 + (softplus(0) + softplus(3.5)) / 2,
        ),
    ],
)
def test_losses(name: str, d: float, g: float) -> None:
    loss = registry.get("loss", name)()
    assert loss.d(REAL, FAKE).item() == pytest.approx(d, rel=1e-12)
    assert loss.g(REAL if loss.relativistic else None, FAKE).item() == pytest.approx(g, rel=1e-12)


@pytest.mark.parametrize("name", registry.names("loss"))
def test_every_loss_is_finite_and_has_gradients_at_extreme_logits(name: str) -> None:
    loss = registry.get("loss", name)()
    real, fake = torch.tensor([[1e4], [-1e4]]), torch.tensor([[1e4], [-1e4]], requires_grad=True)
    total = loss.d(real, fake) + loss.g(real if loss.relativistic else None, fake)
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(fake.grad).all()


@pytest.mark.parametrize("name", registry.names("loss"))
def test_every_loss_prefers_the_right_order(name: str) -> None:
    loss = registry.get("loss", name)()
    high, low = torch.full((4, 1), 0.9), torch.full((4, 1), 0.1)
    assert loss.d(high, low) < loss.d(low, high)
    real = (high + low) / 2 if loss.relativistic else None
    assert loss.g(real, high) < loss.g(real, low)


@pytest.mark.parametrize("regularizer", [R1(), R2()])
def test_r1_and_r2_of_a_linear_discriminator_are_half_its_squared_weights(regularizer: R1 | R2) -> None:
    network = ToyDiscriminator()
    network.body = nn.Sequential(nn.Flatten(), nn.Linear(6, 1, dtype=torch.float64))
    network.readings = None
    x = torch.randn(5, 1, 2, 3, dtype=torch.float64)
    objective = Adversarial({"generator": nn.Identity(), "discriminator": network})
    one = step(objective, Batch(x), rows=5, image_gradients=True)
    one.__dict__["fake"] = x.clone().requires_grad_()
    value = regularizer(one)
    torch.testing.assert_close(value, 0.5 * network.body[1].weight.square().sum())
    value.backward()
    torch.testing.assert_close(network.body[1].weight.grad, network.body[1].weight.detach())
