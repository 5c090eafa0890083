"""Plots of numbers."""

import pytest
import torch

from gancli.data.synthetic import FORMULAS
from gancli.rendering.numbers import Plot, to_csv

BLUE = torch.tensor([0x00, 0x72, 0xB2])


def blue(picture: torch.Tensor) -> torch.Tensor:
    """Where the colour of what is generated stands: (rows, columns) of pixels below the legend."""
    near = (picture.int() - BLUE[:, None, None]).abs().sum(0) < 60
    near[:45] = False
    return near.nonzero()


@pytest.mark.parametrize(("name", "size"), [("sine", (450, 600)), ("grid", (500, 500))])
def test_every_plot_of_a_formula_has_one_size(name: str, size: tuple[int, int]) -> None:
    plot = Plot(FORMULAS[name])
    for title in ("", "round 10,000"):
        picture = plot.picture(torch.full((3, FORMULAS[name].width), 9.0), title)
        assert picture.shape == (3, *size)
        assert picture.dtype == torch.uint8


def test_axes_stand_still_and_nothing_of_the_last_plot_stays() -> None:
    plot = Plot(FORMULAS["sine"])
    # Beside the true curve, which would hide it.
    curve = FORMULAS["sine"].true[None] + 0.2
    first = plot.picture(curve)
    # Far outside: nothing to see, and no axis that follows it.
    empty = plot.picture(curve + 50)
    assert len(blue(first)) > 100
    assert len(blue(empty)) == 0
    assert torch.equal(plot.picture(curve[:, None, None]), first)


def test_points_are_where_they_are() -> None:
    plot = Plot(FORMULAS["ring"])
    low, high = FORMULAS["ring"].limits
    row, column = blue(plot.picture(torch.tensor([[0.0, 0.0]]))).float().mean(0).tolist()
    right = blue(plot.picture(torch.tensor([[high / 2, 0.0]]))).float().mean(0).tolist()
    up = blue(plot.picture(torch.tensor([[0.0, high / 2]]))).float().mean(0).tolist()
    assert right[1] - column == pytest.approx(row - up[0], abs=2)
    assert right[1] - column > 80
    assert abs(right[0] - row) < 1
    assert low == -high


def test_csv_brings_the_numbers_back() -> None:
    rows = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    first, *lines = to_csv(["a", "b", "c"], [5, 7], rows).splitlines()
    assert first == "seed,a,b,c"
    assert [line.split(",")[0] for line in lines] == ["5", "7"]
    read = torch.tensor([[float(value) for value in line.split(",")[1:]] for line in lines])
    assert torch.equal(read, rows)
