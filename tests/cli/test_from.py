"""``gancli train --from``: what a user is told, and what is refused."""

import tomllib
from pathlib import Path

import pytest
import torch

from gancli import checkpoint
from gancli.zoo import catalogue

SMALL = ["--set", "training.batch=12", "--set", "training.threads=1", "--set", "training.samples=4"]
TINY = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4", *SMALL]


@pytest.fixture
def old(run_cli) -> str:
    """A run of `pictures` on grey images."""
    command = ["train", "digits", "--model", "pictures", "--rounds", 2, "--seed", 3, "--out", "old", "--quiet"]
    assert run_cli(*command, *TINY).code == 0
    return "old"


def test_a_run_starts_from_another_one_and_says_so(run_cli, old: str) -> None:
    command = ["train", "digits", "--from", old, "--freeze-d", 1, "--rounds", 2, "--out", "new"]
    command += ["--set", "data.channels=3", "--set", "training.threads=1"]
    made = run_cli(*command)
    assert made.code == 0, made.err
    sums = {name: sum(v.numel() for v in tensors(name).values()) for name in ("discriminator", "model")}
    assert sums["discriminator"] > 0
    assert "from old, fine.0.weight adapted; 1 layer frozen\n" in made.err
    assert "from old, fine.weight, fine.bias adapted\n" in made.err
    recipe = tomllib.loads(Path("new/recipe.toml").read_text())
    assert recipe["model"] == "pictures"
    assert recipe["training"]["start"] == {"model": "old", "sha256": sha256(Path(old)), "freeze_d": 1, "licence": ""}
    assert (recipe["networks"]["generator"]["width"], recipe["training"]["batch"]) == (4, 12)
    assert recipe["training"]["seed"] == 0
    first = tensors("discriminator", "old")["discriminator.fine.0.weight"]
    frozen = tensors("discriminator")["discriminator.fine.0.weight"]
    assert torch.equal(frozen, first.expand(-1, 3, -1, -1) / 3)
    # The same command resumes, also where the old run is no longer there.
    Path(old, catalogue.MODEL_FILE).unlink()
    again = run_cli(*command)
    assert "finished, 2 of 2 rounds" in again.err
    other = run_cli(*command[:3], "quick/digits", *command[4:])
    assert other.code == 2
    assert "error: new started from old, not from quick/digits\n" in other.err


def tensors(name: str, folder: str = "new") -> dict[str, torch.Tensor]:
    return checkpoint.read(Path(folder, f"{name}.safetensors"))[0]


def sha256(folder: Path) -> str:
    import hashlib

    return hashlib.sha256((folder / catalogue.MODEL_FILE).read_bytes()).hexdigest()


def test_a_dry_run_shows_what_is_taken_over(run_cli, old: str) -> None:
    found = run_cli("train", "digits", "--from", old, "--dry-run", "--set", "data.size=32", *SMALL)
    assert found.code == 0, found.err
    assert tomllib.loads(found.out)["training"]["start"]["model"] == "old"
    told = [line for line in found.out.splitlines() if line.startswith("# weights")]
    assert told[0].startswith("# weights       discriminator: ")
    assert "from noise: generator.stem.weight: 512x138 here, 256x138 there" in found.out
    assert "because of other size (32x32 here, 8x8 there)" in found.out
    assert not list(Path().glob("runs/*"))


def test_weights_of_the_zoo_start_a_training_on_data_without_classes(run_cli) -> None:
    made = run_cli("train", "digits", "--only-class", 9, "--from", "quick/digits", "--rounds", 1, "--out", "r", *SMALL)
    assert made.code == 0, made.err
    assert "discriminator: starts from noise, since quick/digits comes without one\n" in made.err
    recipe = tomllib.loads(Path("r/recipe.toml").read_text())
    assert (recipe["latent"]["classes"], recipe["objective"]["name"]) == (0, "adversarial")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["digits", "--freeze-d", "2"],
            "--freeze-d 2 keeps layers of trained weights, and there are none",
            "add --from MODEL",
        ),
        (
            ["--resume", "r", "--from", "quick/digits"],
            "--from quick/digits and --resume exclude each other: a run that is resumed has weights of its own",
            "leave out --from, or start a new run without --resume",
        ),
        (
            ["digits", "--from", "quick/digits", "--model", "pictures"],
            "no layer of quick/digits fits the generator of 'pictures': another architecture (fastgan here, dcgan "
            "there)",
            "leave out --model to train networks like those of quick/digits",
        ),
        (
            ["digits", "--from", "quick/digits", "--freeze-d", "1"],
            "there are no weights of a discriminator beside quick/digits, so no layer of it can be frozen",
            "leave out --freeze-d",
        ),
        (["digits", "--from", "quick/digit"], "no model is called 'quick/digit'", "did you mean 'quick/digits'?"),
        (
            ["sine", "--from", "quick/digits"],
            "'quick' makes images, and sine holds numbers",
            "leave out --from, or give a perceptron a linear output: --model gan --set "
            "networks.generator.output=linear",
        ),
    ],
)
def test_what_cannot_start_is_refused_before_any_training(run_cli, arguments, message: str, hint: str) -> None:
    result = run_cli("train", *arguments)
    assert result.code == 2
    assert f"error: {message}\n\nhint: {hint}" in result.err
    assert not Path("runs").exists()
