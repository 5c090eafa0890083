"""Runs whose data, or which themselves, were moved."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from gancli.data import load
from gancli.rendering.images import save_images

SMALL = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4", "--set", "training.batch=12"]
SMALL += ["--set", "networks.generator.dense=8", "--set", "networks.discriminator.dense=8", "--set", "latent.dim=6"]


@pytest.fixture
def trained(run_cli, home: Path) -> Path:
    """The folder ``photos`` with its splits, on which the run ``r`` was trained."""
    images = load("digits").images
    for split in ("train", "test"):
        save_images([images[:12]], range(12), home / "photos" / split)
    padded = ["--set", "data.size=[10,10]", "--set", "data.fit=pad"]
    assert run_cli("train", "photos", "--rounds", 1, "--out", "r", "-q", *padded, *SMALL).code == 0
    return home / "photos"


def test_a_run_goes_on_with_its_data_at_another_place(run_cli, home: Path, trained: Path) -> None:
    trained.rename(home / "elsewhere")
    lost = run_cli("train", "--resume", "r", "--rounds", 1)
    assert lost.code == 2
    assert lost.err == (
        f"error: {trained} is not there, and r is trained on it\n\n"
        "hint: if it was moved, name its new path: `gancli train NEW --resume r`\n"
    )
    assert "nowhere is not there" in run_cli("train", "nowhere", "--resume", "r").err
    moved = run_cli("train", "elsewhere", "--resume", "r", "--rounds", 1)
    assert "resuming at 1 of 2 rounds" in moved.err
    assert tomllib.loads((home / "r/recipe.toml").read_text())["data"]["name"] == str(home / "elsewhere")
    assert run_cli("train", "--resume", "r", "--rounds", 1, "-q").code == 0


def test_other_data_at_another_place_are_refused(run_cli, home: Path, trained: Path) -> None:
    shutil.copytree(trained, home / "other")
    Image.new("L", (8, 8), 200).save(home / "other/train/more.png")
    before = (home / "r/recipe.toml").read_bytes()
    for data in ("other", "digits"):
        refused = run_cli("train", data, "--resume", "r")
        assert refused.code == 2
        assert f"the data set '{data}' is not the one that r was trained on" in refused.err
    assert (home / "r/recipe.toml").read_bytes() == before


def test_a_run_is_evaluated_on_the_folder_that_it_was_trained_on(run_cli, home: Path, trained: Path) -> None:
    home.joinpath("train").mkdir()  # which is not asked for its data
    found = json.loads(run_cli("evaluate", "r", "--metrics", "fid", "--json").out)
    assert found["protocol"]["data"] == str(trained)
    assert found["protocol"]["resize"] == "generated 10x10 to 128x128, real 10x10 to 128x128, bicubic, antialiased"
    trained.rename(home / "elsewhere")
    lost = run_cli("evaluate", "r")
    assert lost.code == 2
    assert lost.err == (
        f"error: 'r' was trained on '{trained}', which is not here\n\nhint: --data PATH says where it is\n"
    )
    moved = json.loads(run_cli("evaluate", "r", "--data", "elsewhere", "--metrics", "fid", "--json").out)
    assert (moved["protocol"]["resize"], moved["results"]) == (found["protocol"]["resize"], found["results"])
    save_images([load("digits").images[12:24]], range(12), home / "other/train")  # other data have a size of their own
    other = json.loads(run_cli("evaluate", "r", "--data", "other", "--metrics", "fid", "--json").out)
    assert other["protocol"]["resize"] == "generated 10x10 to 128x128, real 8x8 to 128x128, bicubic, antialiased"
