"""Augmentation of what a discriminator sees."""

import sys
from pathlib import Path

import pytest
import torch

from gancli.augment import AUGMENTATIONS, colour, cutout, translation

sys.path.insert(0, str(Path(__file__).parent / "training"))
from tiny import tiny, trainer


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_pass_through(name: str) -> None:
    images = torch.rand(6, 3, 16, 12, requires_grad=True)
    changed = AUGMENTATIONS[name](images)
    assert changed.shape == images.shape
    changed.sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum((1, 2, 3)).min() > 0


def test_translation_moves_by_up_to_an_eighth_and_continues_the_border() -> None:
    torch.manual_seed(0)
    images = torch.arange(16.0).view(1, 1, 1, 16).expand(200, 1, 16, 16)
    moved = translation(images)
    shifts = {int(row[8] - 8) for row in moved[:, 0, 3]}
    assert shifts == {-2, -1, 0, 1, 2}
    for row in moved[:, 0, 3]:
        shift = int(row[8] - 8)
        assert row.tolist() == [float(min(max(x + shift, 0), 15)) for x in range(16)]
    down = translation(images.transpose(2, 3))
    assert {int(column[8] - 8) for column in down[:, 0, :, 3]} == {-2, -1, 0, 1, 2}


def test_cutout_leaves_out_a_square_of_half_the_sides() -> None:
    torch.manual_seed(0)
    gone = (cutout(torch.ones(300, 2, 16, 24)) == 0).float()
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert gone[:, 0].sum((1, 2)).max() == 8 * 12
    assert gone[:, 0].sum((1, 2)).min() >= 4 * 6
    assert (gone.mean(0) > 0).all()


def test_colour_moves_brightness_saturation_and_contrast() -> None:
    torch.manual_seed(0)
    images = torch.rand(500, 3, 8, 8) * 2 - 1
    changed = colour(images)
    off = changed.mean((1, 2, 3)) - images.mean((1, 2, 3))
    assert off.abs().max() <= 0.5 + 1e-5
    assert off.max() - off.min() > 0.9
    spread = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert spread.min() < 0.6
    assert spread.max() > 1.3
    grey = torch.rand(4, 1, 8, 8)
    assert colour(grey).shape == grey.shape


def test_the_discriminator_sees_both_sides_augmented_and_sources_move_along(monkeypatch: pytest.MonkeyPatch) -> None:
    one = trainer(tiny(3, "pix2pix", objective={"augment": ["translation"]}))
    seen = []
    judge = one.objective.discriminator.forward
    monkeypatch.setattr(
        one.objective.discriminator, "forward", lambda x, source: seen.append((x, source)) or judge(x, source=source)
    )
    monkeypatch.setattr("gancli.augment.torch.randint", lambda low, high, size, device: torch.full(size, 1))
    one.round()
    assert len(seen) == 3
    for images, source in seen:
        for part in (images, source):
            assert torch.equal(part[..., -1, :], part[..., -2, :])
            assert torch.equal(part[..., :, -1], part[..., :, -2])
