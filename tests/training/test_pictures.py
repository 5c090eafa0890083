"""Previews: statistics for the health monitor, the animation, the terminal."""

from io import StringIO

import pytest
import torch
from rich.console import Console
from tiny import dataset, tiny, trainer

from gancli.cli.terminal import display
from gancli.data import load
from gancli.rendering.animation import save_animation
from gancli.rendering.images import to_pil
from gancli.runs.previews import FRAMES, Preview, compare, frames


def digits(first: int, count: int = 64) -> torch.Tensor:
    return load("digits").images[first : first + count].float() / 127.5 - 1


def test_other_real_images_compare_as_equal() -> None:
    figures = compare(digits(100), digits(0), digits(200))
    assert abs(figures["diversity"] - 1) < 0.1
    assert abs(figures["nearest"] - 1) < 0.15
    assert abs(figures["noise"]) < 0.1
    assert abs(figures["change"] - 1) < 0.1


def test_one_picture_repeated_is_no_diversity() -> None:
    figures = compare(digits(0, 1).expand(64, -1, -1, -1), digits(100))
    assert figures["diversity"] < 1e-6
    assert figures["nearest"] < 1e-6


def test_a_few_pictures_repeated_are_seen_by_their_nearest_neighbours() -> None:
    figures = compare(digits(0, 4).repeat(16, 1, 1, 1), digits(100))
    assert figures["diversity"] > 0.5
    assert figures["nearest"] < 1e-6


def test_white_noise_and_flat_pictures_agree_with_nothing() -> None:
    white = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert abs(compare(white, digits(0))["noise"] - 1) < 0.15
    assert compare(torch.zeros(64, 1, 8, 8), digits(0))["noise"] > -1


def test_pictures_that_stay_do_not_change() -> None:
    assert compare(digits(0), digits(100), digits(0))["change"] == 0


def test_what_cannot_be_compared_is_left_out() -> None:
    curves = torch.sin(torch.linspace(-3, 3, 15)).expand(8, 1, 1, 15)
    assert compare(curves + 0.01 * torch.randn(8, 1, 1, 15), curves) == {}  # the data are all alike, and no images
    static = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert "noise" not in compare(digits(0), static)
    points = torch.rand(8, 1, 1, 2)
    assert set(compare(points, points)) == {"diversity", "nearest"}
    assert compare(digits(0, 1), digits(5, 1)).keys() == {"noise"}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_animation_of_any_training_is_small(tmp_path, channels) -> None:
    noise = torch.randint(0, 256, (FRAMES, channels, 1024, 1024), dtype=torch.uint8)  # what compresses worst
    for number, picture in enumerate(noise):
        to_pil(picture).save(tmp_path / f"{number:08d}.png", compress_level=0)
    made = list(frames(tmp_path))
    assert {tuple(frame.shape[1:]) for frame in made} == {(342, 342)}
    assert max(len(frame.unique()) for frame in made) <= 32
    save_animation(made, tmp_path / "training.gif", fps=10)
    assert (tmp_path / "training.gif").stat().st_size < 10e6


def test_every_class_is_in_the_terminal(monkeypatch) -> None:
    made = tiny(1, latent={"classes": 10}, training={"samples": 64})
    preview = Preview(trainer(made), dataset(made))
    images = torch.arange(60, dtype=torch.uint8).view(60, 1, 1, 1).expand(-1, 1, 28, 28)
    shown = preview.examples(images)
    assert shown[:, 0, 0, 0].tolist() == list(range(0, 60, 6))  # the first of each class's row
    screen = Console(file=StringIO(), force_terminal=True, color_system="truecolor", width=80, _environ={})
    monkeypatch.setattr(display, "stderr", lambda: screen)
    panel = display.Panel(10, 0)
    panel.pictures(shown)
    pixels = panel.samples
    screen.print(pixels, end="")
    assert len(screen.file.getvalue().splitlines()) <= 16
