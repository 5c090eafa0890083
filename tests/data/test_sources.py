import io

import pytest
import torch
from conftest_data import noise, pack, picture, write
from PIL import Image

from gancli.data import load
from gancli.data.pairs.degradations import parse
from gancli.data.pairs.sources import absolute, load_with_sources, title
from gancli.errors import UsageError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def beside(left, right, size=(8, 8)):
    """A PNG of two colours, side by side."""
    whole = Image.new("RGB", (2 * size[1], size[0]), left)
    whole.paste(Image.new("RGB", (size[1], size[0]), right), (size[1], 0))
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()


def colours(images):
    """The colour in the middle of each image."""
    return [tuple(image[:, 4, 4].tolist()) for image in images]


def test_without_a_source_there_is_none():
    assert load_with_sources("digits", "").sources is None


def test_a_degradation_makes_a_source_of_every_image():
    dataset, plain = load_with_sources("digits", "mosaic:2"), load("digits")
    assert torch.equal(dataset.images, plain.images)
    assert torch.equal(dataset.sources, parse("mosaic:2").spoil(plain.images))
    assert dataset.fingerprint == plain.fingerprint


@pytest.mark.parametrize("source", ["thick", "mosaic"])
def test_unpaired_sources_are_of_other_images(source):
    dataset, paired = load_with_sources("digits", source, paired=False), load_with_sources("digits", source)
    assert abs(len(dataset.images) - len(dataset.sources)) <= 1
    assert len(dataset.images) + len(dataset.sources) == len(paired.images)
    assert len(dataset.labels) == len(dataset.images)

    def rows(images):
        return [bytes(image.flatten().tolist()) for image in images]

    # What an image's own source would have been is not among the sources, but for the few that are made alike.
    own = dict(zip(rows(paired.images), rows(paired.sources), strict=True))
    there = set(rows(dataset.sources))
    assert sum(own[image] in there for image in rows(dataset.images)) < 0.01 * len(dataset.images)


def test_halves_of_a_file_are_source_and_image(tmp_path):
    folder = write(tmp_path / "both", {"a.png": beside(RED, BLUE), "b.png": beside(BLUE, RED)})
    dataset = load_with_sources(str(folder), "split", size=(8, 8))
    assert dataset.images.shape == dataset.sources.shape == (2, 3, 8, 8)
    assert colours(dataset.sources) == [RED, BLUE]
    assert colours(dataset.images) == [BLUE, RED]
    other = load_with_sources(str(folder), "split:right", size=(12, 10))
    assert other.images.shape == other.sources.shape == (2, 3, 12, 10)
    assert colours(other.sources) == [BLUE, RED]
    assert other.fingerprint != dataset.fingerprint


def test_halves_of_nothing_are_told_as_whole_images_are(tmp_path):
    broken = write(tmp_path / "broken", {"a.png": b"no picture"})
    for name, message in (("nowhere", "there is no data set"), ("", "there is no data set"), (broken, "can be read")):
        with pytest.raises(UsageError, match=message):
            load_with_sources(str(name), "split", size=(8, 8))


def test_partners_have_the_same_name_whatever_their_ending_and_folder(tmp_path):
    images = write(tmp_path / "a", {"x/1.png": picture(RED), "x/2.png": picture(BLUE)})
    sources = pack(tmp_path / "b.zip", {"2.jpg": picture(20, kind="JPEG"), "1.png": picture(10)})
    dataset = load_with_sources(str(images), str(sources))
    assert colours(dataset.images) == [RED, BLUE]
    # One side has colour, so that both are shown in colour.
    assert [colour[0] for colour in colours(dataset.sources)] == [10, 20]
    assert dataset.sources.shape == (2, 3, 8, 8)


def test_a_file_that_cannot_be_read_takes_its_partner_with_it(tmp_path):
    images = write(tmp_path / "a", {"1.png": picture(1), "2.png": b"no picture", "3.png": picture(3)})
    sources = write(tmp_path / "b", {"1.png": picture(10), "2.png": picture(20), "3.png": picture(30)})
    dataset = load_with_sources(str(images), str(sources))
    assert [colour[0] for colour in colours(dataset.images)] == [1, 3]
    assert [colour[0] for colour in colours(dataset.sources)] == [10, 30]
    assert [one.name for one in dataset.skipped] == ["2.png"]


def test_two_sets_without_pairs_may_differ_in_number(tmp_path):
    images = write(tmp_path / "a", {f"{number}.png": noise(number) for number in range(5)})
    sources = write(tmp_path / "b", {f"other{number}.png": noise(number, (20, 20)) for number in range(3)})
    dataset = load_with_sources(str(images), str(sources), paired=False)
    assert (dataset.images.shape, dataset.sources.shape) == ((5, 3, 8, 8), (3, 3, 8, 8))


def test_faults_say_what_to_type_instead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a", {f"{number}.png": picture(number) for number in range(9)})
    write(tmp_path / "b", {"0.png": picture(0), "z.png": picture(1)})
    write(tmp_path / "c", {"0.png": picture(0), "0.jpg": picture(1, kind="JPEG")})
    cases = [
        (
            ("digits", "mosaik"),
            "data.source = 'mosaik' is neither a degradation, a style, split, nor",
            "did you mean 'mosaic'?",
        ),
        (("a", "b"), "'a' alone has 1, 2, 3, 4, 5, …; 'b' alone has z", "data.paired=false"),
        (("a", "digits"), "pairs are files of the same name, and 'digits' has no files", "data.paired=false"),
        (("c", "c"), "'c' has both '0.jpg' and '0.png'", "rename"),
        (("a", "split"), "needs the size of a half", "data.size=[64,64]"),
        (("a", "split:up"), "the source is the left half or the right one", "split:right"),
        (("digits", "split"), "'digits' is none of them", "a folder or a zip"),
        (("digits", "gray"), "the images are grey already", "in colour"),
    ]
    for arguments, message, hint in cases:
        with pytest.raises(UsageError) as raised:
            load_with_sources(*arguments)
        assert message in raised.value.message
        assert hint in raised.value.hint


def test_a_recipe_keeps_names_and_the_place_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "b", {"0.png": picture(0)})
    assert [absolute(source) for source in ("", "mosaic:8", "inverted", "split", "mnist")] == [
        "", "mosaic:8", "inverted", "split", "mnist"
    ]  # fmt: skip
    assert absolute("b") == str(tmp_path / "b")
    # What is passed on tells no place, and a folder is not taken for the degradation of its name.
    told = [title(source) for source in (str(tmp_path / "b"), "/home/me/mask", "/home/me/b.zip", "mask:0.4", "")]
    assert told == ["b/", "mask/", "b.zip", "mask:0.4", ""]
