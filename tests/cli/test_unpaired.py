"""Translation without pairs as a user meets it: training on two folders, both directions, the figures."""

import json
from pathlib import Path

import pytest
from PIL import Image

from gancli.data import load
from gancli.zoo import catalogue

SMALL = ["--set", "training.batch=4", "--set", "training.samples=3", "--rounds", 2, "-q"]
for _part in ("generator", "back", "discriminator", "discriminator_source"):
    SMALL += ["--set", f"networks.{_part}.width=4"]


def train(run_cli, *arguments: object) -> None:
    result = run_cli("train", *arguments, "--model", "cyclegan", "--out", "r", *SMALL)
    assert result.code == 0, result.err


def folder(path: Path, colour: tuple[int, int, int], count: int) -> None:
    path.mkdir()
    for number in range(count):
        Image.new("RGB", (12, 12), colour).save(path / f"{path.name}{number}.png")


def test_it_trains_from_a_style_and_is_judged(run_cli) -> None:
    train(run_cli, "digits")
    result = run_cli("evaluate", "r", "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert [found["metric"] for found in report["results"]][:2] == ["class_kept", "class_kept_round_trip"]
    assert all(0 <= found["value"] <= 1 for found in report["results"][:2])
    assert report["results"][0]["floor"] > 0.95
    assert report["protocol"]["source"] == "thin"
    assert report["protocol"]["extractor"] == "digits-cnn"
    told = run_cli("evaluate", "r", "-n", 20)
    assert told.code == 0, told.err
    assert "class kept, round trip" in told.out
    assert "20 images, 20 sources" in told.out
    unknown = run_cli("evaluate", "r", "--metrics", "fid")
    assert unknown.code == 2
    assert "a translator without pairs has no figure 'fid'" in unknown.err


def test_both_directions_of_two_folders_without_pairs(run_cli, home: Path) -> None:
    folder(home / "horses", (120, 60, 20), 5)
    folder(home / "zebras", (240, 240, 240), 7)
    train(run_cli, "horses", "--set", "data.source=zebras/", "--set", "data.paired=false")
    assert run_cli("translate", "r", "zebras", "--out", "there/").code == 0
    assert run_cli("translate", "r", "horses", "--back", "--out", "back/").code == 0
    assert len(list((home / "there").glob("*.png"))) == 7
    assert len(list((home / "back").glob("*.png"))) == 5
    refused = run_cli("evaluate", "r")
    assert refused.code == 2
    assert "'r' was trained on files of two folders" in refused.err


def test_the_two_directions_differ_and_sources_can_be_made_on_the_way(run_cli, home: Path) -> None:
    train(run_cli, "digits", "--set", "data.source=thick")
    for name, flags in (("plain", []), ("made", ["--degrade"]), ("back", ["--back"])):
        result = run_cli("translate", "r", "digits", "-n", 2, *flags, "--out", f"{name}/")
        assert result.code == 0, result.err
        assert ("PSNR" in result.err) == (name == "made")
    images = {path.parent.name: path.read_bytes() for path in home.glob("*/00000.png")}
    assert len(set(images.values())) == 3
    both = run_cli("translate", "r", "digits", "--back", "--degrade")
    assert both.code == 2
    assert "--back takes whole images" in both.err


def test_one_half_is_images_and_the_other_sources() -> None:
    from gancli.data.pairs.sources import load_with_sources

    made, whole = load_with_sources("digits", "thick", paired=False), load("digits")
    assert made.sources is not None
    assert made.labels is not None
    assert len(made.images) + len(made.sources) == len(whole.images)
    assert len(made.labels) == len(made.images)


def test_a_zoo_entry_shows_round_trips(run_cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (catalogue.zoo_folder() / "cyclegan/recipe.toml").read_text()
    (home / "zoo/cyclegan").mkdir(parents=True)
    (home / "zoo/cyclegan/recipe.toml").write_text(
        text.replace("width = 16", "width = 4").replace("width = 32", "width = 4")
    )
    monkeypatch.setattr(catalogue, "zoo_folder", lambda: home / "zoo")
    assert run_cli("train", "digits", "--model", "cyclegan", "--rounds", 2, "--out", "r", "-q").code == 0
    result = run_cli("zoo", "add", "r")
    assert result.code == 0, result.err
    card = (home / "zoo/cyclegan/README.md").read_text()
    assert "| class_kept |" in card
    assert "| psnr_round_trip |" in card
    assert "355 images and 355 sources (thin) of digits (test split)" in card
    assert "gancli translate cyclegan/digits digits --degrade --out translated" in card
    with Image.open(home / "zoo/cyclegan/digits.png") as picture:
        assert picture.width == pytest.approx(2 * picture.height, rel=0.05)
    assert "class kept" in run_cli("zoo", "list").out
