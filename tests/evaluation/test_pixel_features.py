"""Data that no classifier knows are judged by pixels, by what needs no classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.subjects import open_subject
from gancli.metrics import METRICS


@pytest.fixture
def flags(home: Path) -> Path:
    """A folder of striped images in two colours, with a training and a held-out split, and one of noise."""
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 40), ("test", 20), ("noise", 20)):
        folder = home / ("noise" if split == "noise" else f"flags/{split}")
        folder.mkdir(parents=True)
        for number in range(count):
            colours = torch.randint(0, 256, (2, 1, 1, 3), dtype=torch.uint8, generator=generator)
            pixels = colours.repeat_interleave(8, 0).expand(16, 16, 16, 3)[:, 0]
            if split == "noise":
                pixels = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8, generator=generator)
            Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
    return home / "flags"


def test_a_folder_is_judged_by_pixels(flags: Path, home: Path) -> None:
    report = evaluate(open_subject(str(home / "noise")), str(flags))
    assert report.protocol.extractor == "pixels"
    assert report.protocol.resize == "generated 16x16 to 8x8, real 16x16 to 8x8, bicubic, antialiased"
    assert report.protocol.colour == "none"
    found = {result.metric: result for result in report.results}
    assert set(found) == set(METRICS) - {"score", "imbalance", "modes", "class-fid"}
    assert found["fid"].value > 2 * (found["fid"].floor or 0)
    assert found["recall"].value < 0.1
    assert report.class_names == report.generated.classes == ()
    assert report.generated.confident is None
    assert "pixels compares images as 8x8 pixels, not by features of a network" in report.warnings[-1]
    # The second time, the real side comes from the cache folder.
    assert evaluate(open_subject(str(home / "noise")), str(flags)).to_dict() == report.to_dict()


@pytest.mark.parametrize("name", ["score", "imbalance", "class-fid"])
def test_figures_of_classes_are_refused_by_name(flags: Path, home: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} needs .*class"):
        evaluate(open_subject(str(home / "noise")), str(flags), ["fid", name])


def test_the_command_says_so_and_shows_no_classes(flags: Path, home: Path, run_cli: Callable[..., Any]) -> None:
    arguments = "evaluate", home / "noise", "--data", flags, "--metrics", "fid,precision"
    result = run_cli(*arguments)
    assert result.code == 0
    assert "extractor  pixels, " in result.out
    assert "class %" not in result.out
    assert "warning: pixels compares images as 8x8 pixels" in result.err
    document = json.loads(run_cli(*arguments, "--json").out)
    assert document["confident"] == {"generated": None, "real": None}


def test_grey_images_are_said_to_be_brought_to_colour(flags: Path, run_cli: Callable[..., Any]) -> None:
    result = run_cli("evaluate", "quick/digits", "--data", flags, "--metrics", "fid", "-n", "20", "--json")
    assert json.loads(result.out)["protocol"]["colour"] == "generated grey to RGB"
