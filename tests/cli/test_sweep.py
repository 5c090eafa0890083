"""``gancli sweep`` as a user meets it."""

import signal
import sys
from pathlib import Path

import pytest

from gancli import checkpoint
from gancli.runs import comparing
from gancli.training.loop import Trainer

SMALL = ["--precision", "fp32"]
for setting in ("training.batch=12", "training.samples=4", "training.threads=1", "latent.dim=6"):
    SMALL += ["--set", setting]
for side in ("generator", "discriminator"):
    SMALL += ["--set", f"networks.{side}.width=4", "--set", f"networks.{side}.dense=8"]
SWEEP = ["sweep", "digits", "--vary", "optimizer.generator.lr=1e-4,2e-4", "--rounds", 4, *SMALL]
FOLDERS = ["runs/sweep-digits-lr=1e-4", "runs/sweep-digits-lr=2e-4"]


def test_runs_are_trained_compared_and_found_again(run_cli, home: Path) -> None:
    result = run_cli(*SWEEP)
    assert result.code == 0, result.err
    assert sorted(str(each) for each in Path("runs").iterdir()) == FOLDERS
    assert result.out.splitlines()[0] == "1  sweep-digits-lr=1e-4: quick on digits, 4 rounds, finished"
    assert ["optimizer.generator.lr", "0.0001", "0.0002"] in [line.split() for line in result.out.splitlines()]
    assert max(map(len, result.out.splitlines())) <= 80
    assert "run 2 of 2, sweep-digits-lr=2e-4" in result.err.splitlines()
    # As by `gancli train`, and found by its commands.
    alone = run_cli(
        "train", "digits", "--rounds", 4, *SMALL, "--set", "optimizer.generator.lr=2e-4", "--out", "x", "-q"
    )
    assert alone.code == 0
    assert (home / "x/model.safetensors").read_bytes() == (home / FOLDERS[1] / "model.safetensors").read_bytes()
    assert run_cli("compare", "lr=1e-4", "lr=2e-4").out == result.out
    before = {path: path.read_bytes() for path in Path("runs").rglob("*.safetensors")}
    again = run_cli(*SWEEP, "-q")
    assert (again.code, again.err, again.out) == (0, "", result.out)
    assert {path: path.read_bytes() for path in Path("runs").rglob("*.safetensors")} == before


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")
def test_ctrl_c_saves_and_the_same_command_continues(run_cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Trainer.round

    def interrupted(self: Trainer) -> None:
        real(self)
        if self.rounds == 3 and self.settings.seed == 1:
            signal.raise_signal(signal.SIGINT)

    command = ["sweep", "digits", "--vary", "training.seed=0,1,2", "--rounds", 4, *SMALL]
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "round", interrupted)
        stopped = run_cli(*command)
    assert (stopped.code, stopped.out) == (130, "")
    typed = " ".join(map(str, command))
    saved = "stopped at round 3 of 4; saved in runs/sweep-digits-seed=1"
    assert stopped.err.splitlines()[-2:] == [saved, f"resume with: `gancli {typed}`"]
    assert not Path("runs/sweep-digits-seed=2").exists()
    listed = run_cli(*command, "--dry-run")
    assert [line.split("  ")[1] for line in listed.out.splitlines()] == ["finished", "unfinished", "new"]
    done = run_cli(*command)
    assert done.code == 0
    lines = done.err.splitlines()
    assert "run 1 of 3, sweep-digits-seed=0: finished" in lines
    assert any(line.endswith("resuming at 3 of 4 rounds") for line in lines)
    rounds = [checkpoint.read_header(path)["rounds"] for path in Path("runs").glob("*/state.safetensors")]
    assert rounds == [4, 4, 4]


def test_everything_is_checked_before_the_first_training(run_cli, home: Path) -> None:
    for vary, message in (
        ("optimizer.generator.lr=1e-4,20", "optimizer.generator.lr = 20: should be less than or equal to 10"),
        ("training.accumulate=1,5", "training.batch = 12 cannot be divided evenly by"),
        ("model=quick,dcgn", "no model is called 'dcgn'"),
        ("training.seed=0,0", "--vary training.seed=0,0 has the value 0 twice"),
        ("training.seed", "--vary training.seed has no value"),
    ):
        result = run_cli("sweep", "digits", "--vary", vary, "--rounds", 2, *SMALL)
        assert result.code == 2, result.err
        assert message in result.err
        assert not Path("runs").exists()
    # Another training under the name of one of the runs.
    assert run_cli("train", "digits", "--rounds", 1, *SMALL, "--out", FOLDERS[1], "-q").code == 0
    refused = run_cli(*SWEEP)
    assert refused.code == 2
    assert f"{FOLDERS[1]} was trained with " in refused.err
    assert not Path(FOLDERS[0]).exists()


def test_a_run_that_diverges_does_not_end_the_sweep(run_cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Trainer.means
    monkeypatch.setattr(
        Trainer, "means", lambda self: real(self) | ({"loss/x": float("nan")} if self.settings.seed == 0 else {})
    )
    command = ["sweep", "digits", "--vary", "training.seed=0,1", "--rounds", 2, *SMALL]
    result = run_cli(*command)
    assert result.code == 0, result.err
    assert "run 1 of 2, sweep-digits-seed=0: training diverged: loss/x is nan" in result.err
    assert "1  sweep-digits-seed=0: quick on digits, 0 rounds, diverged" in result.out.splitlines()
    assert "2  sweep-digits-seed=1: quick on digits, 2 rounds, finished" in result.out.splitlines()
    again = run_cli(*command)
    assert "run 1 of 2, sweep-digits-seed=0: diverged; `gancli train --resume" in again.err


def test_of_many_runs_the_best_are_compared(run_cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "MOST", 2)
    options = ["--rounds", 1, "--evaluate-every", 1, "--evaluate-images", 12]
    result = run_cli("sweep", "digits", "--vary", "training.seed=0,1,2", *options, *SMALL, "-q")
    assert result.code == 0, result.err
    labels = [line.split()[1] for line in result.out.splitlines()[:2]]
    figures = {
        folder.name: checkpoint.read_header(folder / "model.safetensors")["evaluation"]["results"][0]["value"]
        for folder in Path("runs").iterdir()
    }
    assert {label.rstrip(":") for label in labels} == set(sorted(figures, key=lambda name: figures[name])[:2])
    assert "the best 2 of 3; `gancli runs --where 'name=sweep-digits-*' --sort result` lists all" in result.err
