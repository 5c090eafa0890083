"""Faults brought upon real trainings: a few of each here, hundreds in ``python -m benchmarks``."""

import json

import pytest

from benchmarks import faults

CLEAN = {"tracebacks": 0, "corrupted or lost": 0, "wrong ends": 0, "differ": 0, "hangs": 0, "told": []}
COUNTS = {"killed": 1, "terminated": 1, "doubled": 1, "renamed": 1, "read_only": 1, "disk_full": 1}


@pytest.mark.parametrize("kind", COUNTS)
def test_nothing_is_lost(kind: str) -> None:
    found = faults.KINDS[kind](COUNTS[kind])
    if "absent" in found:
        pytest.skip(found["absent"])
    assert json.loads(json.dumps(found)) == found
    assert {name: found[name] for name in CLEAN} == CLEAN
    assert found["tried"] == sum(found["moments"].values()) == COUNTS[kind]


def test_every_kind_is_tested() -> None:
    assert COUNTS.keys() == faults.KINDS.keys()


def test_damage_is_seen(tmp_path) -> None:
    assert faults.damage(tmp_path / "r") == []
    whole = faults.Command(tmp_path)
    assert whole.end() == 0
    assert faults.damage(tmp_path / "r") == []
    assert faults.left_by(tmp_path / "r") == faults.undisturbed().left
    for name, keep in (("state.safetensors", -1), ("recipe.toml", 20), ("samples.png", 99)):
        path = tmp_path / "r" / name
        path.write_bytes(path.read_bytes()[:keep])
    assert [words.split(":")[0] for words in faults.damage(tmp_path / "r")] == [
        "state.safetensors",
        "recipe.toml",
        "samples.png",
    ]
