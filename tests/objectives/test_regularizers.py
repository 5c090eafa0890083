"""Regularizers by hand, and by finite differences."""

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from steps import ToyDiscriminator, ToyGenerator, random, step
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import Spec, fastgan
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.objectives.adversarial import Adversarial
from gancli.terms.augmentation import DiffAugment
from gancli.terms.batch import Batch
from gancli.terms.regularizers import (
    REGULARIZERS,
    Consistency,
    Dragan,
    FeatureMatching,
    LeCam,
    Mismatch,
    PathLength,
    Regularizer,
)

ROWS, SHAPE = 6, (1, 4, 4)


def discriminator(*layers: nn.Module) -> ToyDiscriminator:
    network = ToyDiscriminator()
    network.body = nn.Sequential(*layers).double()
    network.readings = None
    return network


class OfClass(nn.Module):
    """One number for each of three classes."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.tensor(numbers, dtype=torch.float64))


class ConditionalDiscriminator(ToyDiscriminator):
    """A number of the class, times the brightness of the image."""

    conditional = True

    def forward(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        return self.body.numbers[y][:, None] * images.mean((1, 2, 3))[:, None]


class Generator(ToyGenerator):
    """Latents to images by a layer, after one from z to w."""

    def __init__(self) -> None:
        super().__init__()
        self.latent, self.range, self.layer = LatentSpec(dim=16, classes=3), (-1.0, 1.0), nn.Linear(16, 16).double()
        self.mapper = nn.Linear(16, 16).double()

    def map(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        return self.mapper(z)

    def synthesize(self, w: Tensor) -> Tensor:
        return self.layer(w).tanh().view(-1, *SHAPE)


def made(network: ToyDiscriminator, generator: nn.Module, one: Regularizer, **options: Any) -> Tensor:
    """The regularizer's value in a step of its player; the same random numbers in every call."""
    draw = torch.Generator().manual_seed(1)
    real = torch.rand(ROWS, *SHAPE, generator=draw, dtype=torch.float64) * 2 - 1
    z = torch.randn(ROWS, 16, generator=draw, dtype=torch.float64)
    objective = Adversarial({"generator": generator, "discriminator": network})
    trained = (one.player,)
    asked = {"image_gradients": one.image_gradients, "trained": trained} | options
    labels = torch.arange(ROWS) % 3
    return one(step(objective, Batch(real, labels), ROWS, lambda: {"z": z}, **asked))


@pytest.mark.parametrize("name", [name for name in REGULARIZERS if name != "reconstruction"])
def test_gradients_are_those_of_finite_differences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "float", Tensor.double)  # logits are float32 otherwise
    torch.manual_seed(0)
    network = discriminator(nn.Conv2d(1, 3, 3, padding=1), nn.Softplus(), nn.Flatten(), nn.Linear(48, 1))
    if REGULARIZERS[name].conditional:
        network = ConditionalDiscriminator()
        network.body = OfClass(0.5, -1.0, 2.0)
    # Running means take no gradient: where they hardly follow, differences see none either.
    follows = {"decay": 1 - 1e-12}
    special = {"lecam": follows, "path-length": follows, "consistency": {"policy": ["cutout"]}}
    options: dict[str, Any] = special.get(name, {})
    generator, one = Generator(), REGULARIZERS[name](**options).double()
    made(network, generator, one)  # running means begin
    player = {"discriminator": network.body, "generator": generator}[one.player]
    weights = list(player.parameters())
    value = made(network, generator, copy.deepcopy(one))
    gradients = torch.autograd.grad(value, weights, allow_unused=True)
    direction = [torch.randn_like(weight) for weight in weights]
    expected = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True) if g is not None)
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for weight, along in zip(weights, direction, strict=True):
                weight.add_(along, alpha=sign * 1e-5)
        ends.append(made(network, generator, copy.deepcopy(one)).item())
        with torch.no_grad():
            for weight, along in zip(weights, direction, strict=True):
                weight.sub_(along, alpha=sign * 1e-5)
    assert float(expected) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)
    assert float(expected) != 0


class FixedImages(ToyGenerator):
    """Images that no gradient reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.latent, self.range = LatentSpec(dim=2), (-1.0, 1.0)

    def synthesize(self, w: Tensor) -> Tensor:
        return torch.zeros(len(w), 3, 16, 16)


def reconstructing(**regularizers: Any) -> tuple[fastgan.Discriminator, Adversarial]:
    torch.manual_seed(0)
    network = fastgan.Discriminator(Spec((3, 16, 16), LatentSpec(2)), width=4, decoders=True)
    networks = {"generator": FixedImages(), "discriminator": network}
    return network, Adversarial(networks, regularizers=regularizers or {"reconstruction": {"weight": 2.0}})


def test_reconstruction_is_of_the_images_as_they_were_augmented() -> None:
    network, objective = reconstructing()
    assert network.decoders is not None
    for decoder, value in ((network.decoders.whole, 0.25), (network.decoders.part, -0.5)):
        last = decoder[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, value)
    seen = torch.rand(2, 3, 16, 16)
    augmentation = DiffAugment(policy=["color"])
    augmentation.forward = lambda images, random, **_: seen if images.mean() > 0 else images  # ty: ignore
    objective.step_options = replace(objective.step_options, augmentation=augmentation)
    one = step(objective, Batch(torch.ones(2, 3, 16, 16)), 2, lambda: {"z": torch.zeros(2, 2)})
    found = objective.regularizers["reconstruction"](one).item()
    whole = (F.avg_pool2d(seen, 2) - 0.25).abs().mean()
    quarters = [(seen[:, :, y : y + 8, x : x + 8] + 0.5).abs().mean((1, 2, 3)) for y in (0, 8) for x in (0, 8)]
    possible = [float(whole + (quarters[a][0] + quarters[b][1]) / 2) for a in range(4) for b in range(4)]
    assert min(abs(found - each) for each in possible) < 1e-6


def test_reconstruction_teaches_decoders_and_the_layers_before_them() -> None:
    network, objective = reconstructing()
    one = step(objective, Batch(torch.rand(4, 3, 16, 16)), 4, lambda: {"z": torch.zeros(4, 2)})
    objective.regularizers["reconstruction"](one).backward()
    reached = {name for name, value in network.named_parameters() if value.grad is not None and value.grad.any()}
    assert {name for name, _ in network.named_parameters() if name.startswith("decoders")} <= reached
    assert "body.0.weight" in reached
    assert "body.6.weight" not in reached  # the logits'


@pytest.mark.parametrize(
    ("decoders", "regularizers", "message", "hint"),
    [
        (
            False,
            {"reconstruction": {"weight": 1}},
            "objective.regularizers.reconstruction: networks.discriminator has no decoders to train",
            "add `networks.discriminator.decoders=true`, which the architecture fastgan has, or leave it out",
        ),
        (
            True,
            {},
            "networks.discriminator.decoders = true: nothing trains them",
            "add `objective.regularizers.reconstruction.weight=1`, or leave them out",
        ),
        (
            True,
            {"reconstruction": {"weight": 1, "every": 4}},
            "objective.regularizers.reconstruction.every = 4: decoders are trained in every round",
            "leave it out",
        ),
    ],
)
def test_decoders_and_their_regularizer_come_together(
    decoders: bool, regularizers: dict[str, Any], message: str, hint: str
) -> None:
    network = fastgan.Discriminator(Spec((3, 16, 16), LatentSpec(2)), width=4, decoders=decoders)
    with pytest.raises(UsageError) as refused:
        Adversarial({"generator": FixedImages(), "discriminator": network}, regularizers=regularizers)
    assert (refused.value.message, refused.value.hint) == (message, hint)


def linear() -> ToyDiscriminator:
    network = discriminator(nn.Flatten(), nn.Linear(16, 1))
    nn.init.constant_(network.body[1].weight, 0.75)  # a gradient of length 3 everywhere
    return network


def test_dragan_of_a_linear_discriminator_is_its_slope_from_one() -> None:
    assert made(linear(), Generator(), Dragan()).item() == pytest.approx((3 - 1) ** 2)


def test_dragan_looks_around_real_images() -> None:
    seen = []
    network = linear()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    draw = torch.Generator().manual_seed(1)
    real = torch.rand(ROWS, *SHAPE, generator=draw, dtype=torch.float64) * 2 - 1
    made(network, Generator(), Dragan(std=0.1))
    noise = seen[0] - real
    assert 0.05 < float(noise.std()) < 0.15


def test_lecam_keeps_each_side_from_the_others_mean() -> None:
    one, network = LeCam(decay=0.75), linear()
    objective = Adversarial({"generator": nn.Identity(), "discriminator": network})

    def at(real: float, fake: float) -> float:
        moment = step(objective, Batch(torch.zeros(2, *SHAPE)))
        moment._cache |= {
            name: type("Score", (), {"logits": torch.full((2, 1), value)})()
            for name, value in (("real_score", real), ("fake_score", fake))
        }
        moment.__dict__["fake"] = torch.zeros(2, *SHAPE)
        return float(one(moment))

    # The means begin with the first logits: 2 and -1.
    assert at(2.0, -1.0) == pytest.approx((2 + 1) ** 2 + (-1 - 2) ** 2)
    # Then a_R = 2 + (4 - 2) / 4 = 2.5 and a_F = -1 + (1 + 1) / 4 = -0.5.
    assert at(4.0, 1.0) == pytest.approx((4 + 0.5) ** 2 + (1 - 2.5) ** 2)


CUTOUT = ["cutout"]


def test_consistency_is_zero_for_a_discriminator_that_sees_no_change() -> None:
    generator = Generator()
    network = discriminator(nn.Flatten(), nn.Linear(16, 1))
    nn.init.zeros_(network.body[1].weight)
    assert made(network, generator, Consistency(policy=CUTOUT)).item() == 0
    real = made(linear(), generator, Consistency(policy=CUTOUT, fakes=0.0)).item()
    both = made(linear(), generator, Consistency(policy=CUTOUT, fakes=3.0)).item()
    once = made(linear(), generator, Consistency(policy=CUTOUT)).item()
    assert 0 < real < once < both
    # The fakes' part, three times.
    assert both - real == pytest.approx(3 * (once - real))


def test_feature_matching_compares_the_means_of_the_last_layers_inputs() -> None:
    generator = Generator()
    nn.init.zeros_(generator.layer.weight)
    nn.init.constant_(generator.layer.bias, 0.5)
    draw = torch.Generator().manual_seed(1)
    real = torch.rand(ROWS, *SHAPE, generator=draw, dtype=torch.float64) * 2 - 1
    expected = (real.mean(0) - torch.tensor(0.5, dtype=torch.float64).tanh()).square().mean()
    assert made(linear(), generator, FeatureMatching()).item() == pytest.approx(float(expected))


def test_a_real_image_of_another_class_counts_as_a_fake() -> None:
    network = ConditionalDiscriminator()
    network.body = OfClass(0.0, 0.0, 0.0)
    assert made(network, Generator(), Mismatch()).item() == pytest.approx(math.log(2))
    # Whatever class is drawn, it is not the image's own: a logit far below that of its own costs nothing.
    images = torch.ones(6, *SHAPE, dtype=torch.float64)
    objective = Adversarial({"generator": Generator(), "discriminator": network})
    for own, far in ((0, [0.0, -50.0, -50.0]), (1, [-50.0, 0.0, -50.0]), (2, [-50.0, -50.0, 0.0])):
        network.body = OfClass(*far)
        batch = Batch(images, torch.full((6,), own))
        assert Mismatch()(step(objective, batch, 6, trained=("discriminator",))).item() < 1e-20


def test_mismatch_needs_a_discriminator_of_classes() -> None:
    networks = {"generator": Generator(), "discriminator": linear()}
    with pytest.raises(UsageError, match=r"regularizers\.mismatch: it needs a discriminator that is conditioned"):
        Adversarial(networks, regularizers={"mismatch": {"weight": 1}})


@pytest.mark.parametrize(("share", "kept"), [(1.0, 4), (0.5, 2), (0.3, 2), (0.01, 1)])
def test_top_k_teaches_the_generator_by_its_best_fakes(share: float, kept: int) -> None:
    objective = Adversarial({"generator": nn.Identity(), "discriminator": linear()}, loss="wasserstein", top_k=share)
    moment = step(objective, None, 4)
    logits = torch.tensor([[0.0], [3.0], [-1.0], [2.0]], requires_grad=True)
    moment._cache["fake_score"] = type("Score", (), {"logits": logits})()
    objective._generator_loss(moment).backward()
    best = logits.detach().flatten().topk(kept).indices.tolist()
    expected = torch.tensor([[-1 / kept if row in best else 0.0] for row in range(4)])
    torch.testing.assert_close(logits.grad, expected)


def test_path_length_is_that_of_the_jacobian() -> None:
    """Karras et al. 2020, equation 4, on a Jacobian worked out column by column."""
    torch.manual_seed(0)
    generator, one = Generator(), PathLength().double()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(2)
    draw = torch.Generator().manual_seed(1)
    torch.rand(ROWS, *SHAPE, generator=draw, dtype=torch.float64)
    w = generator.mapper(torch.randn(ROWS, 16, generator=draw, dtype=torch.float64))
    images = generator.synthesize(w).flatten(1)
    rows = [torch.autograd.grad(images[:, pixel].sum(), w, retain_graph=True)[0] for pixel in range(16)]
    jacobian = torch.stack(rows, 1)
    y = random(ROWS).normal((ROWS, *SHAPE)).flatten(1).double() / 4  # the root of 16 pixels
    lengths = torch.einsum("npw,np->nw", jacobian, y).norm(dim=1).detach()
    expected = (lengths - lengths.mean()).square().mean()
    torch.testing.assert_close(made(linear(), generator, one), expected, check_dtype=False, rtol=1e-5, atol=0)
    torch.testing.assert_close(one.length, lengths.mean(), rtol=1e-5, atol=0)
