import re
from io import StringIO

import pytest
import torch
from rich.console import Console

from gancli.errors import GancliError
from gancli.rendering.terminal import picture


def console(**options):
    options = {"force_terminal": True, "color_system": "truecolor", "no_color": False, "width": 200} | options
    return Console(file=StringIO(), _environ={}, **options)


def printed(images, width=200, **options):
    screen = console(width=width)
    screen.print(picture(images, screen, **options), end="")
    return screen.file.getvalue()


@pytest.mark.parametrize("shape", [(40, 1, 28, 28), (40, 3, 256, 100), (3, 4, 8, 8), (64, 3, 64, 64), (1, 1, 1, 1)])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (8, 4), (200, 60)])
def test_pictures_stay_in_their_bounds(shape, width, height):
    images = torch.randint(0, 256, shape).byte()
    lines = re.sub(r"\x1b\[[^m]*m", "", printed(images, width=width, height=height)).splitlines()
    assert 0 < len(lines) <= height
    assert 0 < max(map(len, lines)) <= width


def test_two_pixels_a_character():
    images = torch.tensor([[10, 20], [30, 40]]).byte().view(1, 1, 2, 2)
    text = printed(images)
    # One black line of pixels around: the image's first line is in lower halves, its second in upper ones.
    assert [shade for shade in re.findall(r"38;2;(\d+);", text) if shade != "0"] == ["10", "20"]
    assert [shade for shade in re.findall(r"48;2;(\d+);", text) if shade != "0"] == ["30", "40"]


@pytest.mark.parametrize(
    "options",
    [{"force_terminal": False}, {"no_color": True}, {"color_system": None}, {"width": 7}],
)
def test_no_picture_where_it_would_not_arrive(options):
    assert picture(torch.zeros(1, 1, 8, 8).byte(), console(**options)) is None


def test_no_picture_on_a_dumb_terminal():
    dumb = Console(file=StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert picture(torch.zeros(1, 1, 8, 8).byte(), dumb) is None


def test_channels_that_cannot_be_shown():
    with pytest.raises(GancliError, match=r"^pictures are made from uint8"):
        picture(torch.zeros(1, 2, 8, 8).byte(), console())
