"""One way to name a model."""

import os
from pathlib import Path

import pytest

from gancli import catalog
from gancli.errors import UsageError


def run_folder(path: Path, age: int, finished: bool = True) -> Path:
    path.mkdir(parents=True)
    file = path / catalog.MODEL_FILE
    file.touch()
    os.utime(file, (1_000_000 - age, 1_000_000 - age))
    if finished:
        (path / "samples.png").touch()
    return path


def test_names_files_folders_and_nothing(home: Path) -> None:
    old, new = run_folder(home / "runs/old", 50), run_folder(home / "runs/new", 10)
    run_folder(home / "runs/.part", 0)
    assert catalog.find(None).parent.name == "new"
    assert catalog.find("runs/old") == Path("runs/old") / catalog.MODEL_FILE
    assert catalog.find(str(old / catalog.MODEL_FILE)) == old / catalog.MODEL_FILE
    assert catalog.find("dcgan/mnist") == catalog.zoo_folder() / "dcgan/mnist.safetensors"
    assert catalog.label(catalog.find("dcgan/mnist")) == "dcgan/mnist"
    assert catalog.label(new / catalog.MODEL_FILE) == "new"
    assert catalog.label(Path("some/thing.safetensors")) == "thing"


def test_the_newest_unfinished_run(home: Path) -> None:
    run_folder(home / "runs/done", 1)
    run_folder(home / "runs/half", 20, finished=False)
    assert catalog.newest_run(unfinished=True) == Path("runs/half")


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
        ("x.safetensors", "no such file: x.safetensors", "check the path"),
        ("empty", "empty is a folder without model.safetensors", "name the folder of a training"),
    ],
)
def test_what_nothing_is_called(home: Path, name: str | None, message: str, hint: str) -> None:
    (home / "empty").mkdir()
    with pytest.raises(UsageError) as refused:
        catalog.find(name)
    assert (refused.value.message, refused.value.hint) == (message, hint)
