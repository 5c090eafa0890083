"""The tutorials' own settings: a recipe that names an origin trains as the origin did, and with nothing besides."""

from typing import Any

import pytest

from gancli import recipe
from gancli.architectures._build import build
from gancli.recipe import DESCRIPTIVE, Recipe
from gancli.zoo import catalogue

PLAIN = {"mirror": False, "only_class": None, "source": ""}


def resolved(model: str, **data: Any) -> Recipe:
    shape = {"size": [28, 28], "channels": 1} | data
    return recipe.parse(recipe.merge(recipe.for_data(catalogue.recipe_table(model), "mnist"), {"data": shape}))


def layers(model: str, network: str) -> list[str]:
    """The layers of a network in order, as PyTorch writes them, without what only groups others."""
    made = build(resolved(model), network, blank=True)
    return [repr(part) for part in made.modules() if not list(part.children())]


@pytest.mark.parametrize("model", ["sine-gan", "mlp-gan", "dcgan-upsample", "wgan", "wgan-gp"])
def test_nothing_is_added_that_the_origin_did_not_have(model: str) -> None:
    made = resolved(model)
    assert made.training.ema is None
    assert made.training.rate_decay == 0
    assert {key: getattr(made.data, key) for key in PLAIN} == PLAIN
    assert made.objective.options | {"smoothing": 0, "input_noise": 0, "pretrain": 0} == made.objective.options
    assert made.objective.options["rest"] == []
    assert made.objective.options["order"] == ["discriminator", "generator"]


def test_the_perceptron_of_28x28() -> None:
    made = resolved("mlp-gan")
    assert layers("mlp-gan", "generator") == [
        "Linear(in_features=100, out_features=128, bias=True)",
        "ReLU()",
        "Linear(in_features=128, out_features=784, bias=True)",
        "Sigmoid()",
    ]
    assert layers("mlp-gan", "discriminator") == [
        "Flatten(start_dim=1, end_dim=-1)",
        "Linear(in_features=784, out_features=128, bias=True)",
        "ReLU()",
        "Linear(in_features=128, out_features=1, bias=True)",
    ]
    assert made.latent.model_dump(exclude_none=True) == {"dim": 100, "distribution": "normal", "classes": 0, "codes": 0}
    assert made.objective.options["loss"] == "non-saturating"
    for section in made.optimizer.values():
        assert (section.name, section.lr, section.options["betas"]) == ("adam", 2e-4, [0.9, 0.999])
    assert (made.training.batch, made.training.samples, made.training.columns) == (128, 50, 10)
    assert build(made, "generator").range == (0.0, 1.0)


def test_the_dcgan_of_keras() -> None:
    made = resolved("dcgan-upsample")
    assert layers("dcgan-upsample", "generator") == [
        "Linear(in_features=100, out_features=12544, bias=True)",
        "BatchNorm1d(12544, eps=0.001, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        "ReLU()",
        "Dropout(p=0.4, inplace=False)",
        "UpsampledConvolution(256, 128, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
        "BatchNorm2d(128, eps=0.001, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        "ReLU()",
        "UpsampledConvolution(128, 64, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
        "BatchNorm2d(64, eps=0.001, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        "ReLU()",
        "ConvTranspose2d(64, 32, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
        "BatchNorm2d(32, eps=0.001, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
        "ReLU()",
        "ConvTranspose2d(32, 1, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
        "Sigmoid()",
    ]
    assert layers("dcgan-upsample", "discriminator") == [
        "SameConvolution(1, 64, kernel_size=(5, 5), stride=(2, 2))",
        "LeakyReLU(negative_slope=0.2)",
        "Dropout(p=0.4, inplace=False)",
        "SameConvolution(64, 128, kernel_size=(5, 5), stride=(2, 2))",
        "LeakyReLU(negative_slope=0.2)",
        "Dropout(p=0.4, inplace=False)",
        "SameConvolution(128, 256, kernel_size=(5, 5), stride=(2, 2))",
        "LeakyReLU(negative_slope=0.2)",
        "Dropout(p=0.4, inplace=False)",
        "SameConvolution(256, 512, kernel_size=(5, 5), stride=(1, 1))",
        "LeakyReLU(negative_slope=0.2)",
        "Dropout(p=0.4, inplace=False)",
        "Flatten(start_dim=1, end_dim=-1)",
        "Linear(in_features=8192, out_features=1, bias=True)",
    ]
    borders = [part.border for part in build(made, "discriminator", blank=True).body if hasattr(part, "border")]
    assert borders == [(1, 2, 1, 2), (1, 2, 1, 2), (2, 2, 2, 2), (2, 2, 2, 2)]
    assert made.latent.model_dump(exclude_none=True) == {
        "dim": 100,
        "distribution": "uniform",
        "classes": 0,
        "codes": 0,
    }
    options = made.objective.options
    assert (options["loss"], options["joint"], options["still_generator"]) == ("non-saturating", True, True)
    rates = {"discriminator": (8e-4, 6e-8), "generator": (4e-4, 3e-8)}
    for side, (rate, decay) in rates.items():
        section = made.optimizer[side]
        assert (section.name, section.lr, section.decay, section.clip_value) == ("rmsprop", rate, decay, 1.0)
        assert section.options == {"alpha": 0.9, "eps": 1e-7}
    assert (made.training.batch, made.training.budget) == (256, "2000 rounds")


def test_wgan_is_dcgan_with_four_changes_and_its_batch() -> None:
    """The critic ends without a sigmoid in both: here every discriminator gives logits, and the loss would add it."""
    old, new = (resolved(model).to_dict() for model in ("dcgan", "wgan"))
    changed = {path: value for path, _, value in recipe.differences(old, new)}
    for path in ("model", *DESCRIPTIVE, "training.budget"):
        changed.pop(path, None)
    optimizers = {path: changed.pop(path) for path in list(changed) if path.startswith("optimizer.")}
    assert changed == {
        "objective.loss": "wasserstein",
        "objective.clip": 0.01,
        "objective.steps.discriminator": 5,
        "training.batch": 64,
    }
    for side in ("generator", "discriminator"):
        assert optimizers[f"optimizer.{side}.name"] == "rmsprop"
        assert optimizers[f"optimizer.{side}.lr"] == 5e-5


def test_wgan_gp_is_its_papers() -> None:
    made = resolved("wgan-gp")
    options = made.objective.options
    assert options["penalties"] == {"gradient-penalty": {"weight": 10.0, "interval": 1}}
    assert (options["loss"], options["clip"], options["steps"]) == ("wasserstein", 0, {"discriminator": 5})
    for section in made.optimizer.values():
        assert (section.name, section.lr, section.options["betas"]) == ("adam", 1e-4, [0.0, 0.9])
    assert made.training.batch == 64
    assert not [layer for layer in layers("wgan-gp", "discriminator") if "Norm" in layer]
    assert [layer for layer in layers("wgan-gp", "generator") if "Norm" in layer]
