"""The count of hostile inputs tells refusals from tracebacks and hangs."""

import json
import os
import selectors
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from benchmarks import hostile


def test_a_few_of_each_kind_end_in_words() -> None:
    found = json.loads(json.dumps(hostile.tried(6, limit=600)))
    assert found.keys() == hostile.KINDS.keys()
    for kind, told in found.items():
        assert told["tried"] == 6 == told["refused"] + told["accepted"], (kind, told)
        assert told["greediest"] < 500
    assert all(found[kind]["refused"] for kind in ("headers of weights", "models", "zips"))


FAKE = """
import json, os, sys, time
from pathlib import Path
from types import SimpleNamespace

sys.modules["torch"] = SimpleNamespace(set_num_threads=lambda count: None)
from benchmarks import hostile
def fine(folder, number, random): pass
def wrong(folder, number, random): raise KeyError("x")
def greedy(folder, number, random): bytearray(b"x") * (256 << 20)
def slow(folder, number, random):
    if number == 1:
        Path(os.environ["HANGS"]).touch()
        time.sleep(3600)
def deadly(folder, number, random): os._exit(9)
hostile.KINDS = {"fine": fine, "wrong": wrong, "greedy": greedy, "slow": slow, "deadly": deadly}
"""


class Patient(selectors.DefaultSelector):
    """Waits until a process says something, however long, or has left word that it hangs."""

    limits: ClassVar[list[float]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None
        self.limits.append(timeout)
        hangs = Path(os.environ["HANGS"])
        while not hangs.exists():
            if ready := super().select(0.05):
                return ready
        if not (ready := super().select(0)):
            hangs.unlink()
        return ready


def test_what_goes_wrong_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The process that tries reads the kinds from where this one has put them.
    code = FAKE + "hostile._warm = lambda: None\nimport sys\nhostile.work(*map(int, sys.argv[1:]))\n"
    monkeypatch.setattr(hostile, "KINDS", dict.fromkeys(("fine", "wrong", "greedy", "slow", "deadly")))
    real = hostile.subprocess.Popen
    monkeypatch.setattr(
        hostile.subprocess, "Popen", lambda command, **o: real([command[0], "-c", code, *command[3:]], **o)
    )
    monkeypatch.setenv("HANGS", str(tmp_path / "hangs"))
    monkeypatch.setattr(hostile.selectors, "DefaultSelector", Patient)
    found = hostile.tried(3, limit=1.5)
    assert set(Patient.limits) == {1.5, 121.5}
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
