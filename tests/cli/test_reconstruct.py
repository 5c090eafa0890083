import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gancli
from gancli import recipe
from gancli.data import load
from gancli.evaluation.evaluators.reconstruction import reconstruct
from gancli.metrics.images import psnr
from gancli.runs import planning
from gancli.runs.run import Run
from gancli.zoo import catalogue

CPU = torch.device("cpu")


class Silent:
    def row(self, values) -> None: ...
    def replanned(self, rounds) -> None: ...

    def pictures(self, images) -> None: ...


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A small VAE of the digits after a second or two."""
    table = recipe.for_data(catalogue.recipe_table("vae"), "digits")
    small = {"latent": {"dim": 8}, "training": {"rounds": 200, "batch": 32, "samples": 4, "precision": "fp32"}}
    small["networks"] = {name: {"hidden": [32]} for name in table["networks"]}
    made = planning.resolve(recipe.parse(recipe.merge(table, small)), load("digits"), CPU)
    folder = tmp_path_factory.mktemp("runs") / "small"
    Run(folder, made, load("digits"), CPU).train(Silent())
    return folder


def test_pairs_of_a_data_set_in_one_picture(run_cli, trained: Path) -> None:
    result = run_cli("reconstruct", trained, "digits", "-n", "8", "--device", "cpu")
    model, images = gancli.load(trained, device="cpu"), load("digits", split="test").images[:8]
    remade = reconstruct(model, images)
    mean = psnr(images, remade).mean()
    assert (result.code, result.out) == (0, "small-reconstructed.png\n")
    assert result.err == f"8 images by encoder, PSNR {mean:.2f} dB on average\n"
    assert mean > 11  # what 200 rounds reach; a blank image has 9.6 dB
    with Image.open("small-reconstructed.png") as picture:
        assert picture.size == (4 * 66 + 2, 4 * 66 + 2)


def test_a_folder_of_images_into_a_folder(run_cli, trained: Path) -> None:
    images = load("digits", split="test").images[:3]
    Path("mine").mkdir()
    for name, image in zip(("b", "a", "c"), images, strict=True):
        Image.fromarray(image[0].numpy()).save(f"mine/{name}.png")
    Path("mine/d.png").write_bytes(b"no picture")
    result = run_cli("reconstruct", trained, "mine", "--out", "made/", "--json", "--device", "cpu")
    found = json.loads(result.out)
    assert result.code == 0
    assert result.err == "left out d.png: not an image that PIL reads\n"
    assert (found["by"], found["images"], found["out"]) == ("encoder", 3, "made")
    assert list(found["each"]) == ["a", "b", "c"]
    assert found["psnr"] == pytest.approx(sum(found["each"].values()) / 3, abs=1e-3)
    remade = reconstruct(gancli.load(trained, device="cpu"), images)
    for name, image in zip(("b", "a", "c"), remade, strict=True):
        assert np.array_equal(np.asarray(Image.open(f"made/{name}.png")), image[0].numpy())


def test_a_model_without_encoder_is_searched(run_cli) -> None:
    """What it made itself it finds again, nearly."""
    own = gancli.load("gan/digits", device="cpu").sample(seeds=[5])
    Image.fromarray(own[0, 0].numpy()).save("own.png")
    result = run_cli("reconstruct", "gan/digits", "own.png", "--steps", "20", "--json", "--device", "cpu")
    found = json.loads(result.out)
    assert (result.code, found["by"], found["images"]) == (0, "search", 1)
    assert found["psnr"] > 25
    assert Path("gan-digits-reconstructed.png").exists()


def test_several_images_of_another_size_and_what_was_given_stays(run_cli, trained: Path) -> None:
    for name in ("a", "b"):
        Image.new("L", (16, 8), 90).save(f"{name}.png")
    result = run_cli("reconstruct", trained, "a.png", "b.png", "--out", "made/", "--device", "cpu")
    assert result.code == 0
    assert result.err.startswith("note: images were cropped and resized to 8x8\n2 images by encoder")
    assert sorted(path.name for path in Path("made").iterdir()) == ["a.png", "b.png"]
    for out in ("a.png", "."):
        refused = run_cli("reconstruct", trained, "a.png", "b.png", "--out", out, "--device", "cpu")
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith("error: 'a.png' is among the input images\n\nhint: ")


ERRORS = {
    "nothing": (
        ("nowhere",),
        "error: there is no image, folder or data set 'nowhere'\n\nhint: an image's file, a folder or a zip of images, "
        "or a name that `gancli data list` shows\n",
    ),
    "another suffix": (
        ("digits", "--out", "x.gif"),
        "error: --out 'x.gif' ends in '.gif'\n\nhint: end it in .png for one picture, or in / for a folder\n",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(run_cli, trained: Path, name: str) -> None:
    arguments, message = ERRORS[name]
    result = run_cli("reconstruct", trained, *arguments, "--device", "cpu")
    assert (result.code, result.out, result.err) == (2, "", message)


def test_an_image_that_is_none(run_cli, trained: Path) -> None:
    Path("text.png").write_text("hello")
    result = run_cli("reconstruct", trained, "text.png", "--device", "cpu")
    assert result.code == 2
    assert "none of the images of 'text.png' can be read (text.png: not an image that PIL reads)" in result.err


def test_evaluation_adds_reconstruction_and_elbo(run_cli, trained: Path) -> None:
    result = run_cli("evaluate", trained, "-n", "60", "--metrics", "precision", "--json", "--device", "cpu")
    assert result.code == 0
    further = {figure["name"]: figure["value"] for figure in json.loads(result.out)["further"]}
    assert set(further) == {"psnr", "elbo", "reconstruction", "kl"}
    assert further["elbo"] == pytest.approx(-further["reconstruction"] - further["kl"], rel=1e-5)
    shown = run_cli("evaluate", trained, "-n", "60", "--metrics", "precision", "--device", "cpu")
    assert f"ELBO, nats an image                   {further['elbo']:.2f}" in shown.out
