"""Classes and codes: conditioning, heads, and the further losses by hand."""

import math

import pytest
import torch
from steps import ToyDiscriminator, ToyGenerator, losses, step
from torch import Tensor, nn

from gancli import registry
from gancli.architectures._base import Spec
from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.objectives.acgan import AuxiliaryClassifier
from gancli.objectives.adversarial import Adversarial
from gancli.objectives.cgan import Conditional
from gancli.objectives.infogan import InfoGan
from gancli.terms.batch import Batch
from gancli.terms.step import Step

LABELS, ASKED = torch.tensor([0, 1]), torch.tensor([1, 1])
CODES = torch.tensor([[0.5, -1.0], [0.0, 1.0]])
INPUTS = {"z": torch.zeros(2, 3), "y": ASKED, "c": CODES}


class Grey(ToyGenerator):
    """Images of one pixel whose shade is the class."""

    def __init__(self) -> None:
        super().__init__()
        self.shade = nn.Parameter(torch.zeros(1))

    def map(self, z: Tensor, y: Tensor, c: Tensor | None = None) -> Tensor:
        return y

    def synthesize(self, w: Tensor) -> Tensor:
        return w.view(-1, 1, 1, 1).float() + self.shade


class ClassConditional(ToyDiscriminator):
    """Its logit is 3 if the pixel agrees with the class, else -3."""

    conditional = True

    def forward(self, images: Tensor, y: Tensor) -> Tensor:
        return torch.where((images.flatten() - y).abs() < 0.5, 3.0, -3.0)[:, None] + 0 * images.flatten(1)


class Heads(ToyDiscriminator):
    """Returns logit 0, 2 for class 1, and both codes as 0."""

    def __init__(self, *heads: str) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        zero = images.flatten(1) * 0
        what = {"class": torch.cat([zero, zero + 2], 1), "codes": torch.cat([zero, zero], 1)}
        return zero, *(what[name] for name in self.heads)


def one(objective: Adversarial) -> Step:
    return step(objective, Batch(LABELS.view(-1, 1, 1, 1).float(), LABELS), latents=lambda: dict(INPUTS))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def networks(discriminator: nn.Module) -> dict[str, nn.Module]:
    return {"generator": Grey(), "discriminator": discriminator}


@pytest.mark.parametrize("joint", [False, True])
def test_cgan_scores_each_image_with_its_own_class(joint: bool) -> None:
    objective = Conditional(networks(ClassConditional()), joint=joint)
    # Every image agrees with its class: both sides get logit 3.
    expected = (softplus(-3) + softplus(3)) / (2 if joint else 1)
    assert losses(objective, "discriminator", one(objective))["discriminator"].item() == pytest.approx(expected)
    assert losses(objective, "generator", one(objective))["generator"].item() == pytest.approx(softplus(-3))


def test_acgan_classifies_real_and_fake() -> None:
    objective = AuxiliaryClassifier(networks(Heads("class")), class_weight=2.0)
    found = losses(objective, "discriminator", one(objective))
    assert found["discriminator"].item() == pytest.approx(2 * math.log(2))
    # Real 0 and 1, fakes of class 1 and 1; class 1 has logit 2.
    assert found["class"].item() == pytest.approx(2 * ((softplus(2) + softplus(-2)) / 2 + softplus(-2)))
    assert losses(objective, "generator", one(objective))["class/fake"].item() == pytest.approx(2 * softplus(-2))


def test_infogan_recovers_the_codes_of_fakes_alone() -> None:
    objective = InfoGan(networks(Heads("codes", "class")), class_weight=0.5, code_weight=0.1)
    for found in (losses(objective, "discriminator", one(objective)), losses(objective, "generator", one(objective))):
        assert found["information/class"].item() == pytest.approx(0.5 * softplus(-2))
        assert found["information/codes"].item() == pytest.approx(0.1 * 0.5 * (0.25 + 1 + 0 + 1) / 2)


@pytest.mark.parametrize(
    ("objective", "option"),
    [(Conditional, "conditional=true"), (AuxiliaryClassifier, 'heads=["class"]'), (InfoGan, "heads=")],
)
def test_a_discriminator_that_does_not_fit_is_refused(objective: type, option: str) -> None:
    with pytest.raises(UsageError) as refused:
        objective(networks(ToyDiscriminator()))
    assert option in refused.value.hint


@pytest.mark.parametrize(
    ("architecture", "hint"),
    [
        ("mlp", "as in `networks.discriminator.conditional=true`"),
        ("patch", 'as in `networks.discriminator={architecture="dcgan",conditional=true}`'),
    ],
)
def test_the_hint_names_an_option_that_there_is(architecture: str, hint: str) -> None:
    make = registry.get("architecture", architecture)["discriminator"]
    with pytest.raises(UsageError) as refused:
        Conditional(networks(make(Spec((1, 16, 16), LatentSpec(4, classes=10)))))
    assert refused.value.hint == hint
