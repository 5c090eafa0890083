"""Classes and codes in the game: what each side is told, and the further losses by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.objectives.acgan import AuxiliaryClassifier
from gancli.objectives.base import Batch, Chance, Turn
from gancli.objectives.cgan import Conditional
from gancli.objectives.infogan import Informative

LABELS, ASKED = torch.tensor([0, 1]), torch.tensor([1, 1])
CODES = torch.tensor([[0.5, -1.0], [0.0, 1.0]])
INPUTS = {"z": torch.zeros(2, 3), "y": ASKED, "c": CODES}


class Grey(nn.Module):
    """Images of one pixel whose shade is the class."""

    def __init__(self) -> None:
        super().__init__()
        self.shade = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, y: Tensor, c: Tensor | None = None) -> Tensor:
        return y.view(-1, 1, 1, 1).float() + self.shade


class Told(nn.Module):
    """Its logit is 3 if the pixel agrees with the class, else -3."""

    conditional = True

    def forward(self, images: Tensor, y: Tensor) -> Tensor:
        return torch.where((images.flatten() - y).abs() < 0.5, 3.0, -3.0)[:, None] + 0 * images.flatten(1)


class Reader(nn.Module):
    """Says 0 for real or fake, and reads class 1 with logit 2 and both codes as 0."""

    def __init__(self, *heads: str) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        zero = images.flatten(1) * 0
        what = {"class": torch.cat([zero, zero + 2], 1), "codes": torch.cat([zero, zero], 1)}
        return zero, *(what[name] for name in self.heads)


def turn() -> Turn:
    return Turn(
        Chance(lambda: INPUTS, torch.Generator(), len(LABELS)), batch=Batch(LABELS.view(-1, 1, 1, 1).float(), LABELS)
    )


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def networks(discriminator: nn.Module) -> dict[str, nn.Module]:
    return {"generator": Grey(), "discriminator": discriminator}


@pytest.mark.parametrize("joint", [False, True])
def test_cgan_tells_each_image_its_own_class(joint: bool) -> None:
    objective = Conditional(networks(Told()), joint=joint)
    # Every image agrees with its class: both sides get logit 3.
    expected = (softplus(-3) + softplus(3)) / (2 if joint else 1)
    assert objective.judge(turn()).losses["discriminator"].item() == pytest.approx(expected)
    assert objective.deceive(turn()).losses["generator"].item() == pytest.approx(softplus(-3))


def test_acgan_names_the_class_of_real_and_of_fake() -> None:
    objective = AuxiliaryClassifier(networks(Reader("class")), class_weight=2.0)
    judged = objective.judge(turn()).losses
    assert judged["discriminator"].item() == pytest.approx(2 * math.log(2))
    # Real 0 and 1, fakes asked to be 1 and 1; class 1 is read with logit 2.
    assert judged["class"].item() == pytest.approx(2 * ((softplus(2) + softplus(-2)) / 2 + softplus(-2)))
    assert objective.deceive(turn()).losses["class/fake"].item() == pytest.approx(2 * softplus(-2))


def test_infogan_reads_the_codes_of_fakes_alone() -> None:
    objective = Informative(networks(Reader("codes", "class")), class_weight=0.5, code_weight=0.1)
    for losses in (objective.judge(turn()).losses, objective.deceive(turn()).losses):
        assert losses["information/class"].item() == pytest.approx(0.5 * softplus(-2))
        assert losses["information/codes"].item() == pytest.approx(0.1 * 0.5 * (0.25 + 1 + 0 + 1) / 2)


@pytest.mark.parametrize(
    ("objective", "told"),
    [(Conditional, "conditional=true"), (AuxiliaryClassifier, 'heads=["class"]'), (Informative, "heads=")],
)
def test_a_discriminator_that_does_not_fit_is_refused(objective: type, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        objective(networks(nn.Flatten()))
    assert told in refused.value.hint
