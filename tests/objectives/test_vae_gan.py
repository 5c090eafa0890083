"""VAE-GAN: who learns from what."""

import pytest
import torch

from gancli import recipe
from gancli.data import load
from gancli.errors import UsageError
from gancli.objectives.base import Chance, Turn
from gancli.objectives.vae_gan import VaeGan
from gancli.runs import planning
from gancli.training.loop import Trainer
from gancli.training.playback import directly
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
    turn = None
    for number, player in enumerate(one.players):
        before = {n: [p.clone() for p in network.parameters()] for n, network in one.networks.items()}
        turn = turn or Turn(one._chance(slice(None)))
        with one._only(player):
            one._step(player, [turn], directly)
        assert one.batches.drawn == 8, number
        moved = {
            n for n, network in one.networks.items()
            if any(not torch.equal(p, q) for p, q in zip(before[n], network.parameters(), strict=True))
        }  # fmt: skip
        assert moved == {player.name}
    found = one.means()
    names = {"kl", "features", "generator", "reconstruction", "discriminator"}
    assert {f"loss/{name}" for name in names} | {"probability/real", "probability/fake"} <= set(found)


def test_gamma_weighs_the_reconstruction_of_the_generator_alone() -> None:
    def losses(gamma: float, spread: float) -> dict[str, float]:
        torch.manual_seed(0)
        one = tiny(objective={"gamma": gamma, "spread": spread})
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
    logits, features = objective._look(Turn(Chance(dict, torch.Generator(), 3)), images)
    body = objective.discriminator.body
    torch.testing.assert_close(features, body[1](body[0](images)))
    torch.testing.assert_close(logits, objective.discriminator(images))


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(UsageError) as refused:
        tiny(objective={"layer": 9})
    assert refused.value.message == "objective.layer = 9: this discriminator has 2 activations"
    assert refused.value.hint == "choose one from 1 to 2"
