"""Metrics for other tools: read back by their own readers."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(round, value) by name, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    pictures = {name: [(one.step, 0.0) for one in found.Images(name)] for name in found.Tags()["images"]}
    return pictures | {name: [(one.step, one.value) for one in found.Scalars(name)] for name in found.Tags()["scalars"]}


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
    drawn = {int(picture.stem) for picture in (folder / "samples").glob("*.png")}
    assert {step for step, _ in found["samples"]} == (drawn if first else {step for step in drawn if step > 4})
    assert found["evaluation/fid"]
    assert len({step for step, _ in found["loss/generator"]}) == len(found["loss/generator"])


def test_unknown_and_missing_loggers_are_named(run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run_cli("train", "digits", "--log", "tensorbord")
    assert (refused.code, refused.err) == (
        2,
        "error: there is no logger 'tensorbord'\n\nhint: known: tensorboard, wandb\n",
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = run_cli("train", "digits", "--log", "tensorboard")
    assert missing.err == (
        "error: logging to tensorboard needs the package tensorboard\n\nhint: pip install 'gancli[tensorboard]'\n"
    )


def records(path: Path) -> Iterator[bytes]:
    """The records of an offline run: LevelDB's log format after a header of seven bytes."""
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (rest := 32768 - at % 32768) < 7:  # the end of a block, which is too short for a header
            at += rest
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            yield whole
            whole = b""


def offline(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The configuration and the steps of an offline run, by W&B's own messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    config: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    for data in records(path):
        record = Record()
        record.ParseFromString(data)
        config |= {each.key: json.loads(each.value_json) for each in record.run.config.update}
        if record.WhichOneof("record_type") == "history":
            names = [("/".join(each.nested_key) or each.key, each.value_json) for each in record.history.item]
            steps.append({name: json.loads(value) for name, value in names})
    return config, steps


@pytest.mark.parametrize("first", [["--log", "wandb"], []], ids=["from the start", "later"])
def test_wandb_has_every_row_once_over_a_resume(run_cli, home: Path, first: list[str]) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed: it takes 60 MB")
    command = ["train", "digits", "--rounds", 4, "--out", "r", "-q", "--evaluate-every", 0.03]
    small = ["--set", "training.batch=16", "--set", "training.samples=4", "--evaluate-images", 20]
    assert run_cli(*command, *small, *first).code == 0
    again = run_cli("train", "--resume", "r", "--rounds", 3, "-q", "--log", "wandb")
    assert (again.code, again.err) == (0, "")
    wandb.teardown()  # as at the end of a program
    (path,) = (home / "r/wandb").glob("offline-run-*/run-*.wandb")
    config, steps = offline(path)
    assert config["training"]["batch"] == 16
    numbers = [step["_step"] for step in steps]
    assert numbers == sorted(set(numbers))
    for name in ("loss/generator", "diversity"):
        assert [(step["_step"], step[name]) for step in steps if name in step] == rows(home / "r", name)
    assert [step["_step"] for step in steps if "evaluation/fid" in step] == [0, 2, 4, 6, 7]
    shown = {step["_step"] for step in steps if "samples" in step or "samples/path" in step}
    assert shown == {int(picture.stem) for picture in (home / "r/samples").glob("*.png")}
