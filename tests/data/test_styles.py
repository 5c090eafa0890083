"""Images in another style."""

import pytest
import torch

from gancli.data import load
from gancli.data.pairs.styles import STYLES, halves, restyle
from gancli.errors import UsageError


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    return load("digits").images[:40]


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_the_same_each_time_and_not_the_image(name: str, digits: torch.Tensor) -> None:
    colour = digits.expand(-1, 3, -1, -1)
    for images in (digits, colour, torch.nn.functional.pad(digits, (0, 3))):
        made = restyle(name, images)
        assert made.dtype == torch.uint8
        assert made.shape == images.shape
        assert torch.equal(made, restyle(name, images))
        assert not torch.equal(made, images)


def test_strokes_get_wider_and_narrower() -> None:
    stroke = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    stroke[..., 6:10] = 255
    ink = {name: float(restyle(name, stroke).float().mean()) * 16 / 255 for name in ("thick", "thin")}
    # Half a pixel of blur on either side comes from the doubled size.
    assert ink["thick"] == pytest.approx(6, abs=0.6)
    assert ink["thin"] == pytest.approx(3, abs=0.6)
    assert (restyle("thick", stroke) >= stroke).all()
    assert (restyle("thin", stroke) <= stroke).all()


def test_inverted_digits_are_dark_on_a_texture_of_their_own(digits: torch.Tensor) -> None:
    made = restyle("inverted", digits).float()
    assert made[digits == 255].max() == 0
    empty = made[digits == 0]
    assert empty.min() >= 255 * 0.45 - 1
    assert empty.std() > 10
    blank = restyle("inverted", torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).float()
    assert not torch.equal(blank[0], blank[1])
    # Smooth: neighbours differ little.
    assert (blank.diff(dim=-1).abs().max()) < 40


def test_another_seed_gives_another_texture(digits: torch.Tensor) -> None:
    assert not torch.equal(restyle("inverted", digits), restyle("inverted", digits, seed=1))


@pytest.mark.parametrize("count", [2, 3, 100])
def test_halves_share_no_place(count: int) -> None:
    first, second = halves(count)
    assert torch.equal(torch.cat([first, second]).sort().values, torch.arange(count))
    assert len(first) - len(second) in (0, 1)
    assert all(torch.equal(a, b) for a, b in zip(halves(count), (first, second), strict=True))


def test_one_image_has_no_halves() -> None:
    with pytest.raises(UsageError, match="one image cannot be on two sides"):
        halves(1)
