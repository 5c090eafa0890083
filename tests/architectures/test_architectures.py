"""Every registered architecture, because it is registered."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gancli import registry
from gancli.architectures import Discriminator, Generator, Sizes, Spec, Translator
from gancli.architectures._build import build
from gancli.architectures.dcgan import stage_sizes
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.recipe import parse


class Square(Generator):
    """A family for grey squares of a power of two, such as progressively growing ones are."""

    serves = Sizes(minimum=4, maximum=64, square=True, power_of_two=True)

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec, "tanh")
        self.body = nn.Sequential(nn.Linear(spec.latent.width, math.prod(spec.shape)), nn.Tanh())

    def synthesize(self, w: Tensor) -> Tensor:
        return self.body(w).view(-1, *self.shape)


FAMILIES = {name: registry.get("architecture", name) for name in registry.names("architecture")}
FAMILIES["square"] = {"generator": Square}
GENERATORS = [name for name, roles in FAMILIES.items() if issubclass(roles.get("generator", nn.Module), Generator)]
SHAPES = [
    (1, 28, 28),
    (3, 32, 32),
    (1, 8, 8),
    (3, 64, 48),
    (1, 9, 31),
    (3, 30, 17),
    (4, 13, 13),
    (4, 16, 16),
    (1, 64, 64),
    (1, 2, 3),
]
SERVED = [
    pytest.param(make, shape, id=f"{family}-{role}-{'x'.join(map(str, shape))}")
    for family, roles in FAMILIES.items()
    for role, make in roles.items()
    for shape in SHAPES
    if make.serves.nearest(*shape[1:]) == shape[1:] and shape[0] in make.serves.channels
]


def output(network: nn.Module, spec: Spec) -> Tensor:
    """What a network of any kind gives for four images or latents."""
    if isinstance(network, Generator):
        return network(**spec.latent.from_seeds(range(4)))
    images = torch.rand(4, *spec.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    if isinstance(network, Translator):
        return network(source=images)
    return network(images, source=images) if getattr(network, "takes_source", False) else network(images)


@pytest.mark.parametrize(("make", "shape"), SERVED)
def test_shapes_ranges_and_gradients(make: Any, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    spec = Spec(shape, LatentSpec(dim=12))
    network = make(spec)
    with torch.no_grad():
        for weight in network.parameters():  # a residual branch that ends with zeros hides its other layers
            weight += 0.1 * torch.randn_like(weight) if weight.dim() > 1 and not weight.any() else 0
    made = output(network, spec)
    if isinstance(network, Generator | Translator):
        assert made.shape == (4, *shape)
        assert network.range[0] <= made.min()
        assert made.max() <= network.range[1]
    elif isinstance(network, Discriminator):
        assert made.shape[:2] == (4, 1)
    else:
        assert made.shape == (4, 12)
    assert torch.isfinite(made).all()
    made.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if isinstance(network, Discriminator) and name.endswith("weight"):  # a bias before batch norm takes none
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_family_does_not_serve_is_refused(family: str) -> None:
    for role, make in FAMILIES[family].items():
        for shape in SHAPES:
            if make.serves.nearest(*shape[1:]) != shape[1:]:
                with pytest.raises(UsageError, match="needs "):
                    make(Spec(shape, LatentSpec(dim=2)))
        near = make.serves.nearest(50, 60)
        assert make.serves.nearest(*near) == near, role


@pytest.mark.parametrize(
    ("size", "message", "hint"),
    [
        (
            (30, 20),
            "x needs square images with sides that are powers of two of at least 4x4 pixels, these are 30x20",
            "choose a larger size, as in `data.size=[32,32]`",
        ),
        (
            (100, 100),
            "x needs square images with sides that are powers of two of at most 64x64 pixels, these are 100x100",
            "choose another size, as in `data.size=[64,64]`",
        ),
    ],
)
def test_a_refusal_names_the_nearest_size(size: tuple[int, int], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        Square.serves.check("x", size)
    assert (refused.value.message, refused.value.hint) == (message, hint)


def test_channels_that_are_not_served_are_refused() -> None:
    class Opaque(Square):
        serves = replace(Square.serves, channels=(1, 3))

    with pytest.raises(UsageError) as refused:
        Opaque(Spec((4, 8, 8), LatentSpec(2)))
    assert refused.value.message.endswith("needs images of 1 or 3 channels, these have 4")
    assert refused.value.hint == "as in `data.channels=3`"


@pytest.mark.parametrize("family", GENERATORS)
def test_the_same_seed_gives_the_same_network(family: str) -> None:
    spec = Spec((1, *FAMILIES[family]["generator"].serves.nearest(16, 16)), LatentSpec(dim=5))
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(FAMILIES[family]["generator"](spec).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


@pytest.mark.parametrize("family", GENERATORS)
def test_an_image_does_not_depend_on_its_batch(family: str) -> None:
    torch.manual_seed(0)
    spec = Spec((1, *FAMILIES[family]["generator"].serves.nearest(16, 16)), LatentSpec(dim=7))
    generator = FAMILIES[family]["generator"](spec).eval()
    with torch.inference_mode():
        together = generator(**spec.latent.from_seeds(range(20)))
        alone = torch.cat([generator(**spec.latent.from_seeds([seed])) for seed in range(20)])
    torch.testing.assert_close(together, alone)


SPECTRAL = [("dcgan", {"conditional": True, "width": 8}), ("patch", {"width": 8}), ("upsample", {"depths": [4, 8]})]


@pytest.mark.parametrize(("family", "options"), SPECTRAL)
def test_spectral_norm_bounds_every_weight(family: str, options: dict[str, Any]) -> None:
    """Miyato et al. 2018, equation 8: the largest singular value of each weight is 1."""
    torch.manual_seed(0)
    spec = Spec((1, 12, 12), LatentSpec(dim=2, classes=3))
    make = FAMILIES[family]["discriminator"]
    assert not any("parametrizations" in name for name in make(spec, **options).state_dict())
    network = make(spec, spectral_norm=True, **options)
    images = torch.randn(4, 1, 12, 12)
    inputs = {"dcgan": {"y": torch.tensor([0, 1, 2, 1])}, "patch": {"source": images}, "upsample": {}}[family]
    for _ in range(60):
        network(images, **inputs)
    layers = [module for module in network.eval().modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    assert len(layers) > 1
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.05)
    copy = make(spec, spectral_norm=True, **options).eval()
    copy.load_state_dict(network.state_dict())
    assert torch.equal(copy(images, **inputs), network(images, **inputs))


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
        FAMILIES["dcgan"]["generator"](Spec((1, 7, 20), LatentSpec(2)))
    assert refused.value.message == "dcgan needs images of at least 8x8 pixels, these are 7x20"
    assert refused.value.hint == (
        "choose a larger size, as in `data.size=[8,20]`, or `model=gan`, which takes any size"
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


@pytest.mark.parametrize("family", [name for name in GENERATORS if name != "square"])
def test_the_layers_that_meet_the_latent_first_are_affine(family: str) -> None:
    """Their weights are found by what they make of unit vectors."""
    spec = Spec((1, 8, 8), LatentSpec(6, classes=3, codes=1))
    torch.manual_seed(0)
    network = FAMILIES[family]["generator"](spec).eval().requires_grad_(False)
    assert isinstance(network, Generator)
    a, b = torch.randn(2, 4, getattr(network, "w_mean", torch.zeros(spec.latent.width)).numel())
    first, second, both, none = (network.first_layer(w) for w in (a, b, a + b, 0 * a))
    assert first is not None
    assert second is not None
    torch.testing.assert_close(first + second, both + none, atol=1e-4, rtol=1e-4)
    assert first.std() > 0
