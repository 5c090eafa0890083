"""`gancli mix --styles`: a grid of seeds, each image with some layers of its row and the others of its column."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys import style_file, style_model

from gancli.editing.styles import mix_styles, parse_layers
from gancli.errors import UsageError


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return style_file(tmp_path / "styles.safetensors")


def test_an_image_has_the_columns_layers_and_the_rows_others() -> None:
    model = style_model()
    mixed = mix_styles(model, (3, 4), (10, 11, 12), (1, 2))["w"]
    assert mixed.shape == (6, 4, 5)
    row, column = model.points(model.latent.from_seeds([4, 10]), "w")["w"]
    by_hand = torch.stack([row[0], column[1], column[2], row[3]])
    torch.testing.assert_close(mixed[3], by_hand)
    made = model.render({"w": mixed})
    torch.testing.assert_close(made[3], model.latents().synthesize(by_hand[None])[0])
    assert (made[3] - model.render({"w": row[None]})[0]).abs().max() > 1e-3
    everything = mix_styles(model, (3,), (10,), (0, 1, 2, 3))["w"]
    torch.testing.assert_close(everything[0], column)


@pytest.mark.parametrize(
    ("text", "layers", "chosen"),
    [
        ("coarse", 8, (0, 1, 2)),
        ("middle", 8, (3, 4)),
        ("Fine", 8, (5, 6, 7)),
        ("coarse", 18, (0, 1, 2, 3, 4, 5)),
        ("fine", 2, (1,)),
        ("0-2,5", 6, (0, 1, 2, 5)),
        ("3,1,1", 4, (1, 3)),
    ],
)
def test_layers_by_third_or_number(text: str, layers: int, chosen: tuple[int, ...]) -> None:
    assert parse_layers(text, layers) == chosen


@pytest.mark.parametrize(
    ("text", "layers", "message"),
    [
        ("middle", 2, "of 2 layers, none are called middle"),
        ("rough", 8, "`layers` 'rough' is not a whole number or a range of them"),
        ("", 8, "`layers` '' is not a whole number or a range of them"),
        ("0-8", 8, "the model has no layer 8"),
    ],
)
def test_what_is_no_layer(text: str, layers: int, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_layers(text, layers)
    assert raised.value.message == message


def test_the_picture_is_a_grid_with_its_seeds_around(run_cli, home: Path, stored: Path) -> None:
    grid = ("mix", stored, "--styles", "--rows", "3,4", "--columns", "10-12", "--layers", "fine", "--scale", 1)
    done = run_cli(*grid, "--out", "grid.png", "--json")
    found = json.loads(done.out)
    assert (found["rows"], found["columns"], found["layers"]) == ([3, 4], [10, 11, 12], [3])
    model = style_model()
    with Image.open(home / "grid.png") as image:
        pixels = np.array(image)
    cells = pixels[18:, pixels.shape[1] - 42 :]

    def cell(down: int, across: int) -> torch.Tensor:
        return torch.from_numpy(cells[2 + 10 * down :, 2 + 10 * across :][:8, :8]).int()

    assert (cell(0, 0) == 255).all()
    for (down, across), image in {
        (0, 2): model.sample(seeds=[11])[0, 0],
        (2, 0): model.sample(seeds=[4])[0, 0],
        (2, 3): model.generate(mix_styles(model, (4,), (12,), (3,)))[0, 0],
    }.items():
        assert (cell(down, across) - image.int()).abs().max() <= 1
    assert run_cli(*grid).err == "2 x 3 seeds of styles, with layer 3 of 4 from the columns\n"
    # At the mean of w, all styles are one.
    assert run_cli(*grid, "--truncation", 0, "--out", "mean.png").code == 0
    with Image.open(home / "mean.png") as image:
        assert len(np.unique(np.array(image)[30:38, -8 - 2 : -2])) > 1
        assert (np.array(image)[30:38, -8 - 2 : -2] == np.array(image)[40:48, -8 - 12 : -12]).all()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["dcgan/digits", "--styles"],
            "'dcgan/digits' has no layers to mix: its generator takes its latent as a whole",
            '`gancli mix dcgan/digits "3 - 14 + 15"` mixes whole latents',
        ),
        (["STYLES", "--styles", "--layers", "9"], "the model has no layer 9", "it has 4 layers, counted from 0"),
        (
            ["STYLES", "--styles", "--layers", "rough"],
            "--layers 'rough' is not a whole number or a range of them",
            "coarse, middle, fine, or numbers such as 0-3",
        ),
        (["STYLES", "3", "--rows", "1"], "--rows '1' is for mixing styles", "add --styles"),
        (["STYLES", "--styles", "--space", "z"], "--space z has no layers to mix", "leave it out"),
        (
            ["STYLES", "3 + 4", "--styles"],
            "'3 + 4' adds up whole latents, and --styles mixes their layers",
            "leave out one of them; --rows and --columns name the seeds of a grid",
        ),
        (
            ["STYLES", "--styles", "--rows", "0-999", "--columns", "0-99"],
            "101,101 images are too many for one picture",
            "take fewer --rows or --columns",
        ),
    ],
)
def test_errors(run_cli, home: Path, stored: Path, arguments: list[str], message: str, hint: str) -> None:
    words = [str(stored) if word == "STYLES" else word for word in arguments]
    done = run_cli("mix", *words)
    assert (done.code, done.out, done.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
    assert not list(home.glob("*.png"))
