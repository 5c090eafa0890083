"""What a user hands to a command."""

import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from gancli.data import load
from gancli.data.given import read
from gancli.errors import UsageError

SHAPE = (1, 8, 8)


def paint(path: str, shade: int, size: tuple[int, int] = (8, 8)) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)


def shades(given) -> list[int]:
    return given.images[:, 0, 0, 0].tolist()


def test_a_data_set_is_its_test_split() -> None:
    given = read("digits", SHAPE, count=5)
    assert torch.equal(given.images, load("digits", split="test").images[:5])
    assert given.names == ("00000", "00001", "00002", "00003", "00004")


def test_one_file_is_brought_to_the_shape() -> None:
    Image.new("RGB", (40, 20), (255, 0, 0)).save("red.jpg")
    given = read("red.jpg", (3, 8, 8))
    assert given.names == ("red",)
    assert given.images.shape == (1, 3, 8, 8)
    assert given.images[0, 0].min() > 240
    assert given.images[0, 1:].max() < 15


def test_a_folder_in_the_order_of_its_names() -> None:
    for shade, name in enumerate(("b.png", "a.png", "c.png")):
        paint(f"mine/{name}", shade)
    assert (read("mine", SHAPE).names, shades(read("mine", SHAPE))) == (("a", "b", "c"), [1, 0, 2])
    assert read("mine", SHAPE, count=2).names == ("a", "b")


def test_a_folder_with_a_held_out_split_gives_that() -> None:
    paint("mine/train/x.png", 1)
    paint("mine/test/y.png", 2)
    assert shades(read("mine", SHAPE)) == [2]


def test_a_zip_and_names_that_occur_twice() -> None:
    paint("one/x.png", 1)
    paint("two/x.png", 2)
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.write("one/x.png")
        archive.write("two/x.png")
    assert read("z.zip", SHAPE).names == ("one-x.png", "two-x.png")


def test_files_that_are_no_images_are_told() -> None:
    paint("mine/a.png", 1)
    Path("mine/b.png").write_text("text")
    given = read("mine", SHAPE)
    assert given.names == ("a",)
    assert [(left.name, left.reason) for left in given.skipped] == [("b.png", "not an image that PIL reads")]


@pytest.mark.parametrize("name", ["", "nowhere", "mnits"])
def test_nothing_of_that_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"there is no image, folder or data set '{name}'"):
        read(name, SHAPE)
