"""One way to name a model."""

import json
import os
import re
from pathlib import Path

import pytest

from gancli import checkpoint
from gancli.errors import UsageError
from gancli.zoo import catalogue


def run_folder(path: Path, age: int, rounds: object = 5, published: int = 5) -> Path:
    """A run of five rounds of which so many are done, in its state and in its model."""
    path.mkdir(parents=True)
    for name, done in ((catalogue.STATE_FILE, rounds), (catalogue.MODEL_FILE, published)):
        checkpoint.write(path / name, {}, {"rounds": done, "recipe": {"training": {"rounds": 5}}})
        os.utime(path / name, (1_000_000 - age, 1_000_000 - age))
    return path


def test_names_files_folders_and_nothing(home: Path) -> None:
    old, new = run_folder(home / "runs/old", 50), run_folder(home / "runs/new", 10)
    run_folder(home / "runs/.part", 0)
    assert catalogue.find(None).parent.name == "new"
    assert catalogue.find("runs/old") == Path("runs/old") / catalogue.MODEL_FILE
    assert catalogue.find(str(old / catalogue.MODEL_FILE)) == old / catalogue.MODEL_FILE
    assert catalogue.find("dcgan/mnist") == catalogue.zoo_folder() / "dcgan/mnist.safetensors"
    assert catalogue.label(catalogue.find("dcgan/mnist")) == "dcgan/mnist"
    assert catalogue.label(new / catalogue.MODEL_FILE) == "new"
    assert catalogue.label(new / catalogue.BEST_FILE) == "new/best"
    assert catalogue.label(Path("some/thing.safetensors")) == "thing"


def test_the_newest_unfinished_run(home: Path) -> None:
    run_folder(home / "runs/done", 1)
    run_folder(home / "runs/half", 20, rounds=4)
    (home / "runs/half/samples.png").touch()
    assert catalogue.newest_run(unfinished=True) == Path("runs/half")
    assert catalogue.newest_run() == Path("runs/done")


def test_there_is_no_unfinished_run(home: Path) -> None:
    run_folder(home / "runs/done", 1)
    with pytest.raises(UsageError) as refused:
        catalogue.newest_run(unfinished=True)
    assert (refused.value.message, refused.value.hint) == (
        "there is no unfinished run in runs/",
        "name one, as in `gancli train --resume runs/NAME`, or start one: `gancli train digits`",
    )


def test_finished_is_what_state_and_model_say(home: Path) -> None:
    assert catalogue.is_finished(run_folder(home / "done", 0))
    assert not catalogue.is_finished(run_folder(home / "half", 0, rounds=4))
    assert not catalogue.is_finished(run_folder(home / "model-behind", 0, published=4))
    assert not catalogue.is_finished(run_folder(home / "not-a-number", 0, rounds="5"))
    assert not catalogue.is_finished(run_folder(home / "silent", 0, rounds=None))
    (run_folder(home / "cut", 0) / catalogue.STATE_FILE).write_bytes(b"cut")
    (run_folder(home / "bare", 0) / catalogue.STATE_FILE).unlink()
    for name in ("cut", "bare", "nowhere"):
        assert not catalogue.is_finished(home / name), name


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            None,
            "there is no run in runs/",
            "name a model, as in `gancli sample dcgan/mnist`, or train one: `gancli train digits`",
        ),
        ("dcgan/mnis", "no model is called 'dcgan/mnis'", "did you mean 'dcgan/mnist'?; `gancli zoo list` shows all"),
        (
            "dcgan",
            "no model is called 'dcgan'",
            "one of: dcgan/digits, dcgan/mnist; `gancli zoo list` shows all",
        ),
        (
            "",
            "no model is called ''",
            "`gancli zoo list` shows all",
        ),
        ("/no/such/folder", "there is no file or folder '/no/such/folder'", "`gancli zoo list` shows all"),
        ("x.safetensors", "no such file: x.safetensors", "check the path"),
        ("empty", "empty is a folder without model.safetensors", "name the folder of a training"),
    ],
)
def test_what_nothing_is_called(home: Path, name: str | None, message: str, hint: str) -> None:
    (home / "empty").mkdir()
    (home / catalogue.MODEL_FILE).touch()  # which an empty name, the current folder, must not find
    with pytest.raises(UsageError) as refused:
        catalogue.find(name)
    assert (refused.value.message, refused.value.hint) == (message, hint)


def test_no_header_of_the_zoo_names_a_path_of_the_machine_that_made_it() -> None:
    """Whoever downloads weights would read it."""
    for path in sorted(catalogue.zoo_folder().rglob("*.safetensors")):
        assert not re.search(r'"(/|[A-Z]:\\)', json.dumps(checkpoint.read_header(path))), path
