"""Statistics of previews for the health monitor."""

import torch

from gancli.data import load
from gancli.runs.previews import compare


def digits(first: int, count: int = 64) -> torch.Tensor:
    return load("digits").images[first : first + count].float() / 127.5 - 1


def test_other_real_images_compare_as_equal() -> None:
    figures = compare(digits(100), digits(0), digits(200))
    assert abs(figures["diversity"] - 1) < 0.1
    assert abs(figures["nearest"] - 1) < 0.15
    assert abs(figures["noise"]) < 0.1
    assert abs(figures["change"] - 1) < 0.1


def test_one_picture_repeated_is_no_diversity() -> None:
    figures = compare(digits(0, 1).expand(64, -1, -1, -1), digits(100))
    assert figures["diversity"] < 1e-6
    assert figures["nearest"] < 1e-6


def test_a_few_pictures_repeated_are_seen_by_their_nearest_neighbours() -> None:
    figures = compare(digits(0, 4).repeat(16, 1, 1, 1), digits(100))
    assert figures["diversity"] > 0.5
    assert figures["nearest"] < 1e-6


def test_white_noise_and_flat_pictures_agree_with_nothing() -> None:
    white = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert abs(compare(white, digits(0))["noise"] - 1) < 0.15
    assert compare(torch.zeros(64, 1, 8, 8), digits(0))["noise"] > -1


def test_pictures_that_stay_do_not_change() -> None:
    assert compare(digits(0), digits(100), digits(0))["change"] == 0


def test_what_cannot_be_compared_is_left_out() -> None:
    curves = torch.sin(torch.linspace(-3, 3, 15)).expand(8, 1, 1, 15)
    assert compare(curves + 0.01 * torch.randn(8, 1, 1, 15), curves) == {}  # the data are all alike, and no images
    static = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert "noise" not in compare(digits(0), static)
    points = torch.rand(8, 1, 1, 2)
    assert set(compare(points, points)) == {"diversity", "nearest"}
    assert compare(digits(0, 1), digits(5, 1)).keys() == {"noise"}
