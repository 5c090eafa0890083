"""What a user hands to a command."""

import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from gancli.data import load
from gancli.data.user_images import list_files, read
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


def test_several_names_are_read_in_their_order() -> None:
    for shade, name in enumerate(("b", "a", "mine/c", "mine/d")):
        paint(f"{name}.png", shade)
    given = read(["b.png", "a.png", "mine"], SHAPE, count=3)
    assert (given.names, shades(given)) == (("b", "a", "c"), [0, 1, 2])
    assert [file.path for file in list_files(["b.png", "mine"])] == [Path(name) for name in (
        "b.png", "mine/c.png", "mine/d.png"
    )]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png", "a.jpg"], "'a.png' and 'a.jpg' would both give 'a'"),
        (["mine", "b.png"], "'mine/b.png' and 'b.png' would both give 'b'"),
        (["a.png", "digits"], "'digits' is a data set, and stands among other images"),
        (["a.png", "nowhere"], "there is no image, folder or data set 'nowhere'"),
        ([], "no image is named"),
    ],
)
def test_several_names_that_do_not_go_together(names: list[str], message: str) -> None:
    for path in ("a.png", "a.jpg", "b.png", "mine/b.png"):
        paint(path, 0)
    with pytest.raises(UsageError) as raised:
        read(names, SHAPE)
    assert raised.value.message == message


def test_what_was_done_to_images_of_another_size() -> None:
    paint("same.png", 0)
    paint("large.png", 0, (16, 16))
    paint("wide.png", 0, (16, 8))
    assert [read(name, SHAPE).changed for name in ("same.png", "large.png", "wide.png", "digits")] == [
        "", "resized", "cropped and resized", ""
    ]  # fmt: skip
    assert read(["same.png", "large.png", "wide.png"], SHAPE, fit="pad").changed == "padded and resized"
    assert read("digits", (1, 16, 16), count=1).changed == "resized"
