"""Every registered architecture, because it is registered."""

import inspect

import pytest
import torch

from gancli import registry
from gancli.architectures._base import Spec
from gancli.architectures._build import build
from gancli.architectures.dcgan import stage_sizes
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.recipe import parse


def takes_latents(family: str) -> bool:
    """Whether it has a generator that makes images of latents, and not of other images."""
    generator = registry.get("architecture", family).get("generator")
    return generator is not None and "z" in inspect.signature(generator.forward).parameters


FAMILIES = [family for family in registry.names("architecture") if takes_latents(family)]
SHAPES = [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 64, 48), (1, 9, 31), (3, 30, 17), (4, 13, 13)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_ranges_and_gradients(family: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    spec = Spec(shape, LatentSpec(dim=12))
    roles = registry.get("architecture", family)
    generator, discriminator = roles["generator"](spec), roles["discriminator"](spec)
    images = generator(**spec.latent.from_seeds(range(4)))
    low, high = generator.range
    assert images.shape == (4, *shape)
    assert images.min() >= low
    assert images.max() <= high
    logits = discriminator(images)
    assert logits.shape == (4, 1)
    assert torch.isfinite(logits).all()
    logits.square().sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
    # A bias before batch norm takes none, so that every parameter counts.
    assert all(p.grad.abs().sum() > 0 for n, p in discriminator.named_parameters() if n.endswith("weight"))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_network(family: str) -> None:
    spec = Spec((1, 12, 12), LatentSpec(dim=5))
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(registry.get("architecture", family)["generator"](spec).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_does_not_depend_on_its_batch(family: str) -> None:
    torch.manual_seed(0)
    spec = Spec((3, 16, 16), LatentSpec(dim=7))
    generator = registry.get("architecture", family)["generator"](spec).eval()
    with torch.inference_mode():
        together = generator(**spec.latent.from_seeds(range(20)))
        alone = torch.cat([generator(**spec.latent.from_seeds([seed])) for seed in range(20)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(
    ("size", "base", "stages"),
    [
        ((64, 64), 4, [64, 32, 16, 8, 4]),
        ((28, 28), 4, [28, 14, 7, 4]),
        ((28, 28), 7, [28, 14, 7]),
        ((8, 8), 4, [8, 4]),
        ((8, 8), 7, [8, 4]),
        ((30, 50), 4, [30, 15, 8, 4]),
    ],
)
def test_dcgan_halves_to_its_base(size: tuple[int, int], base: int, stages: list[int]) -> None:
    assert [height for height, _ in stage_sizes(*size, base)] == stages


@pytest.mark.parametrize(
    ("family", "role"), [("dcgan", "generator"), ("dcgan", "discriminator"), ("patch", "discriminator")]
)
def test_dropout_changes_training_and_nothing_else(family: str, role: str) -> None:
    spec = Spec((1, 28, 28), LatentSpec(dim=12))
    made = []
    for options in ({}, {"dropout": 0.0}, {"dropout": 0.5}):
        torch.manual_seed(0)
        wide = {"dense": 16} if family == "dcgan" else {"conditional": False}
        made.append(registry.get("architecture", family)[role](spec, width=8, **wide, **options))
    without, none, some = made
    assert list(without.state_dict()) == list(none.state_dict())
    assert not any("Dropout" in type(module).__name__ for module in none.modules())
    inputs = torch.randn(4, 12) if role == "generator" else torch.randn(4, 1, 28, 28)
    with torch.inference_mode():
        torch.testing.assert_close(some.eval()(inputs), without.eval()(inputs))
    assert not torch.equal(some.train()(inputs), without.train()(inputs))


def test_dcgan_at_64_is_the_papers() -> None:
    """Figure 1 of the paper: 4x4x1024, 8x8x512, 16x16x256, 32x32x128, 64x64x3."""
    spec = Spec((3, 64, 64), LatentSpec(dim=100))
    generator = registry.get("architecture", "dcgan")["generator"](spec, width=128)
    sizes = []
    for module in generator.body:
        if hasattr(module, "convolution"):
            module.register_forward_hook(lambda m, i, o: sizes.append(tuple(o.shape[1:])))
    generator(**spec.latent.from_seeds([0, 1]))
    assert generator.base == (1024, 4, 4)
    assert sizes == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]


def test_dcgan_refuses_seven_pixels() -> None:
    with pytest.raises(UsageError) as refused:
        stage_sizes(7, 20)
    assert refused.value.message == "dcgan needs images of at least 8x8 pixels, these are 7x20"
    assert refused.value.hint == (
        "choose a larger size, as in --set data.size=[8,20], or --model gan, which takes any size"
    )


def test_a_network_of_absurd_size_takes_no_memory() -> None:
    network = {"architecture": "mlp", "hidden": [8192] * 64}
    recipe = parse(
        {
            "model": "x",
            "data": {"size": [8, 8], "channels": 1},
            "networks": {"generator": network},
            "objective": {"name": "adversarial"},
            "optimizer": {},
        },
        components=False,
    )
    with pytest.raises(UsageError, match=r"generator would have 4,\d+,\d+,\d+ parameters"):
        build(recipe, "generator")
