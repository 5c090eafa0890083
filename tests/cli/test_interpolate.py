import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gancli.latents import LatentSpec


class Fake:
    """A model that shows the first number of z as a shade."""

    name, numbers = "dcgan/mnist", False
    shape = (1, 28, 28)
    latent = LatentSpec(8)

    def space(self, asked=None):
        return asked or "z"

    def points(self, inputs, space):
        return inputs

    def generate(self, inputs):
        assert len(inputs["z"]) <= 300
        shade = (inputs["z"][:, 0] * 40 + 128).round().clamp(0, 255).byte()
        return shade[:, None, None, None].repeat(1, *self.shape)


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    asked = []

    def load(name=None, *, device="auto", truncation=None):
        asked.append((name, device))
        return Fake()

    monkeypatch.setattr("gancli.model.load", load)
    return asked


def shade(seed):
    return int(Fake().generate(LatentSpec(8).from_seeds([seed]))[0, 0, 0, 0])


def shown(path):
    """The frames of an animation, uint8 (T, H, W)."""
    frames = []
    with Image.open(path) as image:
        for place in range(image.n_frames):
            image.seek(place)
            # Pillow joins equal frames: the delay says how many there were.
            count = round(image.info["duration"] / 40) if "duration" in image.info else 1
            frames += [np.array(image.convert("L"))] * count
    return torch.from_numpy(np.stack(frames))


def test_a_walk_as_gif(run_cli, loaded):
    result = run_cli("interpolate", "zoo/x", "--seeds", "3,14,15", "--device", "cpu", "--fps", "25")
    assert (result.code, result.out, result.err) == (0, "dcgan-mnist-walk.gif\n", "61 frames of dcgan/mnist\n")
    frames = shown("dcgan-mnist-walk.gif")
    assert frames.shape == (61, 140, 140)
    assert [int(frame[0, 0]) for frame in frames[::30]] == [shade(3), shade(14), shade(15)]
    assert loaded == [("zoo/x", "cpu")]


def test_a_loop(run_cli):
    arguments = ["--seeds", "3,14", "--loop", "--frames", "5", "--scale", "1", "--out", "a.webp"]
    result = run_cli("interpolate", *arguments, "--fps", "25", "--json")
    made = {"model": "dcgan/mnist", "out": "a.webp", "seeds": [3, 14], "frames": 10}
    assert (result.code, json.loads(result.out), result.err) == (0, made, "")
    frames = shown("a.webp")
    assert frames.shape == (10, 28, 28)
    assert (int(frames[0, 0, 0]), int(frames[5, 0, 0])) == (shade(3), shade(14))


def test_a_smooth_walk_lingers_at_its_seeds(run_cli):
    arguments = ["--seeds", "3,14", "--frames", "4", "--scale", "1"]
    for ease in ("linear", "smooth"):
        assert run_cli("interpolate", *arguments, "--ease", ease, "--out", f"{ease}.webp", "--fps", "25").code == 0
    assert run_cli("interpolate", *arguments[:2], "--frames", "32", "--scale", "1", "--out", "fine.webp").code == 0
    with Image.open("fine.webp") as image:
        fine = [int(np.array(frame.convert("L"))[0, 0]) for frame in ImageSequence.Iterator(image)]
    found = [int(frame[0, 0]) for frame in shown("smooth.webp")]
    # 3 t^2 - 2 t^3 at the quarters, in 32nds: 0, 5, 16, 27, 32.
    assert found == [fine[number] for number in (0, 5, 16, 27, 32)]
    assert found != [int(frame[0, 0]) for frame in shown("linear.webp")]


def test_a_strip(run_cli):
    assert run_cli("interpolate", "--seeds", "0,1", "--out", "strip.png").code == 0
    with Image.open("strip.png") as image:
        assert image.size == (9 * 58 + 2, 58 + 2)
        pixels = np.array(image)
    assert [int(pixels[30, x]) for x in (30, 8 * 58 + 30)] == [shade(seed) for seed in range(2)]


def test_one_seed_is_no_walk(run_cli):
    result = run_cli("interpolate", "--seeds", "3")
    assert (result.code, result.err) == (
        2,
        "error: a path needs two seeds or more, not 1\n\nhint: for example: --seeds 3,14,15\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([], "missing option '--seeds'", "`gancli interpolate --help` lists arguments and options"),
        (
            ["--seeds", "0-999999"],
            "29,999,971 images are too many for one walk, which takes at most 50,000",
            "take fewer seeds or fewer --frames",
        ),
        (
            ["--seeds", "1,2", "--out", "a.avi"],
            "'a.avi' does not name an animation",
            "end it in one of: .gif, .webp, .apng, .mp4",
        ),
        (
            ["--seeds", "1,2", "--out", ""],
            "'' does not name an animation",
            "end it in one of: .gif, .webp, .apng, .mp4",
        ),
        (
            ["--seeds", "1,2", "--out", "a.png", "--fps", "3"],
            "--fps 3 has no meaning for the strip 'a.png'",
            "leave it out, or name an animation",
        ),
        (
            ["--seeds", "1,2", "--truncation", "0.5,1,2"],
            "--truncation '0.5,1,2' has 3 values for 2 seeds",
            "give one for all, or one for each seed",
        ),
        (
            ["--seeds", "1,2", "--truncation", "1,,2"],
            "--truncation '1,,2' is neither a number nor several",
            "as in 0.7, or 1,0.5,none for three seeds",
        ),
        (
            ["--seeds", "1,2", "--fps", "0"],
            "0 frames a second cannot be shown",
            "choose a rate from 0.1 to 240",
        ),
    ],
)
def test_faults_are_told_before_a_model_is_loaded(run_cli, home, loaded, arguments, message, hint):
    result = run_cli("interpolate", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
    assert loaded == []
    assert list(home.iterdir()) == []


def test_a_strip_of_too_many_pixels(run_cli):
    result = run_cli("interpolate", "--seeds", "0-999", "--out", "a.png")
    assert result.code == 2
    assert result.err == (
        "error: a grid of 7993 x 1 images would have 463596 x 60 pixels, too many for one picture\n"
        "\nhint: show fewer images at once\n"
    )
