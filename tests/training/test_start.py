"""Starting from trained weights: what is taken over, what stays frozen, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CPU, Silent, dataset, left, run, tiny, trainer
from torch import Tensor

from gancli import checkpoint, recipe
from gancli.architectures._transfer import Misfit
from gancli.errors import UsageError
from gancli.recipe import Recipe
from gancli.runs import start
from gancli.runs.run import Interrupted, Run
from gancli.runs.start import Weights
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

ADA = {"name": "ada", "target": -0.9, "kimg": 0.1, "every": 1}
EMA = {"kimg": 1.0, "rampup": 0.05}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Of a run with ADA, whose EMA is another generator than the raw one."""
    folder = tmp_path_factory.mktemp("start") / "old"
    made = tiny(4, "dcgan", objective={"augment": ADA}, training={"ema": EMA, "seed": 5})
    run(folder, made).train(Silent())
    return start.read(str(folder))


def fine(weights: Weights, rounds: int = 4, freeze_d: int = 0, **sections: Any) -> Recipe:
    """A recipe that starts from the weights."""
    training = {"start": weights.start(freeze_d), "ema": EMA, **sections.pop("training", {})}
    return tiny(rounds, sections.pop("model", "dcgan"), training=training, **sections)


def started(weights: Weights, made: Recipe) -> Trainer:
    one = trainer(made)
    start.take_over(one, weights)
    return one


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_weights_are_the_average_the_raw_discriminator_and_adas_probability(weights: Weights) -> None:
    one = started(weights, fine(weights, objective={"augment": ADA}))
    assert one.ema is not None
    generator = weights.networks["generator"].state_dict()
    assert equal(one.networks["generator"].state_dict(), generator)
    assert equal(one.ema.networks["generator"].state_dict(), generator)
    assert equal(one.networks["discriminator"].state_dict(), weights.networks["discriminator"].state_dict())
    assert not any(optimizer.state for optimizer in one.optimizers.values())
    assert float(one.state()["objective"]["augmentation.probability"]) == pytest.approx(4 * 12 / 100)


def test_an_augmentation_that_nothing_adapts_starts_as_its_recipe_says(weights: Weights) -> None:
    augment = {"name": "ada", "target": "off", "probability": 0.25}
    one = started(weights, fine(weights, objective={"augment": augment}))
    assert float(one.state()["objective"]["augmentation.probability"]) == 0.25
    strange = replace(weights, augmentation={"probability": torch.tensor(float("nan"))})
    one = started(strange, fine(weights, objective={"augment": ADA}))
    assert float(one.state()["objective"]["augmentation.probability"]) == 0
    started(weights, fine(weights))  # without an augmentation


def test_the_average_begins_at_the_weights_with_a_tenth_of_the_half_life(weights: Weights) -> None:
    one = started(weights, fine(weights))
    assert one.ema is not None
    name = next(iter(dict(one.networks["generator"].named_parameters())))
    before = weights.networks["generator"].get_parameter(name).clone()
    one.round()
    raw, share = one.networks["generator"].get_parameter(name).detach(), 1 - 0.5 ** (12 / 100)
    assert not torch.equal(raw, before)
    torch.testing.assert_close(one.ema.networks["generator"].get_parameter(name), before.lerp(raw, share))


def test_frozen_layers_stay_and_all_others_are_trained(weights: Weights) -> None:
    one = started(weights, fine(weights, freeze_d=1, objective={"clip": 0.01}))
    for _ in range(3):
        one.round()
    old = weights.networks["discriminator"]
    for name, value in one.networks["discriminator"].named_parameters():
        assert torch.equal(value, old.get_parameter(name)) == name.startswith("body.0."), name
        assert value.requires_grad != name.startswith("body.0.")


def test_a_run_resumes_with_its_layers_frozen_and_without_the_weights(weights: Weights, tmp_path: Path) -> None:
    made = fine(weights, freeze_d=1)
    whole = Run(tmp_path / "whole", made, dataset(made), CPU, weights=weights)
    whole.train(Silent())
    stopped = Run(tmp_path / "stopped", made, dataset(made), CPU, weights=weights)
    with pytest.raises(Interrupted):
        stopped.train(Silent(), lambda: stopped.trainer.rounds == 2)
    resumed = run(tmp_path / "stopped", made)
    assert resumed.resumed
    resumed.train(Silent())
    assert left(tmp_path / "stopped") == left(tmp_path / "whole")
    kept, _ = checkpoint.read(tmp_path / "stopped" / catalogue.DISCRIMINATOR_FILE)
    assert torch.equal(
        kept["discriminator.body.0.weight"], weights.networks["discriminator"].state_dict()["body.0.weight"]
    )


def test_every_network_says_what_it_takes_over(weights: Weights) -> None:
    discriminator, generator = sorted(
        start.check(fine(weights, data={"channels": 3}), weights), key=lambda source: source.network
    )
    assert (generator.adapted, generator.misfits) == (("body.2.convolution.weight", "body.2.convolution.bias"), ())
    assert generator.taken == generator.parameters
    assert discriminator.adapted == ("body.0.weight",)
    wide = fine(weights, networks={"generator": {"width": 8}})
    (generator,) = (source for source in start.check(wide, weights) if source.network == "generator")
    assert generator.misfits[0] == Misfit("stem.3.weight", (128, 8), (64, 8))
    assert 0 < generator.taken < generator.parameters
    assert generator.reason == "other width (8 here, 4 there)"


def test_a_network_without_weights_starts_from_noise(weights: Weights) -> None:
    alone = replace(weights, networks={"generator": weights.networks["generator"]})
    made = fine(weights)
    found = {source.network: source.found for source in start.check(made, alone)}
    assert found == {"generator": True, "discriminator": False}
    noise = trainer(made).networks["discriminator"].state_dict()
    assert equal(started(alone, made).networks["discriminator"].state_dict(), noise)
    with pytest.raises(UsageError, match="no weights of a discriminator beside old"):
        start.check(fine(weights, freeze_d=1), alone)


def test_what_cannot_start_is_refused(weights: Weights, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        start.check(fine(weights, model="pictures"), weights)
    assert refused.value.message == (
        "no layer of old fits the generator of 'pictures': another architecture (fastgan here, dcgan there)"
    )
    assert refused.value.hint == "leave out `model` to train networks like those of old"
    with pytest.raises(UsageError, match="3 layers of the discriminator cannot be frozen: it has 3"):
        trainer(fine(weights, freeze_d=3))
    with pytest.raises(UsageError, match=r"body\.0\.weight would be frozen, and it starts from noise: other width"):
        start.check(fine(weights, freeze_d=1, networks={"discriminator": {"width": 8}}), weights)
    with pytest.raises(UsageError, match="'vae' has no discriminator whose layers could be frozen"):
        trainer(fine(weights, freeze_d=1, model="vae"))
    # Never noise in silence: a recipe of a fine-tuned run, or the weights of another one.
    with pytest.raises(UsageError, match="starts from the weights of old, and these were not named"):
        run(tmp_path / "new", fine(weights))
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="these were not named"):
        start.check(fine(weights), replace(weights, sha256="0" * 64))


def test_the_recipe_of_the_weights_is_fitted_to_other_data() -> None:
    weights = start.read("quick/digits")
    table = start.recipe_table(weights, "mnist")
    assert table["data"] == {"size": [8, 8], "source": "", "paired": True}
    assert table["latent"]["classes"] == "data"
    assert "shares" not in table["latent"]
    assert table["training"].keys() <= set(start.CARRIED)
    plain = recipe.parse(recipe.merge(start.recipe_table(weights, "photos", labelled=False), {"data": {"channels": 1}}))
    assert (plain.objective.name, plain.latent.classes) == ("adversarial", 0)
    assert not plain.networks["discriminator"].options["conditional"]
    assert plain.networks["generator"].options["width"] == 32
    back = recipe.parse(start.recipe_table(replace(weights, recipe=plain, labelled=False), "mnist"))
    assert (back.objective.name, back.latent.classes) == ("cgan", "data")
    assert "size" not in start.recipe_table(start.read("sine-gan/sine"), "ring")["data"]
