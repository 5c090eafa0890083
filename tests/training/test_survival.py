"""Run folders after what happens to machines: full disks, lost folders, wrong clocks, numbers that are none."""

import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny import CPU, Silent, dataset, left, run, tiny

from gancli import checkpoint
from gancli.lock import FILE, Taken, holder
from gancli.runs.folder import RunFolder
from gancli.runs.metrics_log import read_metrics
from gancli.runs.periodic_evaluation import Evaluator
from gancli.runs.run import Interrupted, Run
from gancli.runs.state import RunFiles
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

ROOT = Path(__file__).parents[2]
SMALL = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4", "--set", "training.batch=12"]
SMALL += ["--set", "networks.generator.dense=8", "--set", "networks.discriminator.dense=8", "--set", "latent.dim=6"]
SMALL += ["--set", "training.samples=4", "--precision", "fp32", "--device", "cpu"]
ROUNDS = 60  # of which the sixty grids leave out some, such as 55
WHOLE = ["train", "digits", "--rounds", ROUNDS, *SMALL]


KNOWN: dict[str, str] = {}


@pytest.fixture
def undisturbed(run_cli, home: Path) -> dict[str, str]:
    """What the command of these tests ends as; found once."""
    if not KNOWN:
        assert run_cli(*WHOLE, "--out", "whole", "-q").code == 0
        KNOWN.update(left(home / "whole"))
    return KNOWN


def at_round(monkeypatch: pytest.MonkeyPatch, number: int, happens: Callable[[], None]) -> None:
    """Let something happen once, right after a round."""
    real, done = Trainer.round, []

    def disturbed(self: Trainer) -> None:
        real(self)
        if self.rounds == number and not done:
            done.append(number)
            happens()

    monkeypatch.setattr(Trainer, "round", disturbed)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for what the writer's thread is about to do."""
    end = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


# A full disk.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.faults import small_disk

    folder = tmp_path / "disk"
    with small_disk(folder, "2m") as reason:
        if reason:
            pytest.skip(reason)
        yield folder


def fill(disk: Path, spare: int) -> None:
    from benchmarks.faults import fill

    fill(disk / "filler", spare)


def almost_at_the_end_of_a_page(metrics: Path) -> None:
    """Blanks, so that of the next line the first bytes have room and the others need a page more."""
    with metrics.open("a") as file:
        file.write(" " * ((-metrics.stat().st_size - 30) % 4096))


def room_in_the_page(metrics: Path) -> None:
    """Blanks, so that the next line needs no page of its own."""
    if (free := -metrics.stat().st_size % 4096) < 1000:
        with metrics.open("a") as file:
            file.write(" " * (free + 1))


@pytest.mark.parametrize(
    ("what", "save_every", "round_"),
    [("state", 0, 55), ("model", 0, 55), ("sample", 1e9, 54), ("line", 0, 55)],
)
def test_a_full_disk_ends_a_training_with_one_error_and_the_last_state(
    run_cli, monkeypatch, disk: Path, undisturbed, what: str, save_every: float, round_: int
) -> None:
    """The disk is full in the midst of this file; round 54 has a sample grid, round 55 has none."""
    folder = disk / "r"
    command = [*WHOLE, "--out", folder, "--save-every", save_every]

    kept = 0 if save_every else round_ - 1

    def happens() -> None:
        wait_for(lambda: checkpoint.read_header(folder / "state.safetensors")["rounds"] >= kept)
        (almost_at_the_end_of_a_page if what == "line" else room_in_the_page)(folder / "metrics.jsonl")
        # The old files make room when the new model and discriminator have taken their places.
        fill(disk, (folder / "state.safetensors").stat().st_size // 2 if what == "state" else 0)

    with monkeypatch.context() as patched:
        at_round(patched, round_, happens)
        patched.setattr(Evaluator, "clock", lambda self: 0.0)  # no rows but those of previews and saves
        stopped = run_cli(*command)
    (disk / "filler").unlink()
    file = {"state": f": {folder}/state.safetensors", "model": f": {folder}/model.safetensors"}.get(what, "")
    assert stopped.code == 1
    assert stopped.err.endswith(
        f"error: no space left on device{file}; {folder} holds the state of round {kept}\n\n"
        f"hint: make room on the disk, then resume with `gancli train --resume {folder}`\n"
    )
    assert "Traceback" not in stopped.err
    checkpoint.read(folder / catalogue.STATE_FILE)
    checkpoint.read(folder / catalogue.MODEL_FILE)
    assert not list(folder.rglob(".*"))
    last = (folder / "metrics.jsonl").read_text().splitlines()[-1].strip()
    assert (last.startswith('{"round": 55') and not last.endswith("}")) == (what == "line")
    assert run_cli(*command, "-q").code == 0
    assert left(folder) == undisturbed
    assert [path for path in (folder / "samples").iterdir() if path.stat().st_size == 0] == []


def test_a_full_disk_while_the_folder_is_made_leaves_none(run_cli, disk: Path) -> None:
    fill(disk, 20_480)
    refused = run_cli(*WHOLE, "--out", disk / "r")
    assert refused.code == 1
    assert "\nerror: no space left on device: " in refused.err
    assert [path.name for path in disk.iterdir()] == ["filler"]


# A folder that is not there any more.


@pytest.mark.parametrize("when", ["between writes", "as a write begins"])
def test_a_removed_folder_is_told_and_not_made_anew(run_cli, home: Path, monkeypatch, when: str) -> None:
    reached = threading.Event()

    def removed() -> None:
        (home / "r").rename(home / "gone")  # at once: nobody can write into the midst of it
        shutil.rmtree(home / "gone")

    check = RunFolder.check

    def last_check(self: RunFolder) -> None:
        check(self)
        if reached.is_set():  # it is there now, and is not when the file is opened
            reached.clear()
            removed()

    if when == "between writes":
        at_round(monkeypatch, 20, removed)
    else:
        at_round(monkeypatch, 20, reached.set)
        monkeypatch.setattr(RunFolder, "check", last_check)
    result = run_cli(*WHOLE, "--out", "r", "--save-every", 0)
    assert result.code == 1
    assert result.err.endswith(
        "error: r was removed or renamed during the training\n\n"
        "hint: if it has another name now, `gancli train --resume NAME` resumes it; otherwise start it again\n"
    )
    assert not (home / "r").exists()


def test_what_a_killed_maker_left_is_taken_over(tmp_path) -> None:
    (tmp_path / ".r.new" / "samples").mkdir(parents=True)
    for name in (FILE, "state.safetensors", ".recipe.toml.0123.part", "samples/00000001.png"):
        (tmp_path / ".r.new" / name).write_bytes(b"half")
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert {path.name for path in (tmp_path / "r" / "samples").iterdir()} == {f"{n:08d}.png" for n in (1, 2, 3)}


# Two at once.


def test_two_trainings_of_one_folder(tmp_path) -> None:
    one = run(tmp_path / "r", tiny(3))
    with pytest.raises(Taken, match=f"r is being trained by process {os.getpid()} on "):
        run(tmp_path / "r", tiny(3))
    one.train(Silent())
    assert holder(tmp_path / "r") is None
    assert run(tmp_path / "r", tiny(3)).finished


def test_two_that_make_one_folder(tmp_path, monkeypatch) -> None:
    """The second comes while the first one is making it, and is refused before it builds a network."""
    refused: list[Taken] = []

    def second() -> None:
        with pytest.raises(Taken) as error:
            Run(tmp_path / "r", tiny(3), dataset(tiny(3)), CPU)
        refused.append(error.value)

    real = RunFiles.create
    monkeypatch.setattr(RunFiles, "create", lambda self: (second(), real(self)))
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert refused[0].message.startswith(f"{tmp_path / 'r'} is being trained by process ")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_a_training_that_fails_to_begin_leaves_nothing(tmp_path, monkeypatch) -> None:
    def fail(self: RunFiles) -> None:
        raise OSError("no")

    monkeypatch.setattr(RunFiles, "create", fail)
    with pytest.raises(OSError, match="no"):
        run(tmp_path / "r", tiny(3))
    assert not list(tmp_path.iterdir())


def test_a_bare_resume_leaves_a_running_training_alone(run_cli, home: Path) -> None:
    running = run(home / "runs" / "r", tiny(3))
    refused = run_cli("train", "--resume")
    assert refused.code == 2
    assert refused.err.startswith(
        "error: there is no unfinished run in runs/ but what is being trained just now\n\nhint: name one"
    )
    running.train(Silent())


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    one = run(tmp_path / "r", tiny(3))
    assert one.note == "this file system has no locks: do not train twice in this folder"
    one.train(Silent())


# Clocks.


def test_a_jumping_clock_changes_nothing(tmp_path, monkeypatch) -> None:
    run(tmp_path / "whole", tiny(20)).train(Silent())
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (-1) ** next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 * (-1) ** next(jumps))
    count = iter(range(10**9))
    with pytest.raises(Interrupted):
        Run(tmp_path / "r", tiny(20), dataset(tiny(20)), CPU, save_every=0).train(Silent(), lambda: next(count) == 10)
    for path in (tmp_path / "r").rglob("*"):
        os.utime(path, (0, 0) if path.suffix == ".safetensors" else (4e9, 4e9))
    run(tmp_path / "r", tiny(20)).train(Silent())
    assert left(tmp_path / "r") == left(tmp_path / "whole")
    assert all(row["seconds"] >= 0 for row in read_metrics(tmp_path / "r" / "metrics.jsonl"))


@pytest.mark.parametrize("path", sorted((ROOT / "gancli" / "training").rglob("*.py")), ids=lambda path: path.name)
def test_no_training_asks_what_time_it_is(path: Path) -> None:
    text = path.read_text()
    assert not any(word in text for word in ("time.time", "datetime", "strftime", "st_mtime", "getmtime"))


# Numbers that are none.


def test_what_a_diverged_training_leaves_is_finite_and_goes_on(run_cli, home: Path, monkeypatch) -> None:
    """The discriminator's weights are lost halfway, and saving after every round keeps none of that."""
    real = Trainer.round

    def lost(self: Trainer) -> None:
        real(self)
        if self.rounds == 30:
            with torch.no_grad():
                next(self.networks["discriminator"].parameters()).fill_(float("nan"))

    monkeypatch.setattr(Trainer, "round", lost)
    stopped = run_cli(*WHOLE, "--out", "r", "--save-every", 0)
    assert stopped.code == 1
    assert "error: training diverged: " in stopped.err
    assert "r holds the last healthy state" in stopped.err
    kept, header = checkpoint.read(home / "r" / catalogue.STATE_FILE)
    assert header["rounds"] == 29
    assert all(torch.isfinite(value).all() for value in kept.values())
    monkeypatch.setattr(Trainer, "round", real)
    assert run_cli("train", "--resume", "r", "-q").code == 0
    assert read_metrics(home / "r" / "metrics.jsonl")[-1]["round"] == ROUNDS


def test_killed_between_the_last_state_and_its_model(tmp_path) -> None:
    """As an earlier version could leave it: the state is finished, the model is not."""
    run(tmp_path / "r", tiny(3)).train(Silent())
    whole = left(tmp_path / "r")
    path = tmp_path / "r" / catalogue.MODEL_FILE
    kept, header = checkpoint.read(path)
    checkpoint.write(path, {name: value + 1 for name, value in kept.items()}, {**header, "rounds": 2})
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert left(tmp_path / "r") == whole
    path.unlink()
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert left(tmp_path / "r") == whole
