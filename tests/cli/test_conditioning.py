"""Classes and codes on the command line, with a model whose images tell what it was asked for."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from gancli.data import load
from gancli.latents import LatentSpec


class Fake:
    """The shade is 20 for each class, more with the codes; its left half is brighter by what the seed says."""

    name, numbers, takes = "cgan/fashion", False, "latent"
    shape = (1, 28, 28)
    classes = ("T-shirt/top", "trouser", "bag")
    labelled = True
    latent = LatentSpec(2, "uniform", classes=3, codes=2)

    def space(self, asked=None):
        return asked or "z"

    def points(self, inputs, space):
        return inputs

    def generate(self, inputs):
        y = inputs["y"] if inputs["y"].dim() == 1 else inputs["y"] @ torch.arange(3.0)
        shade = 100 + 20 * y + 4 * inputs["c"][:, 0] + 2 * inputs["c"][:, 1]
        images = shade[:, None, None, None].repeat(1, *self.shape)
        images[..., :14] += 50 + 20 * inputs["z"][:, :1, None, None]
        return images.round().clamp(0, 255).byte()


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    monkeypatch.setattr("gancli.model.load", lambda name=None, *, device="auto", truncation=None: Fake())


def right_sides(path: str, columns: int, rows: int) -> list[list[int]]:
    with Image.open(path) as image:
        assert image.size == (columns * 58 + 2, rows * 58 + 2)
        pixels = np.array(image)
    return [[int(pixels[row * 58 + 30, column * 58 + 50]) for column in range(columns)] for row in range(rows)]


def test_a_row_for_each_class_with_the_same_seeds(run_cli):
    result = run_cli("sample", "--class", "all", "--code", "0=0", "--code", "1=0", "--out", "a.png")
    assert result.err == "30 images of cgan/fashion, class T-shirt/top, trouser, bag\n"
    assert right_sides("a.png", 10, 3) == [[100] * 10, [120] * 10, [140] * 10]
    with Image.open("a.png") as image:
        rows = np.array(image)[2:].reshape(3, 58, 582)[:, :56, 2:30]
    assert (rows[1].astype(int) - rows[0] == 20).all()


def test_class_may_be_given_again(run_cli):
    result = run_cli("sample", "--class", "bag", "--class", "0,1", "--code", "0=0", "--code", "1=0", "--out", "a.png")
    assert result.err == "30 images of cgan/fashion, class bag, T-shirt/top, trouser\n"
    assert [row[0] for row in right_sides("a.png", 10, 3)] == [140, 100, 120]
    walk = ["interpolate", "--seeds", "5,5", "--frames", "1", "--out"]
    assert run_cli(*walk, "a.png", "--class", "0", "--class", "2").code == 0
    assert run_cli(*walk, "b.png", "--class", "0,2").code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_classes_that_were_found_without_labels_have_numbers(run_cli, monkeypatch):
    monkeypatch.setattr(Fake, "labelled", False)
    monkeypatch.setattr(Fake, "classes", ("0", "1", "2"))
    assert run_cli("sample", "--class", "2", "-n", "4").err == "4 images of cgan/fashion, class 2\n"
    for command in (["sample"], ["interpolate", "--seeds", "1,2"]):
        refused = run_cli(*command, "--class", "7")
        assert refused.err == "error: 'cgan/fashion' has no class '7'\n\nhint: one of: 0, 1, 2\n"


def test_one_class_fills_a_square(run_cli):
    assert run_cli("sample", "--class", "bag", "--code", "0=0", "--code", "1=0", "--out", "a.png").code == 0
    assert right_sides("a.png", 8, 8) == [[140] * 8] * 8


def test_a_sweep_is_a_row_for_each_seed(run_cli):
    result = run_cli("sample", "--class", "1", "--code", "0=-2..2", "--code", "1=1", "--grid", "5x2", "--out", "a.png")
    assert (result.code, result.err) == (0, "10 images of cgan/fashion, class trouser\n")
    assert right_sides("a.png", 5, 2) == [[114, 118, 122, 126, 130]] * 2


def test_a_sweep_without_classes_leaves_every_seed_its_own(run_cli):
    assert run_cli("sample", "--code", "0=-2..2", "--code", "1=0", "--out", "a.png").code == 0
    own = Fake.latent.from_seeds(range(10))["y"].tolist()
    assert [row[0] for row in right_sides("a.png", 10, 10)] == [92 + 20 * y for y in own]


def test_a_sweep_of_several_classes_has_a_row_for_each(run_cli):
    assert run_cli("sample", "--class", "0,2", "--code", "0=-2..2", "--code", "1=0", "--out", "a.png").code == 0
    assert [row[0] for row in right_sides("a.png", 10, 2)] == [92, 132]


def test_a_folder_for_each_class_that_torchvision_and_training_read_back(run_cli, home: Path):
    result = run_cli("sample", "--class", "T-shirt/top,bag", "-n", "12", "--out", "more", "--json")
    document = {"model": "cgan/fashion", "out": "more", "seeds": "0-11", "images": 24}
    assert json.loads(result.out) == {**document, "classes": ["T-shirt/top", "bag"]}
    assert sorted(path.name for path in home.glob("more/bag/*")) == [f"seed{seed:07d}.png" for seed in range(12)]
    assert run_cli("sample", "--class", "1", "-n", "3", "--out", "more").code == 0

    there = ImageFolder("more")
    assert there.classes == ["T-shirt-top", "bag", "trouser"]
    back = load("more")
    assert back.classes == ("T-shirt-top", "bag", "trouser")
    assert np.bincount(there.targets).tolist() == torch.bincount(back.labels).tolist() == [12, 12, 3]
    asked = Fake.latent.from_seeds(range(12))
    made = Fake().generate({**asked, "y": torch.full((12,), 2)})
    assert torch.equal(back.images[back.labels == 1], made)


def test_an_archive_has_folders_too(run_cli):
    assert run_cli("sample", "--class", "trouser", "-n", "1", "--out", "a.zip").code == 0
    with zipfile.ZipFile("a.zip") as archive:
        assert archive.namelist() == ["trouser/seed0000000.png"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--class", "baq"], "'cgan/fashion' has no class 'baq'", "did you mean 'bag'?"),
        (["--class", "7"], "'cgan/fashion' has no class '7'", "one of: T-shirt/top, trouser, bag"),
        (["--code", "2=1"], "'cgan/fashion' has no code 2", "its codes go from 0 to 1"),
        (["--code", "0"], "--code '0' is not NUMBER=VALUE or NUMBER=FIRST..LAST", "as in --code 0=1.5, or "
         "--code 0=-2..2 for a sweep"),
        (["--code", "0=1..2", "--out", "d"], "a code that varies is for one picture, but 'd' takes one PNG for each "
         "seed", "name a .png with --out"),
        (["--class", "all", "--grid", "4x4"], "--grid 4x4 has 16 cells, but there are 15 images", "choose as many "
         "seeds as fill it, or leave out --grid"),
        (["--class", "all", "-n", "4000"], "12,000 images are too many for one picture, which shows at most 10,000",
         "name a folder or a .zip for one PNG for each seed, such as --out images.zip"),
    ],
)  # fmt: skip
def test_faults(run_cli, home: Path, arguments, message, hint):
    result = run_cli("sample", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
    assert list(home.iterdir()) == []


def test_a_walk_keeps_a_class_or_leads_from_one_to_the_other(run_cli, monkeypatch):
    monkeypatch.setattr(Fake, "latent", LatentSpec(2, "uniform", classes=3, codes=2))
    for classes, first, last in (("2", 140, 140), ("0,2", 100, 140)):
        result = run_cli("interpolate", "--seeds", "5,5", "--class", classes, "--frames", "4", "--out", "a.png")
        assert result.code == 0
        shades = right_sides("a.png", 5, 1)[0]
        steps = np.linspace(first, last, 5)
        assert np.abs(np.array(shades) - shades[0] - (steps - first)).max() <= 1


def test_a_walk_takes_one_class_or_as_many_as_seeds(run_cli):
    result = run_cli("interpolate", "--seeds", "1,2,3", "--class", "0,1")
    assert (result.code, result.err.splitlines()[0]) == (2, "error: --class '0,1' names 2 classes for 3 seeds")


def test_training_on_one_class_alone(run_cli, home: Path):
    arguments = ["train", "digits", "--model", "gan", "--rounds", "2", "--out", "run", "-q"]
    assert run_cli(*arguments, "--only-class", "9").code == 0
    assert 'only_class = "9"' in (home / "run/recipe.toml").read_text()
    assert run_cli(*arguments, "--only-class", "9").code == 0
    other = run_cli(*arguments, "--only-class", "8")
    assert other.err.startswith("error: run was trained with data.only_class = '9', not '8'\n")
    unknown = run_cli("train", "digits", "--only-class", "ten", "--dry-run")
    assert unknown.err.endswith("error: 'digits' has no class 'ten'\n\nhint: one of: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n")
