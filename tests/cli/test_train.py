"""``gancli train`` as a user meets it."""

import json
import re
import signal
import sys
import tomllib
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch

from gancli import checkpoint
from gancli.library import recipes
from gancli.library.interrupt import Stop
from gancli.rendering.images import save_images
from gancli.runs import planning
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

SMALL = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4", "--set", "training.batch=12"]
SMALL += ["--set", "networks.generator.dense=8", "--set", "networks.discriminator.dense=8", "--set", "latent.dim=6"]


def test_training_ends_by_naming_the_files_made(run_cli, home: Path) -> None:
    result = run_cli("train", "digits", "--rounds", 5, "--out", "r", *SMALL)
    assert result.code == 0
    names = [line.split()[0] for line in result.out.splitlines()]
    assert names == ["r/samples.png", "r/training.gif", "r/losses.png", "r/model.safetensors"]
    assert all((home / name).is_file() for name in names)
    assert re.search(r"quick on digits \(cpu, (fp32|bf16)\): training 5 rounds", result.err)
    assert "round 5/5" in result.err
    assert "\x1b" not in result.err + result.out


def test_quiet_says_only_the_files(run_cli) -> None:
    result = run_cli("train", "digits", "--rounds", 2, "--out", "r", "--quiet", *SMALL)
    assert result.err == ""
    assert result.out.splitlines()[0] == "r/samples.png"


def test_without_out_a_run_has_time_model_and_data_in_its_name(run_cli, home: Path) -> None:
    assert run_cli("train", "digits", "--rounds", 1, "-q", *SMALL).code == 0
    (folder,) = (home / "runs").iterdir()
    assert folder.name.endswith("-quick-digits")


def test_the_same_command_again_says_it_is_done_and_names_the_files(run_cli, home: Path) -> None:
    command = ["train", "digits", "--rounds", 4, "--out", "r", *SMALL]
    first = run_cli(*command)
    before = (home / "r/state.safetensors").read_bytes()
    again = run_cli(*command)
    assert again.code == 0
    assert again.out == first.out
    line = "digits: 1,442 images of 8x8, grey; 10 classes; 355 in the test split\n"
    assert again.err.startswith(line)
    assert re.fullmatch(r"quick on digits \(cpu, (fp32|bf16)\): finished, 4 of 4 rounds\n", again.err[len(line) :])
    assert (home / "r/state.safetensors").read_bytes() == before


def test_a_run_with_other_settings_is_refused_by_name(run_cli) -> None:
    assert run_cli("train", "digits", "--rounds", 2, "--out", "r", "-q", *SMALL).code == 0
    other = run_cli("train", "digits", "--out", "r", "--set", "latent.dim=7")
    assert other.code == 2
    assert other.err == (
        "error: r was trained with latent.dim = 6, not 7\n\n"
        "hint: leave that out to resume the run, or start a new run with another --out\n"
    )
    assert "r was trained with model = 'quick', not 'gan'" in run_cli("train", "--resume", "r", "--model", "gan").err


def test_two_identical_trainings_give_identical_files(run_cli, home: Path) -> None:
    for name in ("a", "b"):
        assert run_cli("train", "digits", "--rounds", 20, "--precision", "fp32", "--out", name, "-q", *SMALL).code == 0
    assert (home / "a/model.safetensors").read_bytes() == (home / "b/model.safetensors").read_bytes()


def test_dry_run_prints_a_recipe_that_is_toml_and_trains_nothing(run_cli, home: Path) -> None:
    result = run_cli("train", "digits", "--minutes", 2, "--dry-run", *SMALL, "--set", "optimizer.generator.lr=3e-4")
    assert result.code == 0
    shown = tomllib.loads(result.out)
    assert shown["optimizer"]["generator"]["lr"] == 3e-4
    assert shown["training"]["budget"] == "2 minutes"
    assert shown["training"]["rounds"] > 100
    assert shown["data"] == {
        "paired": True,
        "source": "",
        "name": "digits",
        "size": [8, 8],
        "channels": 1,
        "fit": "crop",
        "background": "white",
        "mirror": False,
        "hold_out": 0,
    }
    facts = [line.split()[1] for line in result.out.splitlines() if line.startswith("# ") and line[2] != " "]
    assert facts == [
        "model",
        "why",
        "parameters",
        "data",
        "device",
        "threads",
        "memory",
        "throughput",
        "budget",
        "time",
    ]
    assert not list(home.glob("runs*"))


def test_what_a_dry_run_prints_is_a_recipe_to_train_with(run_cli, home: Path) -> None:
    command = ["train", "digits", "--precision", "fp32"]  # which one is measured to be faster changes with the load
    shown = run_cli(*command, "--rounds", 3, "--dry-run", *SMALL).out
    (home / "mine.toml").write_text(shown)
    assert run_cli(*command, "--model", "mine.toml", "--out", "a", "-q").code == 0
    assert run_cli(*command, "--rounds", 3, "--out", "b", "-q", *SMALL).code == 0
    assert (home / "a/model.safetensors").read_bytes() == (home / "b/model.safetensors").read_bytes()


ERRORS = {
    "no data": (
        ["train"],
        "no data was named",
        "as in `gancli train digits`; `gancli data list` shows more",
    ),
    "unknown model": (["train", "digits", "--model", "dcgn"], "no model is called 'dcgn'", "did you mean 'dcgan'?"),
    "no such recipe": (
        ["train", "digits", "--model", "x.toml"],
        "no such file: x.toml",
        "name a recipe's TOML file, or a model of `gancli zoo list`",
    ),
    "two budgets": (
        ["train", "digits", "--minutes", 1, "--kimg", 2],
        "--minutes and --kimg are both a budget",
        "give one of them",
    ),
    "unknown key": (
        ["train", "digits", "--set", "optimizer.generator.rate=1"],
        "the recipe has an error:\n  optimizer.generator.rate = 1: unknown key, did you mean 'name'?",
        "`gancli train DATA --dry-run` prints a whole recipe; --set section.key=value changes it",
    ),
    "no value": (
        ["train", "digits", "--set", "latent.dim"],
        "an assignment is KEY=VALUE, not 'latent.dim'",
        "as in --set optimizer.generator.lr=2e-4",
    ),
    "no run to resume": (
        ["train", "digits", "--resume"],
        "there is no unfinished run in runs/",
        "name one, as in `gancli train --resume runs/NAME`, or start one: `gancli train digits`",
    ),
    "not a run": (
        ["train", "--resume", "nowhere"],
        "there is no folder, tag or run 'nowhere'",
        "`gancli runs` lists all",
    ),
    "two runs": (
        ["train", "--resume", "a", "--out", "b"],
        "--resume a and --out b are two runs",
        "give one of them",
    ),
    "too small for dcgan": (
        ["train", "digits", "--model", "dcgan", "--set", "data.size=[7,8]"],
        "dcgan needs images of at least 8x8 pixels, these are 7x8",
        "choose a larger size, as in --set data.size=[8,8], or --model gan, which takes any size",
    ),
    "arithmetic of another device": (
        ["train", "digits", "--precision", "tf32", "--device", "cpu"],
        "tf32 needs an NVIDIA GPU, and this device is cpu",
        "--precision fp32, or auto",
    ),
    "unknown device": (
        ["train", "digits", "--device", "tpu"],
        "no device is called 'tpu'",
        "one of: auto, cpu, cuda, mps",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(run_cli, home: Path, name: str) -> None:
    command, message, hint = ERRORS[name]
    result = run_cli(*command)
    talk = re.sub(r"\A(digits: .* in the test split|measuring training speed …)\n", "", result.err)
    assert talk == f"error: {message}\n\nhint: {hint}\n"
    assert result.code == 2
    assert result.out == ""
    assert not list(home.glob("r*"))


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["--epoch", "3"], "error: no such option: --epoch"),
        (["--out"], "error: option '--out' requires an argument"),
    ],
)
def test_what_the_command_line_itself_refuses(run_cli, arguments: list[str], start: str) -> None:
    result = run_cli("train", "digits", *arguments)
    assert result.code == 2
    assert result.err.startswith(start)
    assert result.err.endswith("\n\nhint: `gancli train --help` lists arguments and options\n")


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--rounds", "0", "greater than or equal to 1"),
        ("--rounds", "x", "a valid integer"),
        ("--minutes", "x", "a valid number"),
        ("--minutes", "0", "greater than or equal to 0.001"),
        ("--seed", "-1", "greater than or equal to 0"),
        ("--seed", "4294967296", "less than or equal to 4294967295"),
    ],
)
def test_a_number_that_an_option_does_not_take(run_cli, option: str, value: str, rule: str) -> None:
    result = run_cli("train", "digits", option, value)
    message = f"error: invalid value for '{option}': it should be {rule}, not {value}"
    assert (result.code, result.err) == (2, f"{message}\n\nhint: `gancli train --help` lists arguments and options\n")


def test_the_display_shows_a_critics_distance(run_cli) -> None:
    small = [f"networks.{side}.width=4" for side in ("generator", "discriminator")]
    words = [word for setting in [*small, "training.batch=12"] for word in ("--set", setting)]
    said = run_cli("train", "digits", "--model", "wgan", "--rounds", "2", "--out", "r", *words).err
    assert re.search(r"discriminator -?\d+\.\d{3}  generator -?\d+\.\d{3}  distance -?\d+\.\d{3}  0:00 left", said)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there(run_cli) -> None:
    result = run_cli("train", "digits", "--device", "cuda")
    assert result.err == ("error: this machine has no usable cuda device\n\nhint: leave --device out, or choose cpu\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")
def test_ctrl_c_saves_says_how_to_go_on_and_the_rest_is_the_same(home: Path, run_cli, monkeypatch) -> None:
    real = Trainer.round

    def interrupted(self: Trainer) -> None:
        real(self)
        if self.rounds == 20:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "round", interrupted)
        stopped = run_cli("train", "digits", "--rounds", 60, *SMALL, "--out", "r")
    assert stopped.code == 130
    assert checkpoint.read_header(home / "r/state.safetensors")["rounds"] == 20
    assert stopped.err.endswith("stopped at round 20 of 60; saved in r\nresume with: `gancli train --resume r`\n")
    assert run_cli("train", "--resume", "r", "-q").code == 0
    assert run_cli("train", "digits", "--rounds", 60, *SMALL, "--out", "whole", "-q").code == 0
    assert (home / "r/model.safetensors").read_bytes() == (home / "whole/model.safetensors").read_bytes()


def test_a_bare_resume_takes_the_newest_unfinished_run(home: Path, run_cli, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("gancli.cli._training.graceful", lambda: nullcontext(Stop(signal.SIGINT)))
        stopped = run_cli("train", "digits", "--rounds", 3, *SMALL, "--out", "runs/old")
    assert stopped.code == 130
    assert stopped.err.endswith(
        "stopped at round 1 of 3; saved in runs/old\nresume with: `gancli train --resume runs/old`\n"
    )
    result = run_cli("train", "--resume")
    assert result.code == 0
    assert "resuming at 1 of 3 rounds" in result.err
    assert json.loads((home / "runs/old/metrics.jsonl").read_text().splitlines()[-1])["round"] == 3
    assert "no unfinished run" in run_cli("train", "digits", "--resume").err


def test_a_run_on_a_folder_goes_on_from_anywhere(home: Path, run_cli, monkeypatch) -> None:
    from gancli.data import load
    from gancli.rendering.images import save_images

    save_images([load("digits").images[:40]], range(40), home / "photos")
    assert run_cli("train", "photos", "--rounds", 2, "-q", *SMALL, "--out", "r").code == 0
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    result = run_cli("train", "--resume", "../r")
    assert result.code == 0, result.err
    header = checkpoint.read_header(home / "r/model.safetensors")
    assert header["recipe"]["data"]["name"] == "photos"
    assert str(home) not in json.dumps(header)


@pytest.fixture
def quick_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dry runs that time few rounds."""
    monkeypatch.setattr(planning, "measure", partial(planning.measure, seconds=0.0))
    monkeypatch.setattr(planning, "measure_precision", partial(planning.measure_precision, seconds=0.0))


def recipe_of(result) -> dict:
    assert result.code == 0, result.err
    return tomllib.loads(result.out)


@pytest.mark.parametrize("kind", ["zoo", "file", "run", "run folder"])
def test_what_is_typed_wins_over_every_kind_of_recipe(run_cli, home: Path, kind, quick_plans) -> None:
    model = "quick"
    if kind != "zoo":
        assert run_cli("train", "digits", "--rounds", 2, "--out", "r", "-q", *SMALL, "--seed", 3).code == 0
        model = {"run": "r/recipe.toml", "run folder": "r", "file": "own.toml"}[kind]
    if kind == "file":
        shown = run_cli("train", "digits", "--model", "r", "--dry-run").out
        (home / "own.toml").write_text(shown)
    command = ["train", "digits", "--model", model, "--dry-run"]
    fields = {"--rounds 7": "7 rounds", "--epochs 2": "2 epochs", "--kimg 1.5": "1.5 kimg", "--minutes 4": "4 minutes"}
    for option, budget in fields.items():
        training = recipe_of(run_cli(*command, *option.split(), *SMALL))["training"]
        assert training["budget"] == budget
        assert training["earlier_plans"] == []
        assert training["rounds"] == {"7 rounds": 7, "1.5 kimg": 125}.get(budget, training["rounds"])
        assert training["rounds"] != 2
    options = ["--seed", 9, "--precision", "fp32", "--on-collapse", "stop", "--deterministic"]
    if kind == "zoo":  # the others are class-conditional by now, which one class alone cannot be
        options += ["--only-class", "4"]
    found = recipe_of(
        run_cli(*command, *options, "--set", "training.threads=1", "--set", "training.budget=5 rounds", *SMALL)
    )
    wanted = {"seed": 9, "precision": "fp32", "on_collapse": "stop", "deterministic": True, "threads": 1, "rounds": 5}
    assert {name: found["training"][name] for name in wanted} == wanted
    assert found["data"].get("only_class") == ("4" if kind == "zoo" else None)


def test_what_is_typed_for_a_run_that_exists_is_refused_or_means_more(run_cli, home: Path) -> None:
    assert run_cli("train", "digits", "--rounds", 2, "--out", "r", "-q", *SMALL).code == 0
    for option in ("--seed 5", "--on-collapse stop", "--deterministic", "--only-class 4", "--set training.threads=3"):
        result = run_cli("train", "--resume", "r", *option.split())
        assert result.code == 2, option
        assert "r was trained with" in result.err
    again = run_cli("train", "digits", "--rounds", 3, "--out", "r", *SMALL)
    assert again.code == 2
    assert "for more training, `gancli train --resume r --minutes 5`" in again.err
    more = run_cli("train", "--resume", "r", "--rounds", 3)
    assert more.code == 0
    assert "resuming at 2 of 5 rounds" in more.err
    assert run_cli("train", "--resume", "r", "--kimg", 0.024, "-q").code == 0
    training = tomllib.loads((home / "r/recipe.toml").read_text())["training"]
    assert training["rounds"] == 7
    assert training["earlier_plans"] == [{"until": 2, "rounds": 2}, {"until": 5, "rounds": 5}]


def test_an_entry_is_left_out_by_none(run_cli, quick_plans) -> None:
    wgan = ["train", "digits", "--model", "wgan-gp", "--rounds", 1, "--dry-run"]
    penalty = recipe_of(run_cli(*wgan))["objective"]["regularizers"]
    (name,) = penalty
    without = run_cli(*wgan, "--set", f"objective.regularizers.{name}=none")
    assert recipe_of(without)["objective"]["regularizers"] == {}
    for nothing in ("objective.regularizers={}", f"objective.regularizers.{name}={{}}"):
        refused = run_cli(*wgan, "--set", nothing)
        assert refused.code == 2
        assert "changes nothing" in refused.err
        assert f"--set objective.regularizers.{name}" in refused.err
        assert "=none" in refused.err
    # Elsewhere "none" is a text, which some options take and others refuse.
    named = run_cli(*wgan, "--set", "networks.discriminator.norm=none")
    assert recipe_of(named)["networks"]["discriminator"]["norm"] == "none"
    assert "training.batch = 'none': should be a whole number" in run_cli(*wgan, "--set", "training.batch=none").err


@pytest.mark.parametrize(
    ("shape", "model"),
    [
        ((1, 28, 28), "quick"),
        ((3, 28, 28), "pictures"),
        ((1, 28, 29), "pictures"),
    ],
)
def test_the_default_model_of_a_shape(shape: tuple[int, int, int], model: str) -> None:
    assert catalogue.default_model(*shape) == model
    assert (recipes.default_model("cifar10"), recipes.default_model("mnist")) == ("pictures", "quick")
    assert recipes.default_model("photos/", shape) == model


def test_a_colour_folder_trains_pictures(run_cli, home: Path) -> None:
    save_images([torch.randint(0, 256, (20, 3, 16, 16), dtype=torch.uint8)], range(20), home / "photos")
    small = [f"--set=networks.{name}.width=4" for name in ("generator", "discriminator")]
    command = ["train", "photos", *small, "--rounds", "9", "--precision", "fp32"]
    result = run_cli(*command, "--out", "r", "--set", "training.samples=4")
    assert result.code == 0, result.err
    assert "pictures on photos (cpu, fp32): training 9 rounds" in result.err
    header = checkpoint.read_header(home / "r/model.safetensors")
    assert header["recipe"]["networks"]["generator"]["architecture"] == "fastgan"
    # It says how the networks were fitted to the images.
    shown = run_cli("train", "photos", *small, "--rounds", "9", "--dry-run")
    assert "# generator     patches of 2x2 pixels suit images of 16x16\n" in shown.out
    assert max(len(line) for line in shown.out.splitlines() if line.startswith("# ")) <= 80
    # What does not fit the model that the images get is refused before round one.
    wrong = run_cli("train", "photos", "--set", "networks.generator.base=7", "--rounds", "1", "--out", "s")
    assert wrong.code == 2
    assert "networks.generator.base" in wrong.err
    assert not (home / "s").exists()


def test_a_colour_folder_with_classes_trains_one_that_is_told_them(run_cli, home: Path) -> None:
    for name in ("hats", "shoes"):
        pixels = torch.randint(0, 256, (20, 3, 16, 16), dtype=torch.uint8)
        save_images([pixels], range(20), home / "photos" / name)
    small = [f"--set=networks.{name}.width=4" for name in ("generator", "discriminator")]
    command = ["train", "photos", *small, "--rounds", "2", "--set", "training.samples=4", "--out"]
    assert run_cli(*command, "r").code == 0
    recipe = checkpoint.read_header(home / "r/model.safetensors")["recipe"]
    assert (recipe["latent"]["classes"], recipe["objective"]["name"]) == (2, "cgan")
    shoes = run_cli("sample", "r", "-n", "2", "--class", "shoes", "--out", "made")
    assert shoes.code == 0, shoes.err
    # Reused fakes would have other classes than the images that the generator's step draws.
    reuse = run_cli(*command, "s", "--set", "objective.reuse_fake=true")
    assert reuse.code == 2
    assert "objective.reuse_fake = true: 'relativistic' compares fakes with images of their classes" in reuse.err
    unlabelled = run_cli(*command, "t", "--set", "latent.classes=0")
    assert unlabelled.code == 0, unlabelled.err
    assert checkpoint.read_header(home / "t/model.safetensors")["recipe"]["objective"]["name"] == "adversarial"
