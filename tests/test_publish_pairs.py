"""A translator of pairs becomes a zoo entry, also when its images came as a folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli import checkpoint, recipe
from gancli.data.pairs.sources import load_with_sources
from gancli.runs.run import Run
from gancli.zoo import catalogue


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run on a folder of images, and a zoo that has its recipe."""
    table = recipe.merge(
        catalogue.recipe_table("pix2pix"),
        {
            "data": {"source": "mosaic:2", "size": [8, 8], "channels": 1},
            "networks": {"generator": {"width": 4, "most": 8, "levels": 2}, "discriminator": {"width": 4}},
            "training": {"batch": 4, "budget": "1 rounds", "samples": 4},
        },
    )
    (home / "zoo/pix2pix").mkdir(parents=True)
    made = recipe.parse(table)
    (home / "zoo/pix2pix/recipe.toml").write_text(made.to_toml())
    monkeypatch.setattr(catalogue, "zoo_folder", lambda: home / "zoo")
    (home / "scans").mkdir()
    for number in range(6):
        Image.effect_noise((8, 8), 40).save(home / f"scans/{number}.png")
    made = made.with_values(data={"name": str(home / "scans")}, training={"rounds": 1, "precision": "fp32"})
    whole = Run(home / "r", made, load_with_sources(str(home / "scans"), "mosaic:2"), torch.device("cpu"))
    whole.trainer.round()
    whole.files.save()
    return Path("r")


def test_an_entry_for_a_named_set_from_a_folder(home: Path, run: Path, run_cli: Callable[..., Any]) -> None:
    refused = run_cli("zoo", "add", run)
    assert refused.err.startswith("error: 'scans' is not a data set by name\n")
    result = run_cli("zoo", "add", run, "--as", "digits", "--data", "scans")
    assert result.code == 0, result.err
    weights = home / "zoo/pix2pix/digits.safetensors"
    header = checkpoint.read_header(weights)
    assert (header["recipe"]["data"]["name"], header["dataset"]["name"]) == ("digits", "scans")
    psnr = header["evaluation"]["results"][0]
    assert psnr["metric"] == "psnr"
    card = (home / "zoo/pix2pix/README.md").read_text()
    assert "images of scans in 1 rounds" in card
    assert f"| psnr | {psnr['value']:.4g} | {psnr['baseline']:.4g} |" in card
    assert "6 images of scans (all split), sources made by mosaic 2. Baseline: " in card
    assert "gancli translate pix2pix/digits digits --degrade --out translated\n" in card
    with Image.open(weights.with_suffix(".png")) as picture:
        assert picture.size == (12 * 66 + 2, 2 * 66 + 2)
    listed = json.loads(run_cli("zoo", "list", "--json").out)
    assert [(row["name"], row["metric"]) for row in listed] == [("pix2pix/digits", "psnr")]
