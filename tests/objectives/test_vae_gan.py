"""VAE-GAN: who learns from what."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from steps import step

from gancli import recipe
from gancli.data import load
from gancli.errors import UsageError
from gancli.objectives.vae_gan import VaeGan
from gancli.runs import planning
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

CPU = torch.device("cpu")


def tiny(**sections) -> Trainer:
    table = recipe.for_data(catalogue.recipe_table("vae-gan"), "digits")
    small = {"latent": {"dim": 5}, "training": {"rounds": 4, "batch": 8, "samples": 8, "precision": "fp32"}}
    small["networks"] = {name: {"width": 4, "dense": 8, "base": 4} for name in table["networks"]}
    made = recipe.parse(recipe.merge(recipe.merge(table, small), sections))
    return Trainer(planning.resolve(made, load("digits"), CPU), load("digits"), CPU)


def test_three_players_share_one_batch_and_each_moves_its_own_network() -> None:
    one = tiny()
    assert [player.name for player in one.players] == ["encoder", "generator", "discriminator"]
    moved: dict[str, set[str]] = {}

    def watch(name: str, step) -> None:
        moved[name] = {n for n, p in parameters(one) if not torch.equal(p, before[n])}
        before.update((n, p.clone()) for n, p in parameters(one))

    def parameters(trainer: Trainer):
        return [(f"{n}.{k}", p) for n, network in trainer.networks.items() for k, p in network.named_parameters()]

    before = {n: p.clone() for n, p in parameters(one)}
    one.players = tuple(replace(player, after=partial(watch, player.name)) for player in one.players)
    one.round()
    assert one.batches.drawn == 8
    assert {name: {n.split(".")[0] for n in found} for name, found in moved.items()} == {n: {n} for n in moved}
    assert set(moved) == {"encoder", "generator", "discriminator"}
    found = one.means()
    names = {"kl", "features", "generator", "reconstruction", "discriminator"}
    assert {f"loss/{name}" for name in names} | {"probability/real", "probability/fake"} <= set(found)


def test_gamma_weighs_the_reconstruction_of_the_generator_alone() -> None:
    def losses(gamma: float, std: float) -> dict[str, float]:
        torch.manual_seed(0)
        one = tiny(objective={"gamma": gamma, "std": std})
        one.round()
        return one.means()

    plain, weighed, strict = losses(1.0, 1.0), losses(0.25, 1.0), losses(1.0, 0.5)
    assert weighed["loss/features"] == pytest.approx(plain["loss/features"])
    # The encoder has moved in between, alike in both.
    assert weighed["loss/reconstruction"] == pytest.approx(0.25 * plain["loss/reconstruction"], rel=1e-4)
    assert strict["loss/features"] == pytest.approx(4 * plain["loss/features"], rel=1e-4)


def test_features_are_the_chosen_activation() -> None:
    objective = tiny(objective={"layer": 1}).objective
    assert isinstance(objective, VaeGan)
    images = load("digits").images[:3].float() / 127.5 - 1
    logits, features = objective._features_of(step(objective, rows=3), images)
    body = objective.discriminator.body
    torch.testing.assert_close(features, body[1](body[0](images)))
    torch.testing.assert_close(logits, objective.discriminator(images))


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(UsageError) as refused:
        tiny(objective={"layer": 9})
    assert refused.value.message == "objective.layer = 9: this discriminator has 2 activations"
    assert refused.value.hint == "choose one from 1 to 2"
