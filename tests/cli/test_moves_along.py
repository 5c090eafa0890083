"""`gancli directions`, and moves along what it finds in `gancli sample` and `gancli interpolate`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys import style_file

import gancli
from gancli.editing import directions


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return style_file(tmp_path / "styles.safetensors")


def test_directions_are_found_named_kept_and_moved_along(run_cli, home: Path, stored: Path) -> None:
    done = run_cli("directions", stored, "-n", 3, "--save", "found.safetensors", "--steps", 3, "--scale", 1)
    assert (done.code, done.out) == (0, "styles-directions.png\n")
    assert done.err == "3 directions of styles in w by sefa, saved as found.safetensors\n"
    named = ("directions", "found.safetensors", "--name", "1=smile", "--save", "found.safetensors", "--json")
    found = json.loads(run_cli(*named).out)
    assert [each["name"] for each in found["directions"]] == ["0", "smile", "2"]
    model = gancli.load("found.safetensors", device="cpu")
    _, smile, _ = directions.stored(model)
    assert model.identity == gancli.load(stored, device="cpu").identity
    start = model.points(model.latent.from_seeds([0]), "w")["w"]
    back, ahead = (model.generate({"w": start + steps * torch.tensor(smile.vector)})[0, 0] for steps in (-3, 3))
    with Image.open(home / "styles-directions.png") as image:
        row = np.array(image).astype(int)[18 + 2 + 10 :][:8, -32:]
    assert np.abs(row[:, 2:10] - back.numpy()).max() <= 1
    assert np.abs(row[:, 22:30] - ahead.numpy()).max() <= 1

    sampled = run_cli("sample", "found.safetensors", "--seeds", "0", "--move", "smile=3", "--out", "moved/")
    assert (sampled.code, sampled.err) == (0, "1 image of found, moved by smile=3\n")
    with Image.open(next((home / "moved").glob("seed*.png"))) as image:
        assert np.abs(np.array(image).astype(int) - ahead.numpy()).max() <= 1
    walk = ("interpolate", "found.safetensors", "--seeds", "0,1", "--frames", 1, "--scale", 1, "--out", "walk.png")
    assert run_cli(*walk, "--move", "smile=3").code == 0
    with Image.open(home / "walk.png") as image:
        assert np.abs(np.array(image).astype(int)[2:10, 2:10] - ahead.numpy()).max() <= 1


def test_a_model_without_w_is_moved_in_z(run_cli, home: Path) -> None:
    shown = run_cli("directions", "dcgan/digits", "-n", 2, "--save", "d.safetensors", "--json")
    found = json.loads(shown.out)
    assert (found["space"], found["method"], len(found["directions"])) == ("z", "sefa", 2)
    assert found["directions"][0]["change"] >= found["directions"][1]["change"] > 0
    plain, moved = (
        run_cli("interpolate", "d.safetensors", "--seeds", "1,2", "--frames", 2, "--out", f"{name}.png", *more)
        for name, more in (("plain", ()), ("moved", ("--move", "1=2", "--move", "0=-1")))
    )
    assert (plain.code, moved.code) == (0, 0)
    assert (home / "plain.png").read_bytes() != (home / "moved.png").read_bytes()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("directions", "dcgan/digits", "--method", "pca"), "'dcgan/digits' has no w, whose principal components"),
        (("directions", "dcgan/digits", "--name", "9=far", "-n", "2"), "there is no direction 9"),
        (("directions", "dcgan/digits", "--save", "x.png"), "--save 'x.png' is not the name of a model's file"),
        (("directions", "dcgan/digits", "--save", "styles.safetensors"), "'styles.safetensors' exists, and is no copy"),
        (("directions", "sine-gan/sine"), "sine-gan/sine makes numbers, not pictures"),
        (("sample", "dcgan/digits", "--move", "smile=2"), "'dcgan/digits' has no directions to move along"),
        (("sample", "dcgan/digits", "--move", "smile"), "--move 'smile' is not NAME=STEPS"),
        (("sample", "sine-gan/sine", "--move", "a=1"), "--move a=1 is for images"),
        (("interpolate", "COPY", "--seeds", "1,2", "--move", "grin=2"), "'copy' has no direction 'grin'"),
        (("interpolate", "COPY", "--seeds", "1,2", "--move", "0=2", "--space", "z"), "--move 0 is a direction of w"),
    ],
)
def test_errors(run_cli, home: Path, stored: Path, command: tuple[str, ...], message: str) -> None:
    if "COPY" in command:
        assert run_cli("directions", stored, "--save", "copy.safetensors", "--out", "p.png", "--steps", 2).code == 0
        (home / "p.png").unlink()
    done = run_cli(*("copy.safetensors" if word == "COPY" else word for word in command))
    assert (done.code, done.out) == (2, "")
    assert f"error: {message}" in done.err.replace("\n", " ")
    assert not list(home.glob("*.png"))
