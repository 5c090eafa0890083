"""Sections of the page about speed run, at their smallest, and say what they found."""

import json
import os
from importlib import import_module
from pathlib import Path

import pytest
import torch

from benchmarks import estimate, gpu, limit, plain, quality, throughput, tutorial

DATA = os.environ.get("GANCLI_DATA", "")


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves MNIST where the machine has it."""
    monkeypatch.setenv("GANCLI_DATA", DATA)
    if not DATA or plain.Case("gan").place is None:
        pytest.skip("no MNIST under $GANCLI_DATA")


@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("throughput", ["| dcgan | 128 |", "**"]),
        ("limit", ["| quick | ", "A whole round of quick", "`aten::"]),
        ("quality", ["| 0.001 | **", "| 0.002 | - | **", "held-out images"]),
        ("estimate", ["Measured on one device, `dcgan`", "| 1x | 1 | 128 | 0.0 MB ", "| 100x | 1,024 | 131,072 |"]),
    ],
)
def test_a_section_runs_at_its_smallest(name: str, parts: list[str], home: Path) -> None:
    section = import_module(f"benchmarks.{name}")
    found = section.measure(True)
    assert found.pop("minutes", 1) > 0
    assert json.loads(json.dumps(found)) == found
    text = section.markdown(found)
    assert all(part in text for part in parts), text
    assert "None" not in text
    assert "nan" not in text


def test_absent_data_are_a_word_and_not_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANCLI_DATA", str(tmp_path))
    found = throughput.measure(True)
    assert found["cases"]["gan"] == {"absent": "mnist is not under $GANCLI_DATA"}
    assert "| gan | - | - | - | - | - (mnist is not under $GANCLI_DATA) |" in throughput.markdown(found)
    assert "(measured: -)" in throughput.markdown(found)
    assert "mnist is not under" in limit.markdown(limit.measure(True))
    assert quality.markdown(quality.measure(True)) == "Not measured: mnist is not under $GANCLI_DATA."


def test_gates_are_taken_over_medians_by_kind_of_network() -> None:
    cases = {
        "gan": {"model": "gan", "ratios": [7.0, 9.0, 8.0]},
        "mlp-gan": {"model": "mlp-gan", "ratios": [6.5, 6.5, 6.5]},
        "dcgan": {"model": "dcgan", "ratios": [2.0, 2.0, 9.0]},
        "wgan": {"model": "wgan", "ratios": [1.0, 1.5, 1.6]},
        "dcgan 32x32x3": {"model": "dcgan", "ratios": [1.9, 1.9, 1.9]},
        "vae": {"model": "vae", "ratios": [1.1]},
        "wgan-gp": {"absent": "…"},
    }
    assert throughput.gates(cases) == {"median": 1.9, "least": 1.5, "perceptrons": 6.5}


def test_without_a_gpu_the_page_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = gpu.measure(True)
    assert found == {"gpu": None}
    assert "`uv run python -m benchmarks gpu`" in gpu.markdown(found)


def test_with_a_gpu_the_page_tells_both_ways_of_starting_kernels() -> None:
    way = {"batch": 128, "precision": "bf16", "workers": 8, "plain": [10.0, 20.0, 30.0], "busy": 0.5}
    ways = {"one by one": {**way, "gancli": [100.0] * 3, "ratios": [5.0, 10.0, 3.0]}}
    ways["recorded"] = {**way, "gancli": [400.0] * 3, "ratios": [20.0, 40.0, 13.0], "busy": 0.95}
    text = gpu.markdown({"gpu": "Card", "ways": ways})
    assert "| one by one | 100 (bf16) | 20 | 8 | **5.0** (3.0 to 10.0) | 50% |" in text
    assert "| recorded | 400 (bf16) | 20 | 8 | **20.0** (13.0 to 40.0) | 95% |" in text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.usefixtures("mnist")
def test_on_a_gpu_both_ways_are_measured() -> None:
    found = gpu.measure(True)
    assert found["ways"].keys() == gpu.WAYS.keys()
    assert all(0 < way["busy"] <= 1 for way in found["ways"].values())


def test_busy_time_counts_what_overlaps_once() -> None:
    assert gpu.covered([(5, 6), (0, 2), (1, 3), (1.5, 2)]) == 4
    assert gpu.covered([]) == 0


def test_operations_are_those_of_the_layers() -> None:
    """A product of (4, 3) and (3, 5) is found with its shapes, and computed again on others' values."""
    with limit._Recorder() as recorder:
        torch.zeros(4, 3) @ torch.zeros(5, 3).t()
    (call,) = recorder.found
    assert str(call) == "mm 4x3, 3x5"
    assert [each.turned for each in call.arguments] == [False, True]
    assert call.work(torch.float32, torch.contiguous_format)().shape == (4, 5)


def test_pieces_of_both_sides_take_turns() -> None:
    plan = quality.Plan(budgets=(1,), marks=(1, 12), seeds=(0, 1), longest=5)
    found = [(piece.name, piece.judged) for piece in quality.pieces(plan)]
    assert found == [
        ("gancli-0-1", True),
        ("plain-0-1", True),
        ("gancli-1-1", True),
        ("plain-1-1", True),
        ("plain-0-5", False),
        ("plain-1-5", False),
        ("plain-0-10", False),
        ("plain-1-10", False),
        ("plain-0-12", True),
        ("plain-1-12", True),
    ]


def test_a_plain_training_goes_on_from_its_file(tmp_path: Path) -> None:
    nothing = tutorial.Images(())
    one, other = tutorial.Tutorial(0, 4, 0, nothing), tutorial.Tutorial(1, 4, 0, nothing)
    images = [torch.zeros(tutorial.BATCH, 1, 32, 32)] * 4
    for _ in plain.adversarial(one.generator, one.discriminator, *one.optimizers, images[:2], one.draw, one.device):
        one.steps += 1
    one.seconds = 1.5
    one.save(tmp_path / "x.safetensors")
    other.load(tmp_path / "x.safetensors")
    assert (other.seconds, other.steps) == (1.5, 2)
    for training in (one, other):
        torch.manual_seed(3)
        networks = (training.generator, training.discriminator)
        list(plain.adversarial(*networks, *training.optimizers, images[2:], training.draw, training.device))
    for mine, theirs in zip(one.generator.parameters(), other.generator.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_picture_and_the_page_of_quality(tmp_path: Path) -> None:
    def point(side: str, minutes: float, seed: int, fid: float) -> dict:
        shares = {"confident": 0.5, "least_class": 0.05, "real_confident": 0.99, "real_least_class": 0.09}
        return {
            "side": side,
            "seed": seed,
            "minutes": minutes,
            "seconds": 60 * minutes,
            "fid": fid,
            "floor": 0.1,
            **shares,
        }

    points = [point("gancli", 1, seed, fid) for seed, fid in enumerate((2.0, 3.0, 9.0))]
    points += [point("plain", 1, 0, 30.0), point("plain", 5, 0, 3.0)]
    found = {"images": 10_000, "workers": 1, "real": {"fid": 0.2}, "missing": 2, "points": points}
    text = quality.markdown(found)
    assert "| 1 | **3** (2, 3, 9) | **30** (30) |" in text
    assert "| 5 | - | **3** (3) |" in text
    assert "gancli's FID after 1 min (3): the plain side reaches it at 5 minutes." in text
    assert "Not measured yet: 2 points" in text
    quality.draw(found, tmp_path / "a" / "quality.png")
    assert (tmp_path / "a" / "quality.png").read_bytes().startswith(b"\x89PNG")


def test_many_devices_are_reckoned_by_hand() -> None:
    """A batch of 100 in a second; 4 MB to send; two norms."""
    found = {"batch": 100, "images_per_second": [100.0], "weights": {"g": 3_000_000, "d": 1_000_000}, "norms": 2}
    found["image_bytes"] = 10
    one = estimate.reckon(found, 1, 1)
    assert (one["images"], one["efficiency"], one["sent"]) == (100, 1, 0)
    eight = estimate.reckon(found, 8, 10)
    talk = 2 * 7 / 8 * 4e6 / estimate.INSIDE + 3 * (2 * 2 + 2 + 1) * estimate.LATENCY
    assert eight["talk"] == pytest.approx(talk)
    assert eight["images"] == pytest.approx(800 / (0.1 + talk))
    assert eight["data"] == pytest.approx(10 * eight["images"])
    assert estimate.reckon(found, 64, 1)["talk"] > eight["talk"]
