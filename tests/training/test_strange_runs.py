"""Run folders from strangers: what no training writes is left out or refused, whatever it is."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import Silent, run, tiny

import gancli
from benchmarks import hostile
from gancli import checkpoint
from gancli.errors import GancliError
from gancli.model import discriminator_of
from gancli.recipe import Optimizer
from gancli.runs import health, metrics_log
from gancli.runs.doctor import examine
from gancli.runs.metrics_log import read_metrics
from gancli.runs.periodic_evaluation import Settings, stored_settings
from gancli.runs.run import Interrupted
from gancli.training.optimizers import check_state

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["round", "images", "seconds", "loss/generator", "diversity", "noise", "change", "nearest"])
NAMES |= st.sampled_from(["probability/real", "probability/fake", "health", "stopped", "diverged", "evaluation"])
QUICK = settings(max_examples=60)


def write(folder: Path, rows: list[Any]) -> Path:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@given(st.lists(st.dictionaries(NAMES | st.text(max_size=8), ANYTHING, max_size=8), max_size=12))
@QUICK
def test_any_lines(tmp_path: Path, rows: list[dict]) -> None:
    numbered = [{"round": number, "loss/generator": 0.5, **row} for number, row in enumerate(rows)]
    write(tmp_path, [*numbered, *rows, {"round": 99, "loss/generator": 1.0}])
    found = examine(tmp_path)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.rounds == 99


def test_what_a_training_writes_is_all_read(tmp_path: Path) -> None:
    row = {
        "round": 3,
        "images": 8,
        "seconds": 1.5,
        "loss/generator": math.nan,
        "penalty/r1": math.inf,
        "diversity": 0.5,
    }
    verdict = {
        "results": {"fid": {"value": 3.0, "floor": 1.0}},
        "fingerprint": "0a",
        "by": "fid",
        "best": True,
        "seconds": 1.0,
    }
    rows = [
        row | {"health": {"mode-collapse": "samples are alike"}},
        row | {"evaluation": verdict},
        row | {"evaluation": {"failed": "no data", "seconds": 0.0}},
        row | {"stopped": "mode-collapse"},
        row | {"diverged": "loss/generator is nan"},
    ]
    assert repr(read_metrics(write(tmp_path, rows) / "metrics.jsonl")) == repr(rows)


def test_endless_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [{"round": n, f"loss/{n}": 0.0} for n in range(1000)])
    names = {name for row in read_metrics(tmp_path / "metrics.jsonl") for name in row}
    assert len(names) <= metrics_log.MOST_NAMES
    monkeypatch.setattr(metrics_log, "LARGEST", 1000)
    with pytest.raises(GancliError, match="is larger than any training's"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_hundreds_of_thousands_of_rows_are_not_all_checked(tmp_path: Path) -> None:
    row = {
        "health": {},
        "loss/generator": 0.5,
        "loss/discriminator": 0.01,
        "probability/real": 0.99,
        "probability/fake": 0.01,
    }
    write(tmp_path, [{"round": n, "gradient/generator": 0.1, **row} for n in range(10_000)])
    assert health.replay(read_metrics(tmp_path / "metrics.jsonl")).previews == health.MOST_PREVIEWS


WHOLE = {"every": 1, "best_by": None, "images": 100, "data_dir": "/somewhere"}
WRONG = [{"every": "x"}, {"every": 0}, {"every": math.nan}, {"every": 10**400}, {"every": []}, {"best_by": 3}]
WRONG += [{"images": True}, {"images": -1}, {"images": 1e9}]


@pytest.mark.parametrize("text", ["", "[]", "{", "3", "[" * 100_000, *(json.dumps(WHOLE | wrong) for wrong in WRONG)])
def test_settings_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(GancliError, match="does not say how the run is evaluated"):
        stored_settings(tmp_path)
    (tmp_path / "evaluation.json").write_text(json.dumps(WHOLE))
    assert stored_settings(tmp_path) == Settings(1.0, None, 100)


@pytest.fixture
def left(tmp_path: Path) -> tuple[Path, dict, dict]:
    """A run that was stopped, and tensors and header of its state."""
    with pytest.raises(Interrupted):
        run(tmp_path / "r", tiny(9)).train(Silent(), lambda: True)
    tensors, header = checkpoint.read(tmp_path / "r" / "state.safetensors")
    return tmp_path / "r", dict(tensors), header


def _table(header: dict, *keys: str) -> list:
    """The pairs of the table at a place of the state."""
    pairs = header["state"]["table"]
    for key in keys:
        pairs = next(value for name, value in pairs if str(name) == key)["table"]
    return pairs


def _set(header: dict, value: Any, *keys: str) -> None:
    for pair in _table(header, *keys[:-1]):
        if str(pair[0]) == keys[-1]:
            pair[1] = value


def _moment(tensors: dict) -> str:
    return next(name for name in tensors if name.endswith("exp_avg") and tensors[name].dim() > 1)


FORGED = {
    "rounds that are text": lambda t, h: _set(h, "1", "rounds"),
    "rounds that are negative": lambda t, h: _set(h, -1, "rounds"),
    "more drawn than can be": lambda t, h: _set(h, 2**60, "drawn"),
    "no steps": lambda t, h: _set(h, {"table": []}, "steps"),
    "steps of nobody": lambda t, h: _set(h, {"table": [["nobody", 1]]}, "steps"),
    "seconds beyond numbers": lambda t, h: h.update(seconds=10**400),
    "seconds that are a list": lambda t, h: h.update(seconds=[]),
    "no data set": lambda t, h: h.pop("dataset"),
    "a state that is text": lambda t, h: h.update(state="x"),
    "a state of half a table": lambda t, h: h.update(state={"table": [[1]]}),
    "a table with a list for a name": lambda t, h: h.update(state={"table": [[[1], 2]]}),
    "a tensor that is not there": lambda t, h: h.update(state={"tensor": "nowhere"}),
    "weights of another shape": lambda t, h: t.update({n: v[None] for n, v in t.items() if n.startswith("networks")}),
    "moments of another shape": lambda t, h: t.update({_moment(t): torch.zeros(2, 2)}),
    "moments of another type": lambda t, h: t.update({_moment(t): t[_moment(t)].double()}),
    "a random state of zeros": lambda t, h: t.update({"random.noise": torch.zeros(3, dtype=torch.uint8)}),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_states_are_refused(name: str, left: tuple[Path, dict, dict]) -> None:
    folder, tensors, header = left
    FORGED[name](tensors, header)
    checkpoint.write(folder / "state.safetensors", tensors, header)
    with pytest.raises(GancliError, match="does not fit its recipe"):
        run(folder, tiny(9))


def test_an_honest_state_is_taken(left: tuple[Path, dict, dict]) -> None:
    folder, tensors, header = left
    checkpoint.write(folder / "state.safetensors", tensors, header)
    assert run(folder, tiny(9)).trainer.rounds == 1


def test_the_optimizer_s_settings_are_the_recipe_s() -> None:
    weights, section = [torch.nn.Parameter(torch.ones(2, 3))], Optimizer(name="adam", lr=0.1)
    optimizer = torch.optim.Adam(weights, betas=(0.5, 0.9))
    weights[0].sum().backward()
    optimizer.step()
    check_state(optimizer, optimizer.state_dict(), section)
    for key, value in (("betas", [0.5, "x"]), ("lr", "x"), ("lr", -1), ("params", [0, 1]), ("eps", None)):
        saved = optimizer.state_dict()
        saved["param_groups"][0] = saved["param_groups"][0] | {key: value}
        with pytest.raises(ValueError, match="its optimizer has"):
            check_state(optimizer, saved, section)


@pytest.mark.parametrize("name", ["discriminator.safetensors", "best.safetensors", "model.safetensors"])
def test_files_beside_a_state_are_held_to_the_same(name: str, left: tuple[Path, dict, dict], run_cli) -> None:
    folder, _, _ = left
    (folder / name).write_bytes(hostile.headers()["tensors that overlap"])
    if name == "discriminator.safetensors":
        with pytest.raises(GancliError, match="is not a whole safetensors file"):
            discriminator_of(gancli.load(folder, device="cpu"))
        return
    result = run_cli("sample", folder if name == "model.safetensors" else folder / name, "--out", "x.png")
    assert result.code == 1
    assert f"error: {folder / name} is not a whole safetensors file: " in result.err
    assert "invalid offset for tensor `b`" in result.err
