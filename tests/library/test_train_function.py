"""``gancli.train`` as a Python user meets it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import gancli
from gancli import checkpoint
from gancli.data import load
from gancli.rendering.images import save_images
from gancli.training.loop import Trainer

SMALL = {f"networks.{name}.{key}": value for name in ("generator", "discriminator") for key, value in
         {"width": 4, "dense": 8}.items()} | {"training.batch": 12, "training.samples": 4, "latent.dim": 6}  # fmt: skip
TYPED = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]

pytestmark = pytest.mark.usefixtures("one_thread")


def test_command_and_function_give_the_same_weights(run_cli, home: Path) -> None:
    options = ["--rounds", 5, "--seed", 3, "--precision", "fp32", "--only-class", "7"]
    assert run_cli("train", "digits", "-q", "--out", "a", *options, *TYPED).code == 0
    run = gancli.train("digits", rounds=5, seed=3, precision="fp32", only_class=7, out="b", overrides=SMALL)
    assert (home / "a/model.safetensors").read_bytes() == (home / "b/model.safetensors").read_bytes()
    assert (run.folder, run.rounds, run.recipe.training.seed) == (Path("b"), 5, 3)
    assert [row["round"] for row in run.metrics][-1] == 5
    assert torch.equal(run.model.sample([0, 1]), gancli.load("a").sample([0, 1]))


def test_torch_is_afterwards_as_before(home: Path) -> None:
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    gancli.train(
        "digits", rounds=1, out="r", overrides={**SMALL, "training.threads": 2, "training.deterministic": True}
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, False)


def test_progress_has_metrics_samples_and_a_line(home: Path) -> None:
    found: list[gancli.Progress] = []
    gancli.train(
        "digits", rounds=4, out="r", overrides=SMALL, evaluate_every=1, evaluate_images=20, progress=found.append
    )
    assert (found[0].round, found[0].samples, "evaluation/fid" in found[0].metrics) == (0, None, True)
    last = found[-1]
    assert (last.round, last.rounds, last.images, last.left) == (4, 4, 48, 0.0)
    assert last.samples is not None
    assert (last.samples.dtype, tuple(last.samples.shape[1:])) == (torch.uint8, (1, 8, 8))
    lines = [json.loads(line) for line in (home / "r/metrics.jsonl").read_text().splitlines()]
    of_training = next(line for line in reversed(lines) if "evaluation" not in line)
    assert last.metrics["loss/generator"] == of_training["loss/generator"]
    assert str(last).startswith("round 4/4  fid ")
    assert any(str(each).startswith("round 4/4  ") and str(each).endswith("0:00 left") for each in found)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")
def test_ctrl_c_saves_and_the_same_call_ends_as_if_undisturbed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, before = Trainer.round, signal.getsignal(signal.SIGINT)

    def interrupted(self: Trainer) -> None:
        real(self)
        if self.rounds == 3:
            signal.raise_signal(signal.SIGINT)

    def train(out: str) -> gancli.Trained:
        return gancli.train("digits", rounds=6, precision="fp32", out=out, overrides=SMALL)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "round", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"round 3 of 6; saved in r; gancli.train\(resume='r'\) resumes it"):
            train("r")
    assert checkpoint.read_header(home / "r/state.safetensors")["rounds"] == 3
    assert signal.getsignal(signal.SIGINT) == before
    train("r")
    train("whole")
    assert (home / "r/model.safetensors").read_bytes() == (home / "whole/model.safetensors").read_bytes()
    assert gancli.train(resume="r", rounds=2).rounds == 8


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")
def test_a_second_ctrl_c_does_not_wait_and_lets_the_folder_go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(_self: Trainer) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "round", stuck)
        with pytest.raises(KeyboardInterrupt):
            gancli.train("digits", rounds=2, precision="fp32", out="r", overrides=SMALL)
    assert gancli.train("digits", rounds=2, precision="fp32", out="r", overrides=SMALL).rounds == 2


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"minutes": 1, "rounds": 2}, "`minutes` and `rounds` are both a budget", "give one of them"),
        ({"minutes": -1}, "`minutes=-1` is no budget", "give a number above 0, as in `minutes=5`"),
        ({"keep": -1}, "`keep=-1` is out of range", "give a number from 0 on"),
        ({"evaluate_every": 1, "evaluate_images": 5}, "`evaluate_images=5` is out of range", "give a number from 6 to"),
        ({"freeze_d": 2}, "`freeze_d=2` keeps layers of trained weights, and there are none", "add `weights=MODEL`"),
        ({"best_by": "fid"}, "`best_by` needs evaluations during training", "add `evaluate_every=100`"),
        ({"progress": 3}, "`progress=3` cannot be called", "pass a function, as in progress=print"),
        ({"model": "dcgn"}, "no model is called 'dcgn'", "did you mean 'dcgan'?"),
        ({"resume": "nowhere", "data": None, "out": None}, "there is no folder, tag or run 'nowhere'", ""),
        ({"data": None}, "no data was named", ""),
        ({"log": ["tensorbord"]}, "there is no logger 'tensorbord'", ""),
        (
            {"overrides": {"optimizer.generator.rate": 1}},
            "the recipe has an error:\n  optimizer.generator.rate = 1",
            "",
        ),
        ({"overrides": {"training.batch": object()}}, "the recipe has an error:\n  training.batch", ""),
        ({"seed": -1}, "the recipe has an error:\n  training.seed = -1", ""),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_trained(home: Path, arguments, message: str, hint: str) -> None:
    with pytest.raises(gancli.GancliError) as error:
        gancli.train(**{"data": "digits", "out": "r"} | arguments)
    assert error.value.message.startswith(message)
    assert error.value.hint.startswith(hint)
    assert not list(home.glob("r*"))


def test_files_that_are_left_out_are_named(home: Path) -> None:
    save_images([load("digits").images[:20]], range(20), home / "photos")
    (home / "photos/broken.png").write_bytes(b"no picture")
    run = gancli.train(home / "photos", model="quick", hold_out=0.4, rounds=1, out=home / "r", overrides=SMALL)
    assert [skipped.name for skipped in run.skipped] == ["broken.png"]
    assert run.recipe.data.hold_out == 0.4


@pytest.mark.parametrize("many", [20, 21])
def test_the_parts_of_a_recipe_go_by_the_data_as_they_are(home: Path, monkeypatch, many: int) -> None:
    monkeypatch.setattr("gancli.recipe.overrides.MANY", many)
    save_images([load("digits").images[:20]], range(20), home / "photos")
    narrow = {f"networks.{side}.{name}": 4 for side in ("generator", "discriminator") for name in ("width", "fine")}
    run = gancli.train(
        home / "photos", model="pictures", rounds=1, out=home / "r", overrides={**narrow, "training.samples": 4}
    )
    assert ("augment" in run.recipe.objective.options) == (many > 20)
    assert run.recipe.objective.options["regularizers"]["r1"]["weight"] == 0.02


def test_the_package_is_imported_without_torch() -> None:
    code = "import gancli, sys; gancli.GancliError, gancli.Progress; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(gancli.__file__).parents[1], check=False).returncode == 0
    )
