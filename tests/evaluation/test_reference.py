"""The real side in the cache folder: the same figures without the work, and no trust in what lies there."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import gancli
from gancli import checkpoint
from gancli.data import load
from gancli.evaluation import reference
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.evaluators import images as evaluator
from gancli.evaluation.features import Reader
from gancli.evaluation.report import Report
from gancli.evaluation.subjects import Subject


class Noise(Subject):
    """Noise in place of a generator's images."""

    name, shape, data_name, device = "noise", (1, 8, 8), "digits", torch.device("cpu")

    def __init__(self) -> None:
        self.header: dict[str, Any] = {}

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(0)
        for start in range(0, len(seeds), batch):
            size = (len(seeds[start : start + batch]), *self.shape)
            yield torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the extractor has had to read so far."""
    heard: list[str] = []
    inner = Reader.read

    def listen(self: Reader, what: str, *rest: Any, **named: Any) -> Any:
        heard.append(what)
        return inner(self, what, *rest, **named)

    monkeypatch.setattr(Reader, "read", listen)
    return heard


def judge(*metrics: str, images: int = 60) -> Report:
    return evaluate(Noise(), metrics=metrics or ("fid", "precision"), images=images)


def kept(home: Path) -> list[Path]:
    return sorted((home / "cache" / "evaluation").iterdir())


ALL = ["test images", "train images", "baseline", "generated images"]


def test_the_second_time_only_generated_images_are_read(home: Path, read: list[str]) -> None:
    first, second = judge(), judge()
    assert read == [*ALL, "generated images"]
    assert second == first
    fingerprint = first.protocol.data_fingerprint
    assert [path.name for path in kept(home)] == [f"digits-cnn-{fingerprint}-60-cpu.safetensors"]


def test_a_floor_that_is_missing_is_added_to_those_that_are_there(home: Path, read: list[str]) -> None:
    both = judge("kid", "recall")
    judge("fid")
    assert read == [*ALL, "train images", "baseline", "generated images"]
    read.clear()
    found = judge("recall", "fid", "kid")
    assert read == ["generated images"]
    known = {result.metric: (result.floor, result.baseline) for result in found.results}
    assert {result.metric: (result.floor, result.baseline) for result in both.results}.items() <= known.items()
    assert len(kept(home)) == 1


def test_the_baseline_draws_every_pixel_from_its_place() -> None:
    images = torch.randint(0, 256, (50, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = torch.cat(list(reference.mixed(images, 600)))
    assert made.shape == (600, 3, 4, 5)
    assert torch.equal(made, torch.cat(list(reference.mixed(images, 600))))
    # All channels of a pixel come from one image, and those of its neighbours from others.
    sources = (made[:, None] == images[None]).all(2)
    assert bool(sources.any(1).all())
    assert not bool(sources.flatten(2).all(2).any())
    assert made[:, 0, 0, 0].float().mean() == pytest.approx(float(images[:, 0, 0, 0].float().mean()), abs=12)


def test_other_numbers_have_their_own(home: Path, read: list[str]) -> None:
    judge()
    judge(images=61)
    # The same real images as for 400, but more of them for the floor.
    judge(images=355)
    judge(images=400)
    assert read == ALL * 4
    assert len(kept(home)) == 4


def test_more_images_than_the_training_has_are_another_baseline(home: Path, read: list[str]) -> None:
    judge(images=1450)
    judge(images=1500)
    assert read == ALL * 2
    assert len(kept(home)) == 2


def test_what_was_measured_otherwise_is_replaced(home: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = judge()
    monkeypatch.setattr("gancli.__version__", "99.0")
    assert judge().results == first.results
    assert read == ALL * 2
    monkeypatch.setattr(reference, "FORMAT", reference.FORMAT + 1)
    judge()
    monkeypatch.setattr(evaluator, "load", other_training)
    judge()
    assert read == ALL * 4
    judge()
    assert read == [*ALL * 4, "generated images"]
    assert len(kept(home)) == 1


def other_training(name: str, *, split: str, **_: object) -> Any:
    whole = load(name, split=split)
    return replace(whole, fingerprint="0" * 16) if split == "train" else whole


def strip(path: Path) -> None:
    tensors, _ = checkpoint.read(path)
    checkpoint.write(path, tensors, {})


def empty(path: Path) -> None:
    _, header = checkpoint.read(path)
    checkpoint.write(path, {}, header)


@pytest.mark.parametrize(
    "harm",
    [
        strip,
        empty,
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 100),
    ],
    ids=["stripped", "empty", "cut", "nothing", "noise"],
)
def test_a_damaged_entry_is_made_anew(home: Path, read: list[str], harm: Callable[[Path], object]) -> None:
    first = judge()
    harm(kept(home)[0])
    assert judge() == first
    assert read == ALL * 2
    assert judge() == first
    assert read == [*ALL * 2, "generated images"]


def test_a_cache_that_cannot_be_written_is_no_error(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    (home / "cache").write_text("in the way")
    with caplog.at_level(logging.WARNING, "gancli"):
        found = judge()
    folder = home / "cache" / "evaluation"
    assert caplog.messages == [
        f"the cache folder {folder} cannot be used ('{folder}' is not a folder: a file is in the way)"
    ]
    assert found.results[0].floor > 0


def test_the_entry_says_what_it_depends_on(home: Path) -> None:
    protocol = judge().protocol
    key = checkpoint.read_header(kept(home)[0])["key"]
    assert key == {
        "format": reference.FORMAT,
        "gancli": protocol.gancli,
        "extractor": "digits-cnn",
        "extractor_sha256": protocol.extractor_sha256,
        "data_fingerprint": load("digits", split="test").fingerprint,
        "training_fingerprint": load("digits").fingerprint,
        "real_images": 60,
        "floor_images": 60,
        "generated_images": 60,
        "draw": 0,
        "device": "cpu",
    }
    assert json.dumps(key)


def test_the_floors_of_the_digits_are_the_known_ones() -> None:
    # When these change, what is kept on users' machines is out of date: raise FORMAT.
    found = judge("fid", "kid", "precision", "recall", images=355)
    assert {result.metric: result.floor for result in found.results} == pytest.approx(FLOORS, rel=3e-3)


FLOORS = {"fid": 0.112152, "kid": -0.000263527, "precision": 330 / 355, "recall": 332 / 355}


def test_what_held_out_images_are_from_training_images_is_searched_once(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def figure() -> float:
        return evaluate(gancli.load("quick/digits"), metrics=["memorisation"], images=60).results[0].value

    searched: list[int] = []
    search = reference.nearest
    monkeypatch.setattr(reference, "nearest", lambda *sides: searched.append(len(sides[0])) or search(*sides))
    first = figure()
    assert figure() == first
    assert searched == [60]
