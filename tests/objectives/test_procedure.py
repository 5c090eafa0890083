"""How the sides alternate: each option does what it says, with every loss and family that it fits."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from steps import ToyDiscriminator, step
from torch import nn

from gancli import registry
from gancli.errors import UsageError
from gancli.objectives.adversarial import Adversarial
from gancli.terms.batch import Batch
from gancli.terms.regularizers import GradientPenalty

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from tiny import tiny, trainer

LOSSES = registry.names("loss")


def moved(one: Any, rounds: int) -> list[set[str]]:
    """The networks whose weights changed in each round."""
    found = []
    for _ in range(rounds):
        before = {n: [p.clone() for p in network.parameters()] for n, network in one.networks.items()}
        one.round()
        found.append(
            {
                name
                for name, network in one.networks.items()
                if any(not torch.equal(a, b) for a, b in zip(before[name], network.parameters(), strict=True))
            }
        )
    return found


BOTH = {"generator", "discriminator"}


def test_the_discriminator_may_train_alone_at_first() -> None:
    assert moved(trainer(tiny(objective={"pretrain": 2})), 3) == [{"discriminator"}, {"discriminator"}, BOTH]


def test_a_side_may_rest_for_a_period() -> None:
    rest = [{"side": "discriminator", "first": 1, "last": 2}]
    one = trainer(tiny(objective={"rest": rest}))
    assert moved(one, 4) == [BOTH, {"generator"}, {"generator"}, BOTH]
    assert one.steps == {"discriminator": 2, "generator": 4}


def test_k_steps_of_the_discriminator_a_round() -> None:
    one = trainer(tiny(objective={"steps": {"discriminator": 3}}))
    one.round()
    assert one.steps == {"discriminator": 3, "generator": 1}
    assert one.batches.drawn == 36


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("model", ["gan", "dcgan", "mlp-gan"])
def test_the_options_go_with_every_loss_and_family(model: str, loss: str) -> None:
    smooth = {"smoothing": 0.1} if registry.get("loss", loss).smooths else {}
    options = {"loss": loss, "input_noise": 0.1, "joint": True, "still_generator": True, "pretrain": 1, **smooth}
    one = trainer(tiny(3, model, objective=options))
    for _ in range(3):
        one.round()
    means = one.means()
    assert all(torch.tensor(value).isfinite() for value in means.values())
    assert {"loss/generator", "loss/discriminator", "score/discriminator"} <= set(means)


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_smoothing_is_cross_entropy_with_another_label(loss: str) -> None:
    real, fake = torch.randn(2, 9, dtype=torch.double)
    ours = registry.get("loss", loss)(0.1).d(real, fake)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    assert ours == pytest.approx(
        (entropy(real, torch.full_like(real, 0.9)) + entropy(fake, torch.zeros_like(fake))).item()
    )


def test_smoothing_moves_the_target_of_least_squares() -> None:
    real = torch.full((4,), 0.9)
    assert registry.get("loss", "least-squares")(0.1).d(real, torch.zeros(4)) == pytest.approx(0)


@pytest.mark.parametrize("loss", ["wasserstein", "hinge"])
def test_a_critic_has_no_labels_to_smooth(loss: str) -> None:
    with pytest.raises(UsageError, match=f"objective.smoothing = 0.1: '{loss}' has no labels"):
        tiny(objective={"loss": loss, "smoothing": 0.1})


def test_one_batch_for_both_gives_half_of_the_sum() -> None:
    """Without batch norm the logits are the same, and the mean over both batches is half of the two means' sum."""
    losses = []
    for joint in (False, True):
        one = trainer(tiny(2, "mlp-gan", objective={"joint": joint}))
        one.round()
        losses.append(one.means()["loss/discriminator"])
    assert losses[1] == pytest.approx(losses[0] / 2, rel=1e-5)


def test_a_still_generator_keeps_its_statistics_while_the_discriminator_learns() -> None:
    options = {"still_generator": True, "pretrain": 2}
    one = trainer(tiny(objective=options))
    before = {name: value.clone() for name, value in one.generator.named_buffers()}
    one.round()
    assert all(torch.equal(before[name], value) for name, value in one.generator.named_buffers())
    assert one.generator.training


def test_weights_are_clipped_after_each_step() -> None:
    one = trainer(tiny(model="wgan"))
    one.round()
    assert max(p.abs().max() for p in one.networks["discriminator"].parameters()) <= 0.01
    assert max(p.abs().max() for p in one.networks["generator"].parameters()) > 0.01


class Linear(ToyDiscriminator):
    """f(x) = w x; remembers what it was called with."""

    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight, self.seen = torch.tensor(weight), []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images.detach())
        return images.flatten(1) @ self.weight


def penalty(critic: Linear, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    objective = Adversarial({"generator": nn.Identity(), "discriminator": critic})
    one = step(objective, Batch(real), rows=len(real))
    one.__dict__["fake"] = fake
    return GradientPenalty()(one)


def test_the_gradient_penalty_of_a_linear_critic_is_known() -> None:
    """f(x) = w x has the gradient norm |w| everywhere, so that the penalty is (|w| - 1)^2."""
    real, fake = torch.randn(2, 6, 1, 1, 2)
    assert penalty(Linear([3.0, 4.0]), real, fake).item() == pytest.approx(16.0)


def test_the_gradient_penalty_draws_one_epsilon_a_sample() -> None:
    critic = Linear([1.0, 1.0, 1.0, 1.0])
    penalty(critic, torch.ones(5, 1, 2, 2), torch.zeros(5, 1, 2, 2))
    mixed = critic.seen[0].flatten(1)
    assert torch.equal(mixed, mixed[:, :1].expand_as(mixed))
    assert len(mixed[:, 0].unique()) == 5


def test_dropout_in_both_sides() -> None:
    networks = {side: {"dropout": 0.5} for side in BOTH}
    one = trainer(tiny(2, "gan", networks=networks))
    one.round()
    assert all(any(isinstance(m, torch.nn.Dropout) for m in n.modules()) for n in one.networks.values())


def test_each_side_has_its_own_rate_and_latents_their_distribution() -> None:
    one = trainer(tiny(optimizer={"generator": {"lr": 1e-3}}, latent={"distribution": "uniform"}))
    one.round()
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in one.optimizers.items()}
    assert rates["generator"] == 1e-3 != rates["discriminator"]
    assert one._latents()["z"].abs().max() <= 1


@pytest.mark.parametrize("model", ["wgan", "wgan-gp", "quick"])
def test_half_precision_serves_every_loss(model: str) -> None:
    one = trainer(tiny(2, model, training={"precision": "bf16"}))
    one.round()
    assert all(torch.tensor(value).isfinite() for value in one.means().values())


def test_a_batch_independent_discriminator_is_called_once() -> None:
    """The same losses and gradients from one batch of real and fake images as from two."""
    found = []
    for together in (True, False):
        one = trainer(tiny(model="mlp-gan", networks={"discriminator": {"dropout": 0.0}}))
        discriminator = one.networks["discriminator"]
        assert discriminator.batch_independent
        discriminator.batch_independent = together
        calls: list[int] = []
        discriminator.register_forward_hook(lambda module, inputs, output, calls=calls: calls.append(len(inputs[0])))
        one.round()
        assert calls == ([24, 12] if together else [12, 12, 12])
        found.append([p.grad for p in discriminator.parameters()] + list(one.networks["generator"].parameters()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)
