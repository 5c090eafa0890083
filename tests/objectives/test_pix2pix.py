"""Pairs x -> y: inputs and losses of both players."""

import pytest
import torch
from steps import ToyDiscriminator, losses, step
from torch import nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.objectives.pix2pix import Pix2Pix
from gancli.terms.batch import Batch


class Half(nn.Module):
    """Makes images half as bright as their sources."""

    range = (-1.0, 1.0)

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, source):
        return source * self.scale


class Difference(ToyDiscriminator):
    """One logit for each pixel: image minus source."""

    takes_source = True

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images, source=None):
        return (images - source) * self.scale


def pair():
    source = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Batch(source.flip(0), source=source)


def play(player, objective, batch):
    one = step(objective, batch, rows=3, latents=lambda: pytest.fail("no latent is drawn"))
    return losses(objective, player, one)


def test_the_generators_loss_is_equation_4():
    batch, objective = pair(), Pix2Pix({"generator": Half(), "discriminator": Difference()}, l1=10.0, adversarial=0.5)
    found = play("generator", objective, batch)
    made = batch.source * 0.5
    torch.testing.assert_close(found["l1"], 10 * (made - batch.images).abs().mean())
    torch.testing.assert_close(found["generator"], 0.5 * F.softplus(-(made - batch.source)).mean())
    assert set(found) == {"l1", "generator"}


def test_the_squared_difference_adds_to_the_absolute_one_or_replaces_it():
    batch, networks = pair(), {"generator": Half(), "discriminator": Difference()}
    squared = 3 * (batch.source * 0.5 - batch.images).square().mean()
    both = play("generator", Pix2Pix(networks, l1=10.0, l2=3.0), batch)
    torch.testing.assert_close(both["l2"], squared)
    assert set(both) == {"l1", "l2", "generator"}
    alone = play("generator", Pix2Pix(networks, l1=0.0, l2=3.0), batch)
    torch.testing.assert_close(alone["l2"], squared)
    assert set(alone) == {"l2", "generator"}


def test_the_discriminator_sees_images_with_their_source():
    batch, objective = pair(), Pix2Pix({"generator": Half(), "discriminator": Difference()})
    found = play("discriminator", objective, batch)
    real, fake = batch.images - batch.source, -0.5 * batch.source
    torch.testing.assert_close(found["discriminator"], F.softplus(-real).mean() + F.softplus(fake).mean())
    joint = Pix2Pix({"generator": Half(), "discriminator": Difference()}, joint=True)
    joint = play("discriminator", joint, batch)
    torch.testing.assert_close(joint["discriminator"], found["discriminator"] / 2)


def test_the_weights_are_the_papers_unless_others_are_given():
    objective = Pix2Pix({"generator": Half(), "discriminator": Difference()})
    assert (objective.l1, objective.generator_weight, objective.takes) == (100.0, 1.0, "source")
    assert all(player.real for player in objective.players)


def test_the_preview_shows_source_result_and_true_image():
    batch, objective = pair(), Pix2Pix({"generator": Half(), "discriminator": Difference()})
    shown = objective.preview({"generator": objective.generator}, {}, lambda: batch)
    assert shown.shape == (9, 1, 4, 4)
    torch.testing.assert_close(shown[3:6], torch.stack([batch.source[1], batch.source[1] * 0.5, batch.images[1]]))


def test_data_without_sources_is_refused():
    objective = Pix2Pix({"generator": Half(), "discriminator": Difference()})
    with pytest.raises(UsageError, match="translates images, and the data has none"):
        play("discriminator", objective, Batch(torch.zeros(3, 1, 4, 4)))
