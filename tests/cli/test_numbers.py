"""Models of numbers on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gancli import model as models
from gancli.data import DATASETS

Run = Callable[..., Any]


def size(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def curves(run_cli: Run) -> str:
    made = run_cli("train", "sine", "--rounds", 2, "--out", "curves", "-q", "--set", "training.samples=4")
    assert made.code == 0, made.err
    return "curves"


def test_the_data_decides_the_model(run_cli: Run) -> None:
    shown = run_cli("train", "sine", "--dry-run", "-q")
    assert 'model = "sine-gan"' in shown.out
    assert "# data          sine, 15 numbers per sample, drawn anew for every batch" in shown.out
    assert {name: facts.model for name, facts in DATASETS.items() if facts.model} == {
        "sine": "sine-gan", "ring": "points-gan", "grid": "points-gan", "swissroll": "points-gan",
    }  # fmt: skip


@pytest.mark.plots
def test_a_run_leaves_plots(curves: str, home: Path) -> None:
    for name in ("samples.png", "losses.png"):
        assert size(f"{curves}/{name}")[0] >= 600
    assert size(f"{curves}/training.gif") == size(f"{curves}/samples.png") == (604, 454)
    row = json.loads((home / curves / "metrics.jsonl").read_text().splitlines()[-1])
    assert row["score/discriminator"] == -row["loss/discriminator"]
    assert 0.3 < row["probability/real"] < 0.7
    assert "diversity" not in row


def test_training_shows_how_the_discriminator_judges(run_cli: Run) -> None:
    said = run_cli("train", "sine", "--rounds", 2, "--out", "r").err
    assert "D(real) 0." in said
    assert "D score -1." in said


def test_sample_draws_a_plot(run_cli: Run, curves: str) -> None:
    result = run_cli("sample", curves, "--seeds", "0-9")
    assert (result.code, result.err, result.out) == (0, "10 samples of curves\n", "curves.png\n")
    assert size("curves.png") == (600, 450)


def test_sample_writes_numbers(run_cli: Run, curves: str) -> None:
    result = run_cli("sample", curves, "--seeds", "3,7", "--csv", "c.csv", "--json")
    assert json.loads(result.out) == {"model": "curves", "seeds": "3,7", "samples": 2, "out": None, "csv": "c.csv"}
    first, *lines = Path("c.csv").read_text().splitlines()
    assert first.split(",")[:3] == ["seed", "-1.0000", "-0.8571"]
    values = torch.tensor([[float(value) for value in line.split(",")] for line in lines])
    assert values[:, 0].tolist() == [3, 7]
    assert torch.equal(values[:, 1:], models.load(curves, device="cpu").sample(seeds=[3, 7]).flatten(1))
    printed = run_cli("sample", curves, "--seeds", "3,7", "--csv", "-")
    assert printed.out == Path("c.csv").read_text()
    assert not Path("-").exists()
    both = run_cli("sample", curves, "-n", 2, "--csv", "d.csv", "--out", "d.png")
    assert both.out.splitlines() == ["d.png", "d.csv"]


def test_interpolate_animates_the_curve(run_cli: Run, curves: str) -> None:
    result = run_cli("interpolate", curves, "--seeds", "0,1", "--frames", 3, "--out", "walk.gif")
    assert (result.code, result.err, result.out) == (0, "4 frames of curves\n", "walk.gif\n")
    with Image.open("walk.gif") as walk:
        assert (walk.size, getattr(walk, "n_frames", 1)) == ((600, 450), 4)
    assert run_cli("interpolate", curves, "--seeds", "0,1", "--out", "strip.png").code == 0
    assert size("strip.png") == (600, 450)


def test_evaluate_judges_by_the_formula(run_cli: Run, curves: str) -> None:
    lines = run_cli("evaluate", curves, "-n", 200).out.splitlines()
    assert lines[0] == "curves against the formula of sine"
    assert [line.split()[0].rstrip(",") for line in lines[3:6]] == ["RMSE", "RMSE", "spread"]
    report = json.loads(run_cli("evaluate", curves, "--json", "--metrics", "rmse", "-n", 200).out)
    (result,) = report["results"]
    assert result["metric"] == "rmse"
    assert result["floor"] == pytest.approx(0.02, abs=0.002) != result["value"]


def test_points_draw_their_way(run_cli: Run) -> None:
    assert run_cli("train", "ring", "--rounds", 1, "--out", "r", "-q").code == 0
    assert run_cli("sample", "r").err == "1,000 samples of r\n"
    assert size("r.png") == (500, 500)
    assert run_cli("interpolate", "r", "--seeds", "0,1", "--frames", 2).code == 0


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            ("sample", "curves", "--grid", "2x2"),
            "--grid 2x2 is for images, and 'curves' makes numbers",
            "leave out --grid",
        ),
        (
            ("sample", "curves", "--out", "x.zip"),
            "--out x.zip is for images, and 'curves' makes numbers",
            "name a .png for the plot, or --csv FILE for the numbers",
        ),
        (("sample", "curves", "--csv", "-", "--json"), "--csv - and --json both print", "name a file for the CSV"),
        (
            ("sample", "dcgan/digits", "--csv", "x.csv"),
            "--csv is for numbers, and 'dcgan/digits' makes images",
            "leave out --csv",
        ),
        (
            ("interpolate", "curves", "--seeds", "0,1", "--scale", "2"),
            "--scale 2 is for images, and 'curves' makes numbers",
            "leave out --scale",
        ),
        (
            ("evaluate", "curves", "--data", "digits"),
            "'curves' makes numbers, and 'digits' holds images",
            "--data NAME says what to compare with",
        ),
        (
            ("evaluate", "dcgan/digits", "--data", "sine"),
            "'dcgan/digits' makes images, and 'sine' holds numbers",
            "--data NAME says what to compare with",
        ),
        (
            ("train", "digits", "--model", "sine-gan", "-q"),
            "'sine-gan' makes numbers, and digits holds images",
            "train it on sine, ring, grid or swissroll",
        ),
        (
            ("train", "sine", "--model", "gan", "-q"),
            "'gan' makes images, and sine holds numbers",
            "leave out --model, or give a perceptron a linear output: --model gan "
            "--set networks.generator.output=linear",
        ),
        (
            ("train", "sine", "--model", "dcgan", "-q"),
            "'dcgan' makes images, and sine holds numbers",
            "leave out --model, or give a perceptron a linear output: --model gan "
            "--set networks.generator.output=linear",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_does_not_fit(run_cli: Run, curves: str, words: tuple[str, ...], message: str, hint: str) -> None:
    result = run_cli(*words)
    assert (result.code, result.err) == (2, f"error: {message}\n\nhint: {hint}\n")
