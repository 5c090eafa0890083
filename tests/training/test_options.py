"""The procedure of the tutorials, for every model of the zoo that has a discriminator."""

from collections.abc import Collection
from functools import cache
from typing import Any

import pytest
import torch
from test_trainer import same
from tiny import tiny, trainer

from gancli import checkpoint, registry
from gancli.errors import UsageError
from gancli.recipe import Recipe
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

MODELS = [
    name
    for name in catalogue.models()
    if "discriminator" in catalogue.recipe_table(name)["networks"] and not name.endswith("-small")
]
"""Small versions of a model have its parts."""
WITHOUT_LABELS = ["wasserstein", "hinge", "relativistic"]
WITHOUT_LATENTS = [name for name in MODELS if catalogue.recipe_table(name).get("data", {}).get("source")]

OPTIONS: dict[str, dict[str, Any]] = {
    "steps": {"objective": {"steps": {"discriminator": 2, "generator": 2}}},
    "pretrain": {"objective": {"pretrain": 1}},
    "rest": {"objective": {"rest": [{"side": "discriminator", "first": 1, "last": 1}]}},
    "smoothing": {"objective": {"smoothing": 0.25}},
    "input noise": {"objective": {"input_noise": 0.25}},
    "dropout in G": {"networks": {"generator": {"dropout": 0.6}}},
    "dropout in D": {"networks": {"discriminator": {"dropout": 0.6}}},
    "rates": {"optimizer": {"generator": {"lr": 3e-3}, "discriminator": {"lr": 4e-3}}},
    "normal latents": {"latent": {"distribution": "normal"}},
    "uniform latents": {"latent": {"distribution": "uniform"}},
}


def two_rounds(made: Recipe) -> Trainer:
    one = trainer(made)
    one.round()
    one.round()
    return one


@cache
def weights(model: str) -> dict[str, torch.Tensor]:
    """After two rounds of the zoo's own recipe."""
    return parameters(two_rounds(tiny(2, model)))


def parameters(one: Trainer) -> dict[str, torch.Tensor]:
    """In order; dropout, which has none, shifts their names."""
    return {
        f"{name}.{number}": parameter.detach()
        for name, network in one.networks.items()
        for number, parameter in enumerate(network.parameters())
    }


def options_of(model: str, role: str) -> Collection[str]:
    """Names of a network's options."""
    network = catalogue.recipe_table(model)["networks"][role]
    return registry.options(registry.get("architecture", network["architecture"])[role]).model_fields


def refused(model: str, option: str) -> str | None:
    """Why the model cannot have the option."""
    loss = catalogue.recipe_table(model)["objective"].get("loss")
    if option == "smoothing" and loss in WITHOUT_LABELS:
        return f"'{loss}' has no labels to smooth"
    role = "generator" if option.endswith("G") else "discriminator"
    if option.startswith("dropout") and "dropout" not in options_of(model, role):
        return "dropout = 0.6: unknown key"
    if option == "uniform latents" and model == "vae-gan":
        return "codes are compared with N"
    return None


def tells(model: str, option: str) -> bool:
    """Whether the option is another one than the model has already, of something that the model has."""
    latent = {"distribution": "normal", **catalogue.recipe_table(model).get("latent", {})}
    return "latents" not in option or not (model in WITHOUT_LATENTS or option.startswith(latent["distribution"]))


CASES = [(model, option) for model in MODELS for option in OPTIONS if tells(model, option)]


@pytest.mark.parametrize(("model", "option"), CASES)
def test_every_option_tells_in_every_model(model: str, option: str) -> None:
    if reason := refused(model, option):
        with pytest.raises(UsageError, match=reason):
            tiny(2, model, **OPTIONS[option])
        return
    plain, changed = weights(model), parameters(two_rounds(tiny(2, model, **OPTIONS[option])))
    assert plain.keys() == changed.keys()
    assert any(not torch.equal(plain[name], changed[name]) for name in plain)
    assert all(value.isfinite().all() for value in changed.values())


SIDES = {
    "cyclegan": [{"generator", "back"}, {"discriminator", "discriminator_source"}],
    "vae-gan": [{"generator", "encoder"}, {"discriminator"}],
}


def moved(one: Trainer) -> set[str]:
    """The networks whose weights a round changes."""
    before = {name: value.clone() for name, value in parameters(one).items()}
    one.round()
    return {name.split(".")[0] for name, value in parameters(one).items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", SIDES)
def test_a_side_that_stands_still_leaves_the_other_to_play(model: str, precision: str) -> None:
    makers, judges = SIDES[model]
    objective = {"pretrain": 1, "rest": [{"side": "discriminator", "first": 1, "last": 1}]}
    one = trainer(tiny(3, model, objective=objective, training={"precision": precision}))
    assert [moved(one) for _ in range(3)] == [judges, makers, makers | judges]


@pytest.mark.parametrize("model", SIDES)
def test_every_step_has_a_batch_of_its_own_unless_the_sides_step_in_turn(model: str) -> None:
    def images(**objective: Any) -> int:
        one = trainer(tiny(2, model, objective=objective))
        one.round()
        return one.batches.drawn // 12

    makers = 1 if model == "cyclegan" else 2
    assert images() == images(steps={"discriminator": 1}) == 1
    assert images(steps={"discriminator": 3}) == makers + 3
    assert images(steps={"generator": 2}) == 2 * makers + 1


@pytest.mark.parametrize("model", SIDES)
def test_the_procedure_resumes_to_the_bit(model: str, tmp_path) -> None:
    rest = [{"side": "discriminator", "first": 1, "last": 2}]
    objective = {"pretrain": 1, "steps": {"discriminator": 2}, "smoothing": 0.1, "input_noise": 0.1, "rest": rest}
    whole, second = (trainer(tiny(8, model, objective=objective)) for _ in range(2))
    for _ in range(4):
        whole.round()
    flat, plain = checkpoint.flatten(whole.state())
    checkpoint.write(tmp_path / "s.safetensors", flat, {"state": plain})
    read, header = checkpoint.read(tmp_path / "s.safetensors")
    for _ in range(4):
        whole.round()
    second.load_state(checkpoint.unflatten(header["state"], read))
    for _ in range(4):
        second.round()
    assert same(whole.state(), second.state())
