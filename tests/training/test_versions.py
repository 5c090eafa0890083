"""Runs that another version of gancli made: gone on with, or refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import Silent, left, run, tiny

from gancli import __version__, checkpoint, recipe
from gancli.errors import GancliError, UsageError
from gancli.lock import holder
from gancli.runs.health import KEY
from gancli.runs.metrics_log import read_metrics
from gancli.runs.run import Interrupted
from gancli.runs.state import stored_recipe
from gancli.zoo import catalogue


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    """Change the tables of a stored recipe."""
    import tomli_w

    table = recipe.read(folder / "recipe.toml")
    change(table)
    (folder / "recipe.toml").write_text(tomli_w.dumps(table))


def of_version(folder: Path, version: str) -> None:
    """Let a state say that another version made it."""
    kept, header = checkpoint.read(folder / catalogue.STATE_FILE)
    checkpoint.write(folder / catalogue.STATE_FILE, kept, {**header, "gancli": version})


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run of five rounds that stopped after the second."""
    count = iter(range(9))
    with pytest.raises(Interrupted):
        run(tmp_path / "r", tiny(5)).train(Silent(), lambda: next(count) == 1)
    of_version(tmp_path / "r", "0.0.1")
    return tmp_path / "r"


def test_keys_that_came_later_have_their_defaults_and_are_written_down(old: Path, tmp_path, run_cli) -> None:
    whole = (old / "recipe.toml").read_text()

    def forget(table: dict) -> None:
        table["training"].pop("on_collapse")
        table["data"].pop("paired")
        table["optimizer"]["generator"].pop("decay")

    edit(old, forget)
    assert (old / "recipe.toml").read_text() != whole
    assert run_cli("train", "--resume", old, "-q").code == 0
    assert (old / "recipe.toml").read_text() == whole
    run(tmp_path / "other", tiny(5)).train(Silent())
    assert left(old) == left(tmp_path / "other")


def test_a_lost_recipe_is_in_the_state(old: Path, tmp_path, run_cli) -> None:
    whole = recipe.read(old / "recipe.toml")
    (old / "recipe.toml").unlink()
    assert run_cli("train", "--resume", old, "-q").code == 0
    assert recipe.read(old / "recipe.toml") == whole
    run(tmp_path / "other", tiny(5)).train(Silent())
    (old / "recipe.toml").write_text((tmp_path / "other/recipe.toml").read_text())  # the order of tables is another
    assert left(old) == left(tmp_path / "other")


FOREIGN = {
    "an unknown key": (
        lambda table: table["training"].update(lookahead=3),
        "training.lookahead = 3: unknown key",
    ),
    "a format of the future": (
        lambda table: table.update(format=3),
        "the recipe has the format 3, and this version of gancli reads 2",
    ),
    "an unknown objective": (
        lambda table: table["objective"].update(name="diffusion"),
        "objective.name = 'diffusion'",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_this_version_does_not_know_is_refused_by_name(old: Path, run_cli, name: str) -> None:
    change, message = FOREIGN[name]
    edit(old, change)
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    refused = run_cli("train", "--resume", old)
    assert refused.code == 2
    assert refused.err.startswith(f"error: {old / 'recipe.toml'}: ")
    assert message in refused.err
    hint = f"hint: gancli 0.0.1 made this run and can resume it; this is gancli {__version__}\n"
    assert refused.err.endswith(hint)
    of_version(old, __version__)
    assert run_cli("train", "--resume", old).err.endswith(
        "hint: correct it, or remove it: the state holds the recipe too\n"
    )
    before.pop(old / catalogue.STATE_FILE)
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize("number", [3, None])
def test_a_state_of_another_format(old: Path, number: int | None) -> None:
    kept, header = checkpoint.read(old / catalogue.STATE_FILE)
    checkpoint.write(old / catalogue.STATE_FILE, kept, {**header, "format": number})
    for resume in (lambda: run(old, tiny(5)), lambda: stored_recipe(old)):
        with pytest.raises(GancliError) as refused:
            resume()
        assert refused.value.message == (
            f"{old / catalogue.STATE_FILE}: gancli 0.0.1 wrote it in format {number}, "
            f"and gancli {__version__} resumes format 2"
        )
        assert refused.value.hint == (
            "finish it with gancli 0.0.1, or start a new run with another `out`; its model can still be used"
        )
        assert holder(old) is None


VERSION_0_1 = Path(__file__).parent / "run-0.1"
"""A run that gancli 0.1.0 made and was stopped in: ``gancli train digits --model mlp-gan --rounds 5`` and ``--set
networks.generator.hidden=[2] networks.discriminator.hidden=[2] latent.dim=2 training.batch=4 training.samples=2``."""


def test_a_run_of_version_0_1_is_not_resumed_and_can_still_be_used(run_cli, home: Path) -> None:
    shutil.copytree(VERSION_0_1, home / "r")
    before = {path: path.read_bytes() for path in (home / "r").rglob("*") if path.is_file()}
    for command in (["train", "--resume", "r"], ["train", "digits", "--out", "r"]):
        refused = run_cli(*command)
        assert refused.code == 1
        assert refused.err == (
            f"error: r/state.safetensors: gancli 0.1.0 wrote it in format 1, and gancli {__version__} resumes "
            "format 2\n\nhint: finish it with gancli 0.1.0, or start a new run with another --out; "
            "its model can still be used\n"
        )
    assert {path: path.read_bytes() for path in (home / "r").rglob("*") if path.is_file()} == before
    assert run_cli("sample", "r", "-n", 2, "--out", "x.png").code == 0
    assert run_cli("doctor", "r", "--out", "y.png").out.startswith("r: mlp-gan on digits, 2 of 5 rounds, unfinished\n")


def test_neither_recipe_nor_state_say_what_it_was(old: Path) -> None:
    kept, header = checkpoint.read(old / catalogue.STATE_FILE)
    header.pop("recipe")
    checkpoint.write(old / catalogue.STATE_FILE, kept, header)
    (old / "recipe.toml").unlink()
    with pytest.raises(UsageError, match=r"recipe\.toml: "):
        stored_recipe(old)
    with pytest.raises(UsageError, match="is not a run"):
        stored_recipe(old.parent)


def test_a_half_written_line_does_not_disturb_who_reads_on(run_cli, old: Path) -> None:
    with (old / "metrics.jsonl").open("ab") as file:
        file.write(b'{"round": 3, "images": 36, "loss/gen\xc3')
    assert run_cli("doctor", old).code == 0
    assert run_cli("train", "--resume", old, "-q").code == 0
    rows = read_metrics(old / "metrics.jsonl")
    assert [row["round"] for row in rows if KEY in row] == [1, 2, 3, 4, 5]
    assert all(json.loads(line) for line in (old / "metrics.jsonl").read_text().splitlines())
