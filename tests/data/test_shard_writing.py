"""Writing shards, and the commands that do."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest_data import noise, picture, write
from PIL import Image
from shard_files import digits, index, shades

from gancli.data import load
from gancli.data.shards.tar import Tar
from gancli.data.shards.writing import write_shards
from gancli.errors import UsageError


@pytest.fixture
def photos(home) -> Path:
    """Two classes, three formats, and a broken file."""
    files = {f"{'ab'[n % 2]}/{n:02d}.png": noise(n) for n in range(8)}
    files |= {"a/x.bmp": picture((1, 2, 3), kind="BMP"), "b/y.jpeg": picture((9, 9, 9), kind="JPEG"), "b/z.png": b"x"}
    return write(home / "photos", files)


def images_in(folder: Path) -> dict[bytes, int]:
    """Pixels and class of every image in the shards of a folder."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        shard = Tar(path)
        for name, label in zip(shard.names, shard.labels, strict=True):
            found[np.asarray(Image.open(shard.open(name)).convert("RGB")).tobytes()] = label
    return found


def test_a_folder_becomes_shards(home, photos):
    made = write_shards(str(photos), home / "s", 4)
    assert sorted(path.name for path in (home / "s").iterdir()) == [
        "index.json", "train-000000.tar", "train-000001.tar", "train-000002.tar",
    ]  # fmt: skip
    assert [each.images for each in made.shards] == [4, 4, 2]
    assert [one.name for one in made.skipped] == ["b/z.png"]
    assert index(home / "s")["classes"] == ["a", "b"]
    plain = load(str(photos), size=(8, 8), channels=3)
    assert plain.labels is not None
    expected = {
        image.permute(1, 2, 0).contiguous().numpy().tobytes(): label
        for image, label in zip(plain.images, plain.labels.tolist(), strict=True)
    }
    assert images_in(home / "s") == expected
    shard = Tar(home / "s" / "train-000000.tar")
    assert shard.names == [f"0000000{n}.{Path(name).suffix[1:]}" for n, name in enumerate(shard.names)]


def test_the_same_images_give_the_same_bytes(home, photos):
    for place in ("s", "t"):
        write_shards(str(photos), home / place, 4)
    for path in (home / "s").iterdir():
        assert path.read_bytes() == (home / "t" / path.name).read_bytes()


def test_classes_are_mixed(home):
    write_shards(str(digits(home / "digits")), home / "s", 300)
    found = load(str(home / "s"))
    assert (found.count, len(found.classes)) == (1442, 10)
    assert found.labels is not None
    assert found.labels.bincount(minlength=10).min() > 10


def test_splits_have_shards_of_their_own(home):
    write(home / "p", {f"{split}/{n}.png": picture(n) for split in ("train", "val") for n in range(3)})
    write_shards(str(home / "p"), home / "s", 2)
    assert [load(str(home / "s"), split=split).count for split in ("train", "test")] == [3, 3]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits", "'digits' is no folder of images"),
        ("s", "'s' is no folder of images"),
        ("", "'' is no folder of images"),
        ("broken", "none of the images of 'broken' can be read (a.png: not an image that PIL reads)"),
        ("empty", "'"),
    ],
)
def test_what_becomes_no_shards(home, name, message):
    shades(home / "s", [1])
    write(home / "broken", {"a.png": b"x"})
    write(home / "empty", {})
    with pytest.raises(UsageError) as error:
        write_shards(name, home / "out", 4)
    assert error.value.message.startswith(message)
    assert not (home / "out").exists()
    assert not list(home.glob(".out.*"))


def test_shards_take_a_new_folder(home, photos):
    write(home / "taken", {"x": b""})
    with pytest.raises(UsageError, match="taken' exists already"):
        write_shards(str(photos), home / "taken", 4)


def test_shards_have_no_sources_and_no_single_class(home):
    from gancli.data.requested import load_for
    from gancli.recipe.sections import Data

    shades(home / "s", [6], labelled=True)
    for options, message in (
        ({"source": "gray"}, "images in shards have no sources"),
        ({"only_class": "1"}, "one class alone"),
    ):
        with pytest.raises(UsageError, match=message):
            load_for(Data(name="s", **options))


def test_shards_are_not_judged_as_pictures_from_elsewhere(home):
    from gancli.evaluation.subjects import open_subject

    shades(home / "s", [6])
    with pytest.raises(UsageError, match="'s' is shards"):
        open_subject("s")


# The commands


def test_commands(home, run_cli, photos):
    made = run_cli("data", "shard", photos, "--out", "s", "--images-per-shard", 4)
    assert (made.code, made.out) == (0, "s  3 shards, 10 images; use: `gancli train s`\n")
    assert "left out b/z.png: not an image that PIL reads" in made.err
    before = (home / "s" / "index.json").read_bytes()
    again = run_cli("data", "index", "s")
    assert (again.code, again.out) == (0, "s/index.json  3 shards, 10 images, 2 classes\n")
    assert (home / "s" / "index.json").read_bytes() == before
    shown = run_cli("data", "show", "s", "--json", "--out", "x.png")
    facts = json.loads(shown.out)
    assert (facts["name"], facts["images"], facts["shape"]) == ("s", 10, [3, 8, 8])
    assert sum(facts["classes"].values()) == 4
    plain = run_cli("data", "show", "s/*.tar", "--out", "x.png")
    assert "4 example images" in plain.err
    assert run_cli("data", "index", "photos").code == 2
    assert torch.equal(load("s").images, load("s/*.tar").images)
    assert io.BytesIO((home / "x.png").read_bytes()).read(4) == b"\x89PNG"
