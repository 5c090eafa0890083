"""Metrics for other tools: read back by their own readers."""

import json
from pathlib import Path

import pytest


def logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(round, value) by name, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}


def rows(folder: Path, name: str) -> list[tuple[int, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["round"], pytest.approx(row[name], rel=1e-5)) for row in found if name in row]


@pytest.mark.parametrize("first", [["--log", "tensorboard"], []], ids=["from the start", "later"])
def test_tensorboard_shows_every_row_once_over_a_resume(run_cli, home: Path, first: list[str]) -> None:
    folder = home / "r"
    command = ["train", "digits", "--rounds", 4, "--out", "r", "-q", "--evaluate-every", 0.03]
    small = ["--set", "training.batch=16", "--set", "training.samples=4", "--evaluate-images", 20]
    assert run_cli(*command, *small, *first).code == 0
    # As after a crash: an event file that is ahead of the state.
    assert run_cli("train", "--resume", "r", "--rounds", 3, "-q", "--log", "tensorboard").code == 0
    found = logged(folder)
    assert found["loss/generator"] == rows(folder, "loss/generator")
    assert found["diversity"] == rows(folder, "diversity")
    assert found["evaluation/fid"]
    assert len({step for step, _ in found["loss/generator"]}) == len(found["loss/generator"])


def test_unknown_and_missing_loggers_are_named(run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run_cli("train", "digits", "--log", "tensorbord")
    assert (refused.code, refused.err) == (2, "error: there is no logger 'tensorbord'\n\nhint: known: tensorboard\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = run_cli("train", "digits", "--log", "tensorboard")
    assert missing.err == (
        "error: logging to tensorboard needs the package tensorboard\n\nhint: pip install 'gancli[tensorboard]'\n"
    )
