"""Discriminators that are told a class, and that read more than real or fake."""

import pytest
import torch

from gancli import registry
from gancli.architectures._base import Spec
from gancli.architectures.dcgan import Discriminator
from gancli.errors import UsageError
from gancli.latents import LatentSpec

FAMILIES = ["dcgan", "mlp"]
SPEC = Spec((3, 12, 9), LatentSpec(dim=5, classes=4, codes=2))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_generator_listens_to_class_and_codes(family: str) -> None:
    torch.manual_seed(0)
    generator = registry.get("architecture", family)["generator"](SPEC).eval()
    inputs = SPEC.latent.from_seeds(range(3))
    images = generator(**inputs)
    assert images.shape == (3, 3, 12, 9)
    assert not torch.equal(images, generator(**inputs | {"y": (inputs["y"] + 1) % 4}))
    assert not torch.equal(images, generator(**inputs | {"c": -inputs["c"]}))
    weights = torch.nn.functional.one_hot(inputs["y"], 4).float()
    torch.testing.assert_close(images, generator(**inputs | {"y": weights}))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_discriminator_may_be_told_the_class(family: str) -> None:
    torch.manual_seed(0)
    discriminator = registry.get("architecture", family)["discriminator"](SPEC, conditional=True).eval()
    images = torch.rand(4, 3, 12, 9)
    logits = discriminator(images, y=torch.tensor([0, 1, 2, 3]))
    assert logits.shape == (4, 1)
    assert not torch.allclose(logits, discriminator(images, y=torch.tensor([1, 1, 2, 3])))
    torch.testing.assert_close(logits[1:], discriminator(images, y=torch.tensor([1, 1, 2, 3]))[1:])


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_discriminator_may_read_class_and_codes(family: str, hidden: int) -> None:
    torch.manual_seed(0)
    make = registry.get("architecture", family)["discriminator"]
    discriminator = make(SPEC, heads=["codes", "class"], head_width=hidden)
    logits, codes, classes = discriminator(torch.rand(4, 3, 12, 9))
    assert (logits.shape, codes.shape, classes.shape) == ((4, 1), (4, 2), (4, 4))
    (logits.sum() + codes.square().sum() + classes.square().sum()).backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditional": True}, "a discriminator cannot be class-conditional: there are no classes"),
        ({"heads": ["class"]}, "a discriminator cannot have the head 'class': the generator takes no classes"),
        ({"heads": ["codes"]}, "a discriminator cannot have the head 'codes': the generator takes no codes"),
    ],
)
def test_what_nobody_says_cannot_be_heard(family: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        registry.get("architecture", family)["discriminator"](Spec((1, 8, 8), LatentSpec(3)), **options)
    assert refused.value.message == message


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_of_the_class_is_one_more_channel(channels: int) -> None:
    spec = Spec((channels, 12, 9), LatentSpec(dim=2, classes=3))
    discriminator = Discriminator(spec, width=4, conditional=True).double().eval()
    images, y = torch.randn(5, *spec.shape, dtype=torch.float64), torch.tensor([0, 2, 1, 2, 2])
    pictures = discriminator.pictures(y).view(-1, 1, 12, 9)
    parameters = list(discriminator.parameters())
    told, joined = discriminator(images, y), discriminator.body(torch.cat([images, pictures], 1))
    torch.testing.assert_close(told, joined)
    for one, other in zip(*(torch.autograd.grad(logits.sum(), parameters) for logits in (told, joined)), strict=True):
        torch.testing.assert_close(one, other)
