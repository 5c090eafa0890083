"""``gancli runs`` as a user meets it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gancli import checkpoint
from gancli.lock import Lock
from gancli.runs import listing
from gancli.zoo import catalogue

Make = Callable[..., Path]


@pytest.fixture
def make(home: Path) -> Make:
    """Makes runs as trainings leave them, without training."""

    def made(name: str, *, rounds: int = 10, data: str = "digits", model: str = "quick", **more: Any) -> Path:
        folder = home / "runs" / name
        folder.mkdir(parents=True)
        recipe = {"model": model, "data": {"name": data}, "training": {"rounds": 10, "batch": 4}}
        header: dict[str, Any] = {"kind": "model", "rounds": rounds, "recipe": recipe, "dataset": {"name": data}}
        if "fid" in more:
            result = {"metric": "fid", "value": more["fid"], "better": "lower", "floor": 0.1}
            header["evaluation"] = {"fingerprint": more.get("protocol", "a"), "protocol": {}, "results": [result]}
        for file in (catalogue.MODEL_FILE, catalogue.STATE_FILE):
            checkpoint.write(folder / file, {}, header)
        (folder / "recipe.toml").write_text(f'model = "{model}"\n')
        row: Mapping[str, Any] = {"round": rounds, "images": 4 * rounds, "seconds": 1.0, "loss/generator": 0.5}
        rows = [row | {"health": more.get("health", {})}, row]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        return folder

    return made


def test_runs_are_listed_the_newest_first(run_cli, make: Make) -> None:
    old, new = make("20260101-101010-quick-digits", fid=0.5), make("mine", rounds=4, data="mnist")
    for age, folder in ((7200, old), (60, new)):
        for path in folder.iterdir():
            os.utime(path, (time.time() - age,) * 2)
    result = run_cli("runs")
    assert result.code == 0
    assert [line.split() for line in result.out.splitlines()] == [
        ["mine", "40", "%", "1k", "1m"],
        ["quick", "on", "mnist"],
        ["20260101-101010-quick-digits", "finished", "1k", "2h", "FID", "0.5000"],
    ]


def test_what_is_wrong_with_a_run_is_said_and_nothing_is_raised(run_cli, make: Make, home: Path) -> None:
    make("torn")
    (home / "runs/torn" / catalogue.MODEL_FILE).write_bytes(b"\x05")
    make("bare")
    (home / "runs/bare" / catalogue.MODEL_FILE).unlink()
    make("lost")
    (home / "runs/lost/recipe.toml").unlink()
    make("odd")
    checkpoint.write(home / "runs/odd" / catalogue.MODEL_FILE, {}, {"recipe": [], "rounds": "x"})
    (home / "runs/odd/metrics.jsonl").write_bytes(b"\xff[[[{}\n7\n" + b'{"health": 3}\n')
    make("ill", health={"mode-collapse": "samples differ 5 % as much as the data's images do"})
    (home / "runs/notes").mkdir()
    result = run_cli("runs", "--sort", "name")
    assert result.code == 0
    assert [line.split("  ")[0] for line in result.out.splitlines() if not line.startswith(" ")] == [
        "bare",
        "ill",
        "lost",
        "odd",
        "torn",
    ]
    for fault in ("no model.safetensors", "no recipe.toml", "is not whole", "! samples differ 5 %"):
        assert fault in result.out
    found = json.loads(run_cli("runs", "--where", "state=broken", "--json").out)
    assert {run["name"] for run in found} == {"bare", "lost", "odd", "torn"}
    assert [run["name"] for run in json.loads(run_cli("runs", "--where", "health=mode*", "--json").out)] == ["ill"]


def test_conditions_and_orders(run_cli, make: Make) -> None:
    make("a", fid=3.0, rounds=2)
    make("b", fid=1.0, model="dcgan", rounds=5)
    make("c", fid=2.0, data="mnist")
    make("d")
    names = lambda *options: [run["name"] for run in json.loads(run_cli("runs", *options, "--json").out)]  # noqa: E731
    assert names("--where", "model=dcgan") == ["b"]
    assert names("--where", "data=digits", "--where", "model=qui*", "--sort", "name") == ["a", "d"]
    assert names("--sort", "result") == ["b", "a", "c", "d"]  # of one protocol and data first, the best first
    assert names("--sort", "progress")[-2:] == ["b", "a"]
    refused = run_cli("runs", "--where", "modl=dcgan")
    assert (refused.code, refused.err.splitlines()[0]) == (2, "error: 'modl=dcgan' chooses no runs")


def test_a_tag_names_a_run_everywhere(run_cli, make: Make, home: Path) -> None:
    make("20260101-101010-quick-digits")
    make("other")
    assert run_cli("runs", "tag", "digits", "best").code == 0
    assert json.loads(run_cli("runs", "show", "best", "--json").out)["name"] == "20260101-101010-quick-digits"
    assert run_cli("doctor", "best", "--json").code == 0
    assert catalogue.find("best") == Path("runs/20260101-101010-quick-digits") / catalogue.MODEL_FILE
    assert "has the tag 'best' already" in run_cli("runs", "tag", "other", "best").err
    assert "is no tag" in run_cli("runs", "tag", "other", "../x").err
    assert run_cli("runs", "tag", "best", "").code == 0
    assert "there is no folder, tag or run 'best'" in run_cli("runs", "show", "best").err
    make("other-2")
    assert run_cli("runs", "show", "other").out.startswith("folder   runs/other\n")
    assert run_cli("runs", "show", "ther").err.startswith(
        "error: 'ther' is part of the names of 2 runs: other, other-2"
    )
    (home / "elsewhere").mkdir()
    shutil.move(home / "runs/other-2", home / "elsewhere/deep")
    assert run_cli("runs", "--in", "elsewhere", "show", "deep").out.startswith("folder   elsewhere/deep\n")


def test_nothing_is_deleted_without_a_yes(run_cli, make: Make, home: Path) -> None:
    folder = make("mine")
    assert "add --yes to delete these" in run_cli("runs", "rm", "mine").err
    lock = Lock(folder)
    assert "is being trained by process" in run_cli("runs", "rm", "mine", "--yes").err
    lock.release()
    assert folder.exists()
    assert run_cli("runs", "rm", "mine", "--yes").out.endswith("deleted runs/mine\n")
    assert [path.name for path in (home / "runs").iterdir()] == []


def test_pruning_keeps_the_best_and_all_that_cannot_be_compared(run_cli, make: Make, home: Path) -> None:
    make("best", fid=1.0)
    make("beaten", fid=2.0)
    make("tagged", fid=3.0)
    make("other-data", fid=9.0, data="mnist")
    make("other-protocol", fid=9.0, protocol="b")
    make("without")
    for name, files in (("broken", (catalogue.MODEL_FILE, catalogue.STATE_FILE)), ("half", (catalogue.MODEL_FILE,))):
        make(name)
        for file in files:
            (home / "runs" / name / file).unlink()
    run_cli("runs", "tag", "tagged", "mine")
    told = run_cli("runs", "prune", "--keep-best", "--yes").out
    assert "runs/beaten  1k  FID 2.0000  best has FID 1.0000" in told
    assert {path.name for path in (home / "runs").iterdir()} == {
        "best",
        "tagged",
        "other-data",
        "other-protocol",
        "without",
        "half",
    }
    assert run_cli("runs", "prune", "--keep-best").out == "nothing to delete\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be asked to end there")
def test_a_run_is_asked_to_save_and_end(run_cli, home: Path) -> None:
    command = [sys.executable, "-m", "gancli", "train", "digits", "--quiet", "--out", "runs/long", "--rounds", "100000"]
    training = subprocess.Popen([*command, "--set", "training.threads=1"], cwd=home)
    while not (home / "runs/long" / catalogue.STATE_FILE).exists():
        assert training.poll() is None
        time.sleep(0.05)
    assert json.loads(run_cli("runs", "--json").out)[0]["state"] == "running"
    stopped = run_cli("runs", "stop", "long", "--wait", 300)
    assert stopped.out.startswith("runs/long is saved; `gancli train --resume runs/long` continues")
    assert training.wait() == 128 + signal.SIGTERM
    assert "no process is training" in run_cli("runs", "stop", "long").err
    assert run_cli("runs", "logs", "long", "-n", 1).out.startswith("round ")


def test_the_holder_must_be_a_process_of_this_machine(run_cli, make: Make) -> None:
    folder = make("mine")
    lock = Lock(folder)
    for holder in ('{"pid": 1, "host": "x"}', '{"pid": "rm", "host": 7}', "{"):
        (folder / ".lock.json").write_text(holder)
        assert run_cli("runs", "stop", "mine").code == 1
    lock.release()


def test_a_thousand_runs_are_listed_without_torch(make: Make, home: Path) -> None:
    first = make("run")
    for number in range(999):
        shutil.copytree(first, home / "runs" / f"run-{number}")
    told = (
        "import sys, time; from pathlib import Path; from gancli.runs import listing; begin = time.process_time();"
        "found = [listing.read(each) for each in listing.folders([Path('runs')])];"
        "print(len(found), time.process_time() - begin, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", told], cwd=home, check=True, capture_output=True, text=True).stdout
    count, seconds, torch = out.split()
    assert (count, torch) == ("1000", "False")
    assert float(seconds) < 10  # of CPU: below 1 on an idle machine


def test_better_is_what_the_metric_says(make: Make) -> None:
    one, other = (listing.read(make(name, fid=value)) for name, value in (("a", 1.0), ("b", 2.0)))
    assert one.better_than(other)
    assert not other.better_than(one)
    higher = {**one.evaluation, "results": [{**one.evaluation["results"][0], "better": "higher"}]}
    assert not listing.Listed(**{**vars(one), "evaluation": higher}).better_than(other)
