"""Search for latents: what a model made is found again, within the latent's distribution, each image on its own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import Copy, model_of

import gancli
from gancli.architectures import Generator, Spec, mlp
from gancli.editing.inversion import invert
from gancli.errors import GancliError, UsageError
from gancli.latents import LatentSpec
from gancli.model import Model


def error(model, images: Tensor, inputs) -> Tensor:
    return ((model.generate(inputs).float() - images.float()) / 255).square().flatten(1).mean(1)


@pytest.mark.parametrize("name", ["dcgan/digits", "quick/digits"])
def test_what_a_model_made_is_found_again(name: str) -> None:
    model = gancli.load(name, device="cpu")
    images = model.sample(seeds=[5000, 5001, 5002])
    nearest = invert(model, images, steps=0, restarts=1)
    told: list[int] = []
    found = invert(model, images, steps=100, progress=told.append)
    assert sum(told) == 300
    assert found.keys() == model.latent.from_seeds([0]).keys()
    assert found["z"].shape == (3, model.latent.dim)
    assert not found["z"].requires_grad
    assert (error(model, images, found) < 0.1 * error(model, images, nearest)).all()
    confined = model.latent.confine(found)["z"]
    assert torch.allclose(confined, found["z"], atol=1e-4)


def test_each_image_is_searched_for_on_its_own() -> None:
    model = gancli.load("dcgan/digits", device="cpu")
    images = model.sample(seeds=[5000, 5001])
    together = invert(model, images, steps=20, restarts=2)["z"]
    alone = [invert(model, image[None], steps=20, restarts=2)["z"] for image in images]
    assert torch.allclose(together, torch.cat(alone), atol=1e-3)


class Told(Generator):
    """Paints its class into the first pixel, its code into the second, tanh(z) into the rest."""

    def __init__(self) -> None:
        super().__init__(Spec((1, 2, 2), LatentSpec(2, classes=5, codes=1)), "sigmoid")
        self.weight = nn.Parameter(torch.zeros(1))

    def synthesize(self, w: Tensor) -> Tensor:
        z, y, c = w.split((2, 5, 1), 1)
        return torch.cat([y @ torch.arange(5.0)[:, None] / 4, (c + 1) / 2, (z.tanh() + 1) / 2], 1).view(-1, 1, 2, 2)


def told() -> Model:
    return model_of(Told(), name="told/toy")


def test_classes_are_chosen_and_codes_are_searched_for() -> None:
    images = (torch.tensor([[0.75, 0.9, 0.3, 0.6], [0.25, 0.0, 0.5, 0.5]]) * 255).round().byte().view(2, 1, 2, 2)
    found = invert(told(), images, steps=100)
    assert found["y"].tolist() == [3, 1]
    assert found["c"].flatten().tolist() == pytest.approx([0.8, -1.0], abs=0.02)
    assert found["z"][0].tanh().tolist() == pytest.approx([-0.4, 0.2], abs=0.02)


def test_no_image_is_no_latent() -> None:
    found = invert(told(), torch.empty(0, 1, 2, 2, dtype=torch.uint8))
    assert {name: len(values) for name, values in found.items()} == {"z": 0, "y": 0, "c": 0}


@pytest.mark.parametrize(
    ("model", "images", "message"),
    [
        (told(), torch.zeros(1, 3, 2, 2, dtype=torch.uint8), "the images are uint8 (1, 3, 2, 2)"),
        (told(), torch.zeros(1, 1, 2, 2), "the images are float32 (1, 1, 2, 2)"),
    ],
)
def test_images_of_another_kind(model, images: Tensor, message: str) -> None:
    with pytest.raises(GancliError) as raised:
        invert(model, images)
    assert (raised.value.message, raised.value.hint) == (message, "told/toy takes uint8 (N, 1, 2, 2)")


NUMBERS = mlp.Generator(Spec((1, 1, 4), LatentSpec(2)), hidden=[2], output="linear")
COPY = Copy(Spec((1, 2, 2), LatentSpec(1)))


@pytest.mark.parametrize(
    ("generator", "message"),
    [(COPY, "'toy/toy' makes images from images, not from seeds"), (NUMBERS, "toy/toy makes numbers, not pictures")],
)
def test_models_without_latents_or_pictures(generator: Any, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        invert(model_of(generator), torch.zeros(1, *generator.shape, dtype=torch.uint8))
    assert raised.value.message == message
