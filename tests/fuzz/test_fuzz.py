"""Inputs that once failed are run again, and the loop that finds them is shown one."""

import sys
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fuzz
import harnesses

from benchmarks.hostile import mutated

FOUND = sorted(path for path in harnesses.CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_failed(path: Path) -> None:
    harnesses.HARNESSES[path.parent.name].one(path.read_bytes())


@pytest.mark.parametrize("name", harnesses.HARNESSES)
def test_whole_inputs(name: str) -> None:
    for data in harnesses.HARNESSES[name].seeds():
        harnesses.HARNESSES[name].one(data)


def test_every_harness_can_be_named() -> None:
    assert tuple(harnesses.HARNESSES) == fuzz.NAMES


def test_the_loop_finds_a_fault_behind_several_conditions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each condition is a line of its own: only what is guided by lines gets to the last one in so few tries."""
    (tmp_path / "gancli").mkdir()
    code = tmp_path / "gancli" / "staircase.py"
    steps = [f"    if len(data) <= {n} or data[{n}] & 7 != {n + 3}:\n        return" for n in range(4)]
    code.write_text("\n".join(["def one(data):", *steps, "    raise KeyError('found')\n"]))
    monkeypatch.syspath_prepend(code.parent)
    import staircase  # ty: ignore[unresolved-import]

    monkeypatch.setattr(harnesses, "CORPUS", tmp_path / "corpus")
    monkeypatch.setitem(harnesses.HARNESSES, "staircase", harnesses.Harness(staircase.one, lambda: [b"begin"]))
    told = fuzz.ours("staircase", 60, 5, 0, most=1)
    assert [kind.split()[0] for kind in told["found"]] == ["KeyError"]
    (path,) = (tmp_path / "corpus" / "staircase").iterdir()
    with pytest.raises(KeyError):
        staircase.one(path.read_bytes())


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def one(data: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr(harnesses, "CORPUS", tmp_path / "corpus")
    monkeypatch.setitem(harnesses.HARNESSES, "slow", harnesses.Harness(one, lambda: [b"x"]))
    told = fuzz.ours("slow", 60, 1, 0, most=1)
    assert [kind.split()[0] for kind in told["found"]] == ["Hang"]


def test_mutated_pickles() -> None:
    """A few seconds of fuzzing in every run of the tests, since pickles are programs."""
    harness, random = harnesses.HARNESSES["pickles"], Random(0)
    seeds = harness.seeds()
    for _ in range(600):
        harness.one(mutated(random, random.choice(seeds), seeds)[: 1 << 16])
