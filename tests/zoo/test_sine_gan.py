"""The sine curve GAN, setting by setting, as its tutorial has it."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from gancli import recipe
from gancli.architectures._build import build
from gancli.data import load
from gancli.recipe import Recipe
from gancli.runs import planning
from gancli.training.loop import Trainer
from gancli.zoo import catalogue


@pytest.fixture(scope="module")
def resolved() -> Recipe:
    table = recipe.for_data(catalogue.recipe_table("sine-gan"), "sine")
    return planning.resolve(recipe.parse(table), load("sine"), torch.device("cpu"))


def layers(network: nn.Module) -> list[str]:
    return [
        f"{layer.in_features}-{layer.out_features}" if isinstance(layer, nn.Linear) else type(layer).__name__
        for layer in network.modules()
        if not list(layer.children()) and not isinstance(layer, nn.Flatten | nn.Identity)
    ]


def test_the_recipe_is_the_tutorials(resolved: Recipe) -> None:
    assert (resolved.latent.dim, resolved.latent.distribution) == (5, "normal")
    assert layers(build(resolved, "generator")) == ["5-128", "ReLU", "128-15"]
    assert layers(build(resolved, "discriminator")) == ["15-128", "ReLU", "128-1"]
    for side in ("generator", "discriminator"):
        made = resolved.optimizer[side]
        assert (made.name, made.lr, made.options["betas"], made.decay, made.clip_value) == (
            "adam", 1e-4, [0.9, 0.999], 0, None,
        )  # fmt: skip
    training = resolved.training
    assert (training.batch, training.budget, training.precision) == (64, "10000 rounds", "fp32")
    assert training.ema is None
    assert training.rate_decay == 0


def test_the_objective_is_plain(resolved: Recipe) -> None:
    plain: dict[str, Any] = {
        "loss": "minimax", "reuse_fake": True, "steps": {}, "penalties": {}, "smoothing": 0.0, "input_noise": 0.0,
        "pretrain": 0, "rest": [], "joint": False, "still_generator": False, "clip": 0.0,
    }  # fmt: skip
    options = resolved.objective.options
    assert {name: options[name] for name in plain} == plain


def test_both_losses_are_the_minimax_forms_on_the_same_fakes(resolved: Recipe) -> None:
    trainer = Trainer(resolved.with_values(training={"rounds": 10}), load("sine"), torch.device("cpu"))
    seen: list[torch.Tensor] = []
    trainer.networks["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    discriminator = trainer.networks["discriminator"]
    trainer.round()
    (real, fake), again = seen[0].split(64), seen[1]
    assert torch.equal(fake, again)
    assert torch.equal(real, real[:1].expand(64, -1, -1, -1))
    means = trainer.means()
    assert means["score/discriminator"] == -means["loss/discriminator"]
    # After D's step, which is where G's loss was taken: mean log(1 - D(G(z))).
    with torch.no_grad():
        expected = (1 - discriminator(fake).sigmoid()).log().mean()
    assert means["loss/generator"] == pytest.approx(float(expected), abs=1e-5)
    assert means["loss/discriminator"] == pytest.approx(2 * math.log(2), abs=0.2)


def test_a_batch_has_no_diversity_of_its_own(resolved: Recipe) -> None:
    """So that nobody takes the one curve for a collapse."""
    from gancli.runs.previews import Preview

    trainer = Trainer(resolved.with_values(training={"rounds": 10}), load("sine"), torch.device("cpu"))
    assert Preview(trainer, load("sine")).statistics() == {}
