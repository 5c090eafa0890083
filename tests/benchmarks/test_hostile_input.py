"""The count of hostile inputs tells refusals from tracebacks and hangs."""

import json
import time
from pathlib import Path
from random import Random

import pytest

from benchmarks import hostile


def test_a_few_of_each_kind_end_in_words() -> None:
    found = json.loads(json.dumps(hostile.tried(6)))
    assert found.keys() == hostile.KINDS.keys()
    for kind, told in found.items():
        assert told["tried"] == 6 == told["refused"] + told["accepted"], (kind, told)
        assert told["slowest"] < hostile.LIMIT
        assert told["greediest"] < 500
    assert all(found[kind]["refused"] for kind in ("headers of weights", "models", "zips"))


FAKE = """
import json, os, time
from benchmarks import hostile
def fine(folder, number, random): pass
def wrong(folder, number, random): raise KeyError("x")
def greedy(folder, number, random): bytearray(b"x") * (256 << 20)
def slow(folder, number, random): time.sleep(60 if number == 1 else 0)
def deadly(folder, number, random): os._exit(9)
hostile.KINDS = {"fine": fine, "wrong": wrong, "greedy": greedy, "slow": slow, "deadly": deadly}
"""


def test_what_goes_wrong_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The process that tries reads the kinds from where this one has put them.
    code = FAKE + "hostile._warm = lambda: None\nimport sys\nhostile.work(*map(int, sys.argv[1:]))\n"
    monkeypatch.setattr(hostile, "KINDS", dict.fromkeys(("fine", "wrong", "greedy", "slow", "deadly")))
    real = hostile.subprocess.Popen
    monkeypatch.setattr(
        hostile.subprocess, "Popen", lambda command, **o: real([command[0], "-c", code, *command[3:]], **o)
    )
    start = time.perf_counter()
    found = hostile.tried(3, limit=1.0)
    assert time.perf_counter() - start < 60
    shown = {
        kind: {key: told[key] for key in ("tried", "refused", "accepted", "tracebacks", "hangs")}
        for kind, told in found.items()
    }
    assert shown["fine"] == {"tried": 3, "refused": 0, "accepted": 3, "tracebacks": 0, "hangs": 0}
    assert shown["wrong"] == {"tried": 3, "refused": 0, "accepted": 0, "tracebacks": 3, "hangs": 0}
    assert shown["slow"] == {"tried": 3, "refused": 0, "accepted": 2, "tracebacks": 0, "hangs": 1}
    assert shown["deadly"] == {"tried": 3, "refused": 0, "accepted": 0, "tracebacks": 3, "hangs": 0}
    assert found["greedy"]["greediest"] > 100
    assert found["wrong"]["faults"][0] == "wrong 0: KeyError: 'x'"


def test_the_same_seed_is_the_same_input() -> None:
    data = bytes(range(256))
    made = [hostile.mutated(Random(str(seed)), data, [b"other"]) for seed in range(200)]
    assert made == [hostile.mutated(Random(str(seed)), data, [b"other"]) for seed in range(200)]
    assert len(set(made)) > 150
