"""Pairs x -> y: what the two sides see and lose."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.terms.step import Batch, Chance, Turn
from gancli.objectives.pix2pix import Pix2Pix


class Half(nn.Module):
    """Makes images half as bright as their sources."""

    range = (-1.0, 1.0)

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, source):
        return source * self.scale


class Judge(nn.Module):
    """One logit for each pixel: image minus source."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images, source=None):
        return (images - source) * self.scale


def pair():
    source = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Batch(source.flip(0), source=source)


def turn(batch):
    return Turn(Chance(lambda: pytest.fail("no latent is drawn"), torch.Generator(), 3), batch=batch)


def test_the_generator_loses_what_equation_4_says():
    batch, objective = pair(), Pix2Pix({"generator": Half(), "discriminator": Judge()}, l1=10.0, adversarial=0.5)
    losses = objective.deceive(turn(batch)).losses
    made = batch.source * 0.5
    torch.testing.assert_close(losses["l1"], 10 * (made - batch.images).abs().mean())
    torch.testing.assert_close(losses["generator"], 0.5 * F.softplus(-(made - batch.source)).mean())
    assert set(losses) == {"l1", "generator"}


def test_the_squared_difference_stands_beside_the_absolute_one_or_in_its_place():
    batch, networks = pair(), {"generator": Half(), "discriminator": Judge()}
    squared = 3 * (batch.source * 0.5 - batch.images).square().mean()
    both = Pix2Pix(networks, l1=10.0, l2=3.0).deceive(turn(batch)).losses
    torch.testing.assert_close(both["l2"], squared)
    assert set(both) == {"l1", "l2", "generator"}
    alone = Pix2Pix(networks, l1=0.0, l2=3.0).deceive(turn(batch)).losses
    torch.testing.assert_close(alone["l2"], squared)
    assert set(alone) == {"l2", "generator"}


def test_the_discriminator_sees_both_images_beside_the_source():
    batch, objective = pair(), Pix2Pix({"generator": Half(), "discriminator": Judge()})
    losses = objective.judge(turn(batch)).losses
    real, fake = batch.images - batch.source, -0.5 * batch.source
    torch.testing.assert_close(losses["discriminator"], F.softplus(-real).mean() + F.softplus(fake).mean())
    joint = Pix2Pix({"generator": Half(), "discriminator": Judge()}, joint=True).judge(turn(batch)).losses
    torch.testing.assert_close(joint["discriminator"], losses["discriminator"] / 2)


def test_the_weights_are_the_papers_unless_others_are_given():
    objective = Pix2Pix({"generator": Half(), "discriminator": Judge()})
    assert (objective.l1, objective.adversarial, objective.takes) == (100.0, 1.0, "source")
    assert all(player.real for player in objective.players)


def test_the_preview_shows_source_result_and_true_image():
    batch, objective = pair(), Pix2Pix({"generator": Half(), "discriminator": Judge()})
    shown = objective.preview(objective.generator, {}, lambda: batch)
    assert shown.shape == (9, 1, 4, 4)
    torch.testing.assert_close(shown[3:6], torch.stack([batch.source[1], batch.source[1] * 0.5, batch.images[1]]))


def test_data_without_sources_is_told():
    objective = Pix2Pix({"generator": Half(), "discriminator": Judge()})
    with pytest.raises(UsageError, match="makes images from others, and the data has none"):
        objective.judge(turn(Batch(torch.zeros(2, 1, 4, 4))))
