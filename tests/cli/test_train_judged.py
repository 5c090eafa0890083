"""``gancli train --evaluate-every`` as a user meets it."""

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from gancli import checkpoint
from gancli.runs.periodic_evaluation import Evaluator

SMALL = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4", "--set", "training.batch=12"]
SMALL += ["--set", "networks.generator.dense=8", "--set", "networks.discriminator.dense=8", "--set", "latent.dim=6"]
RUN = ["train", "digits", "--rounds", 8, "--out", "r", *SMALL]


def test_figures_floors_seconds_and_what_it_cost(run_cli, home: Path) -> None:
    result = run_cli(*RUN, "--evaluate-every", 0.036)
    assert result.code == 0
    told = [line for line in result.err.splitlines() if line.startswith("evaluation, ")]
    pattern = r"evaluation, round \d: fid [\d.]+, floor 0\.1122(, best so far)?, in \d+\.\d s"
    assert len(told) == 4
    assert all(re.fullmatch(pattern, line) for line in told)
    assert all(len(line) <= 80 for line in told)
    assert "evaluating for the first time …\n" in result.err
    assert "evaluating every 0.036 thousand images, and at the end\n" in result.err
    assert result.out.splitlines()[-1] == "r/best.safetensors  the best model by evaluation"
    assert run_cli("sample", "r/best.safetensors", "-n", 4, "--out", "best.png").code == 0
    assert run_cli("evaluate", "r/best.safetensors", "-n", 24, "--metrics", "fid").code == 0
    assert "in round 8: FID " in run_cli("doctor", "r").out
    again = run_cli(*RUN, "--evaluate-every", 0.036)
    assert "first time" not in again.err
    assert "evaluation, " not in again.err


def test_a_run_remembers_how_it_is_judged(run_cli) -> None:
    assert run_cli(*RUN, "--evaluate-every", 1, "--best-by", "swd", "--evaluate-images", 30, "-q").code == 0
    assert "evaluating every 1 thousand images" in run_cli("train", "--resume", "r").err
    other = run_cli("train", "--resume", "r", "--evaluate-every", 2)
    assert re.search(r"evaluation, round 8: swd [\d.]+, floor [\d.]+, in ", other.err)
    assert "evaluating every 2 thousand images" in other.err
    off = run_cli("train", "--resume", "r", "--evaluate-every", 0)
    assert "judged" not in off.err
    assert "best.safetensors" not in off.out


def test_a_dry_run_tells_what_it_costs(run_cli, home: Path) -> None:
    result = run_cli(*RUN, "--evaluate-every", 0.036, "--dry-run")
    last = " ".join(line.removeprefix("#").strip() for line in result.out.splitlines()[-2:])
    pattern = r"evaluation +fid of 355 generated images, 4 times, \d+\.\d s each: \d:\d\d in addition to the time above"
    assert re.fullmatch(pattern, last)
    assert not (home / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--best-by", "fid"], "--best-by needs evaluations during training", "add --evaluate-every 100"),
        (
            ["--evaluate-images", "50"],
            "--evaluate-images needs evaluations during training",
            "add --evaluate-every 100",
        ),
        (
            ["--evaluate-every", "1", "--evaluate-images", "5"],
            "invalid value for '--evaluate-images': it should be greater than or equal to 6, not 5",
            "`gancli train --help` lists arguments and options",
        ),
        (
            ["--evaluate-every", "1", "--best-by", "kidd"],
            "--best-by kidd: this model has no such metric",
            "did you mean 'kid'?",
        ),
    ],
)
def test_faults_are_said_before_round_one(run_cli, home: Path, arguments: list[str], message: str, hint: str) -> None:
    result = run_cli(*RUN, *arguments, "-q")
    assert (result.code, result.err) == (2, f"error: {message}\n\nhint: {hint}\n")
    assert not (home / "r").exists()


def test_a_folder_is_evaluated_with_and_without_held_out_images(run_cli, home: Path) -> None:
    from gancli.data import load
    from gancli.rendering.images import save_images

    for part in ("photos", "both/train", "both/test"):
        save_images([load("digits").images[:40]], range(40), home / part)
    train = ["--rounds", 3, "-q", *SMALL, "--evaluate-every", 1, "--evaluate-images", 12]
    for data in ("photos", "both"):
        assert run_cli("train", data, *train, "--out", f"r-{data}").code == 0
        header = checkpoint.read_header(home / f"r-{data}/best.safetensors")
        assert header["evaluation"]["protocol"]["data"] == data
        assert header["evaluation"]["protocol"]["split"] == "train"
        assert str(home) not in json.dumps(header)


def test_a_model_of_numbers_is_judged_by_its_formula(run_cli) -> None:
    said = run_cli("train", "sine", "--rounds", 3, "--out", "r", "--evaluate-every", 100).err
    assert len(re.findall(r"evaluation, round \d: rmse [\d.]+, floor 0\.0[12]\d*(?:, best so far)?, in ", said)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")
def test_ctrl_c_while_it_is_judged(home: Path, run_cli, monkeypatch) -> None:
    real, begun = Evaluator._evaluate, []

    def evaluated(self: Evaluator, *arguments: Any) -> Any:
        begun.append(arguments)
        if len(begun) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Evaluator, "_evaluate", evaluated)
        command = ["train", "digits", "--rounds", 2, *SMALL, "--out", "r"]
        stopped = run_cli(*command, "--evaluate-every", 0.012, "--evaluate-images", 60)
    assert stopped.code == 130
    assert stopped.err.endswith("stopped at round 1 of 2; saved in r\nresume with: `gancli train --resume r`\n")
    assert run_cli("train", "--resume", "r", "--evaluate-images", "50", "-q").code == 0
    header = checkpoint.read_header(home / "r/model.safetensors")
    assert header["evaluation"]["protocol"]["generated_images"] == 50
