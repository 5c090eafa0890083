"""Runs that another version of gancli made: gone on with, or refused by name."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import Silent, left, run, tiny

from gancli import checkpoint, recipe
from gancli.errors import GancliError, UsageError
from gancli.lock import holder
from gancli.runs.health import KEY
from gancli.runs.metrics_log import read_metrics
from gancli.runs.run import Interrupted, stored_recipe
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
    from gancli import __version__

    change, message = FOREIGN[name]
    edit(old, change)
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    refused = run_cli("train", "--resume", old)
    assert refused.code == 2
    assert refused.err.startswith(f"error: {old / 'recipe.toml'}: ")
    assert message in refused.err
    hint = f"hint: gancli 0.0.1 made this run and can go on with it; this is gancli {__version__}\n"
    assert refused.err.endswith(hint)
    of_version(old, __version__)
    assert run_cli("train", "--resume", old).err.endswith(
        "hint: correct it, or remove it: the state holds the recipe too\n"
    )
    before.pop(old / catalogue.STATE_FILE)
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(("number", "hint"), [(2, "bring gancli up to date"), (None, "start a new run with another")])
def test_a_state_of_another_format(old: Path, number: int | None, hint: str) -> None:
    kept, header = checkpoint.read(old / catalogue.STATE_FILE)
    checkpoint.write(old / catalogue.STATE_FILE, kept, {**header, "format": number})
    with pytest.raises(GancliError, match=f"has the format {number}, and this is gancli") as refused:
        run(old, tiny(5))
    assert refused.value.hint.startswith(hint)
    assert holder(old) is None


def test_neither_recipe_nor_state_say_what_it_was(old: Path) -> None:
    kept, header = checkpoint.read(old / catalogue.STATE_FILE)
    header.pop("recipe")
    checkpoint.write(old / catalogue.STATE_FILE, kept, header)
    (old / "recipe.toml").unlink()
    with pytest.raises(GancliError, match=r"has no recipe\.toml, nor does its state say"):
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
