"""Images of other programs in the place of a model's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli.data import load
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.subjects import Pictures, open_subject
from gancli.model import Model
from gancli.rendering.images import save_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four hundred training digits as PNGs, and a file that is none."""
    stock = load("digits").images
    some = torch.randperm(len(stock), generator=torch.Generator().manual_seed(0))[:400]
    save_images([stock[some]], range(400), tmp_path / "made")
    (tmp_path / "made" / "broken.png").write_text("no image")
    return tmp_path / "made"


def test_a_folder_is_read_and_what_is_no_image_is_told(folder: Path) -> None:
    found = open_subject(str(folder))
    assert isinstance(found, Pictures)
    assert (found.name, found.shape, found.supply) == ("made", (1, 8, 8), 400)
    assert found.warnings[0].startswith("left out of 'made': broken.png (")


def test_a_zip_holds_the_same_images(tmp_path: Path) -> None:
    images = load("digits").images[:50]
    save_images([images], range(50), tmp_path / "made.zip")
    found = open_subject(str(tmp_path / "made.zip"))
    assert isinstance(found, Pictures)
    assert torch.equal(found.stock, images)


def test_every_image_is_drawn_once_and_the_same_ones_first() -> None:
    stock = torch.arange(100, dtype=torch.uint8).view(-1, 1, 1, 1)
    subject = Pictures("x", stock)
    drawn = torch.cat(list(subject.images(range(100), 30))).flatten()
    assert drawn.tolist() != list(range(100))
    assert sorted(drawn.tolist()) == list(range(100))
    assert torch.equal(torch.cat(list(subject.images(range(40), 7))).flatten(), drawn[:40])


def test_real_images_in_a_folder_get_about_the_floor(folder: Path) -> None:
    found = evaluate(open_subject(str(folder)), "digits", ("fid", "precision"))
    fid, precision = found.results
    assert fid.floor is not None
    assert fid.value < 1.3 * fid.floor
    assert precision.value > 0.85
    assert (found.protocol.seeds, found.protocol.generated_images) == ("none: 355 of 400 images", 355)
    assert any("broken.png" in warning for warning in found.warnings)


def test_large_images_are_told_to_have_been_made_smaller(tmp_path: Path) -> None:
    for number in range(6):
        Image.new("L", (100, 80), 30 * number).save(tmp_path / f"{number}.png")
    found = open_subject(str(tmp_path))
    assert isinstance(found, Pictures)
    assert max(found.shape) == 64
    assert found.warnings == (f"images of '{tmp_path.name}' above 64 pixels were first brought to 64",)


def test_models_are_still_models() -> None:
    found = open_subject("quick/digits")
    assert isinstance(found.model, Model)
    assert found.identity == found.model.identity


@pytest.mark.parametrize(
    ("data", "images", "seed", "message"),
    [
        (None, None, 0, "'made' does not say what to compare it with"),
        ("ring", None, 0, "'made' holds images, and 'ring' holds numbers"),
        ("digits", None, 3, "`seed_start=3` is for models, and 'made' is images"),
        ("digits", 401, 0, "there are 400 images, and 401 are needed"),
    ],
)
def test_what_images_cannot_be_asked(
    folder: Path, data: str | None, images: int | None, seed: int, message: str
) -> None:
    with pytest.raises(UsageError) as error:
        evaluate(open_subject(str(folder)), data, images=images, seed_start=seed)
    assert error.value.message == message


def test_truncation_is_told_and_images_take_none(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    report = json.loads(run_cli("evaluate", "quick/digits", "--truncation", "1.5", "--json").out)
    assert report["protocol"]["truncation"] == 1.5
    assert len(report["identity"]) == 64
    shown = run_cli("evaluate", "quick/digits", "--truncation", "1.5").out
    assert "truncation 1.5\n" in shown
    assert f"running average, {report['identity'][:16]}" in shown
    assert run_cli("sample", "quick/digits", "-n", 8, "--out", tmp_path / "made").code == 0
    refused = run_cli("evaluate", tmp_path / "made", "--data", "digits", "--truncation", 1)
    assert refused.err.startswith("error: --truncation is for models, and '")
