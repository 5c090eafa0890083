import json
import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.cli import main
from gancli.errors import UsageError
from gancli.latents import LatentSpec


class Fake:
    """A model whose images tell their seed: the mean of z decides the shade."""

    name, numbers = "dcgan/mnist", False
    shape = (1, 28, 28)
    latent = LatentSpec(4)

    def space(self, asked=None):
        return asked or "z"

    def points(self, inputs, space):
        return inputs

    def generate(self, inputs):
        shade = (inputs["z"].mean(1) * 40 + 128).round().clamp(0, 255).byte()
        return shade[:, None, None, None].repeat(1, *self.shape)

    def images(self, seeds, batch=256):
        for start in range(0, len(seeds), batch):
            yield self.generate(self.latent.from_seeds(seeds[start : start + batch]))


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    asked = []

    def load(name=None, *, device="auto", truncation=None):
        asked.append((name, device))
        return Fake()

    monkeypatch.setattr("gancli.model.load", load)
    return asked


def shades(seeds):
    return [int(image[0, 0, 0]) for image in Fake().generate(LatentSpec(4).from_seeds(seeds))]


def cells(path, columns, rows, step=58, channel=None):
    with Image.open(path) as image:
        assert image.size == (columns * step + 2, rows * step + 2)
        pixels = np.array(image if channel is None else image.getchannel(channel))
    return [int(pixels[row * step + 30, column * step + 30]) for row in range(rows) for column in range(columns)]


def test_64_images_in_a_grid(run_cli, home, loaded):
    result = run_cli("sample")
    assert (result.code, result.out, result.err) == (0, "dcgan-mnist.png\n", "64 images of dcgan/mnist\n")
    assert cells("dcgan-mnist.png", 8, 8) == shades(range(64))
    assert loaded == [(None, "auto")]
    assert [path.name for path in home.iterdir()] == ["dcgan-mnist.png"]


def test_chosen_seeds_in_a_chosen_grid(run_cli, loaded):
    result = run_cli("sample", "x", "--seeds", "0-3,100,7", "--grid", "3x2", "--out", "a/b.png", "--device", "cpu")
    assert (result.code, result.out) == (0, "a/b.png\n")
    assert cells("a/b.png", 3, 2) == shades([0, 1, 2, 3, 100, 7])
    assert loaded == [("x", "cpu")]


def test_a_grid_decides_how_many(run_cli):
    assert run_cli("sample", "--grid", "3x2").err == "6 images of dcgan/mnist\n"
    assert cells("dcgan-mnist.png", 3, 2) == shades(range(6))


@pytest.mark.parametrize(("suffix", "kind", "near"), [("jpg", "JPEG", 3), ("JPEG", "JPEG", 3), ("webp", "WEBP", 0)])
def test_a_grid_as_jpeg_or_webp(run_cli, suffix, kind, near):
    assert run_cli("sample", "--grid", "3x2", "--out", f"a.{suffix}").code == 0
    with Image.open(f"a.{suffix}") as image:
        assert image.format == kind
    assert cells(f"a.{suffix}", 3, 2, channel=0) == pytest.approx(shades(range(6)), abs=near)


def test_one_image(run_cli):
    assert run_cli("sample", "-n", "1").err == "1 image of dcgan/mnist\n"


@pytest.mark.parametrize("out", ["many", "many.v2/"])
def test_a_folder_of_images(run_cli, home, out):
    assert run_cli("sample", "-n", "70", "--out", out).code == 0
    paths = sorted((home / out).glob("*.png"))
    assert [path.name for path in paths] == [f"seed{seed:07d}.png" for seed in range(70)]
    for path, shade in zip(paths, shades(range(70)), strict=True):
        with Image.open(path) as image:
            assert image.size == (28, 28)
            assert image.getextrema() == (shade, shade)


def test_images_of_two_models_are_not_mixed(run_cli, home, monkeypatch):
    assert run_cli("sample", "-n", "3", "--out", "many").code == 0
    assert run_cli("sample", "--seeds", "3-4", "--out", "many").code == 0  # the same model may add to them
    monkeypatch.setattr(Fake, "name", "cgan/mnist")
    (home / "many/mine.png").touch()
    before = {path.name for path in (home / "many").iterdir()}
    found = run_cli("sample", "-n", "1", "--out", "many")
    assert (found.code, found.err) == (
        2,
        "error: 'many' holds images of dcgan/mnist, not of cgan/mnist\n\n"
        "hint: name another folder, or delete them with --overwrite\n",
    )
    assert {path.name for path in (home / "many").iterdir()} == before
    assert run_cli("sample", "-n", "1", "--out", "many", "--overwrite").code == 0
    assert {path.name for path in (home / "many").glob("*.png")} == {"mine.png", "seed0000000.png"}


def test_samples_are_not_mixed_with_photos(run_cli, home):
    (home / "photos").mkdir()
    (home / "photos/dog.JPG").touch()
    found = run_cli("sample", "-n", "1", "--out", "photos")
    assert (found.code, found.err) == (
        2,
        "error: 'photos' holds other images (dog.JPG), which samples would be mixed with\n\n"
        "hint: name another folder, as in --out photos/samples\n",
    )
    assert [path.name for path in (home / "photos").iterdir()] == ["dog.JPG"]
    assert run_cli("sample", "-n", "1", "--out", "photos/samples").code == 0


def test_an_archive_of_images_and_json(run_cli):
    result = run_cli("sample", "--seeds", "5-6,9,5", "--out", "x.ZIP", "--json")
    assert json.loads(result.out) == {"model": "dcgan/mnist", "out": "x.ZIP", "seeds": "5-6,9", "images": 3}
    assert result.err == ""
    with zipfile.ZipFile("x.ZIP") as archive:
        assert archive.namelist() == ["seed0000005.png", "seed0000006.png", "seed0000009.png"]
        with Image.open(BytesIO(archive.read("seed0000009.png"))) as image:
            assert image.getpixel((0, 0)) == shades([9])[0]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["-n", "3", "--seeds", "1"], "-n 3 and --seeds '1' both choose the images", "give one of them"),
        (
            ["--seeds", "5-3"],
            "--seeds '5-3' is not a whole number or a range of them",
            "such as 7 or 0-63 or 0-9,42,100-109",
        ),
        (
            ["-n", "10000001", "--out", "d"],
            "invalid value for '-n': it should be less than or equal to 1000000, not 10000001",
            "`gancli sample --help` lists arguments and options",
        ),
        (
            ["--out", "a.tif"],
            "--out 'a.tif' ends in '.tif'",
            "end it in .png for one picture, in .zip for an archive, or in / for a folder",
        ),
        (
            ["-n", "0"],
            "invalid value for '-n': it should be greater than or equal to 1, not 0",
            "`gancli sample --help` lists arguments and options",
        ),
        (["--out", ""], "--out is empty", "name a .png or a folder"),
        (
            ["--out", "a.zip", "--grid", "8x8"],
            "--grid is for one picture, but 'a.zip' takes one PNG for each seed",
            "name a .png with --out",
        ),
        (["--out", "full.png"], "'full.png' is a folder, not a file", "name a file, such as samples.png"),
        (["--out", "taken"], "'taken' is not a folder: a file is in the way", "name another place"),
    ],
)
def test_faults_are_told_before_a_model_is_loaded(run_cli, home, loaded, arguments, message, hint):
    (home / "full.png").mkdir()
    (home / "taken").write_text("")
    result = run_cli("sample", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
    assert loaded == []
    assert sorted(path.name for path in home.iterdir()) == ["full.png", "taken"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["--grid", "3x3", "-n", "8"],
            "--grid 3x3 has 9 cells, but there are 8 images",
            "choose as many seeds as fill it, or leave out --grid",
        ),
        (
            ["-n", "10001"],
            "10,001 images are too many for one picture, which shows at most 10,000",
            "name a folder or a .zip for one PNG for each seed, such as --out images.zip",
        ),
    ],
)
def test_pictures_that_the_images_do_not_fit(run_cli, home, loaded, arguments, message, hint):
    result = run_cli("sample", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
    assert not list(home.iterdir())


def test_a_run_folder_is_not_filled_with_images(run_cli, home, loaded):
    (home / "runs/mine").mkdir(parents=True)
    (home / "runs/mine/state.safetensors").touch()
    result = run_cli("sample", "--out", "runs/mine/")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: --out 'runs/mine' is a run folder\n\nhint: name another folder, such as mine-images\n"
    )
    assert loaded == []
    assert [path.name for path in (home / "runs/mine").iterdir()] == ["state.safetensors"]


MEMORY = "error: an unexpected error: RuntimeError: out of memory\n\n"
MEMORY += "hint: run it again with --traceback for details\n"


def test_what_nobody_foresaw_is_one_line(run_cli, monkeypatch):
    def load(name=None, *, device="auto", truncation=None):
        raise RuntimeError("out of memory\nand two pages more")

    monkeypatch.setattr("gancli.model.load", load)
    result = run_cli("sample", "dcgan/mnist")
    assert (result.code, result.out, result.err) == (1, "", MEMORY)


def test_a_fault_without_words_is_named(run_cli, monkeypatch):
    def load(name=None, *, device="auto", truncation=None):
        raise MemoryError

    monkeypatch.setattr("gancli.model.load", load)
    assert run_cli("sample", "dcgan/mnist").err.startswith("error: an unexpected error: MemoryError\n")


@pytest.mark.parametrize("words", [["--traceback", "sample", "x"], ["sample", "x", "--traceback"]])
@pytest.mark.parametrize("fault", [UsageError("no"), OSError(28, "no room"), RuntimeError("out of memory")])
def test_a_traceback_can_be_asked_for_anywhere_on_the_line(monkeypatch, words, fault):
    def load(name=None, *, device="auto", truncation=None):
        raise fault

    monkeypatch.setattr("gancli.model.load", load)
    with pytest.raises(type(fault)) as raised:
        main(words)
    assert raised.value is fault


def test_help_tells_of_the_traceback(run_cli):
    assert "--traceback" in run_cli("--help").out


def test_a_grid_of_too_many_pixels_is_told_before_it_is_made(run_cli, monkeypatch):
    monkeypatch.setattr(Fake, "shape", (3, 512, 512))
    result = run_cli("sample", "-n", "900")
    assert result.code == 2
    assert result.err == (
        "error: a grid of 30 x 30 images would have 15422 x 15422 pixels, too many for one picture\n"
        "\nhint: show fewer images at once\n"
    )


def test_seeds_survive_inference_mode(run_cli, monkeypatch):
    monkeypatch.setattr(Fake, "generate", torch.inference_mode()(Fake.generate))
    assert run_cli("sample", "-n", "3").code == 0
    assert run_cli("sample", "-n", "3", "--out", "d").code == 0
    assert run_cli("interpolate", "--seeds", "1-4", "--frames", "2").code == 0
