"""Models on the way: the last few, by the numbers of their sample grids."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CPU, Silent, dataset, left, run, tiny

from gancli import checkpoint
from gancli.errors import GancliError
from gancli.runs.run import Interrupted, Run
from gancli.zoo import catalogue


def snapshots(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / "snapshots").glob("*"))


def test_the_last_models_are_kept_and_nothing_else_changes(run_cli, tmp_path) -> None:
    run(tmp_path / "whole", tiny(70)).train(Silent())
    Run(tmp_path / "r", tiny(70), dataset(tiny(70)), CPU, keep=3).train(Silent())
    assert left(tmp_path / "r") == left(tmp_path / "whole")
    assert not (tmp_path / "whole/snapshots").exists()
    kept = snapshots(tmp_path / "r")
    assert kept == sorted(int(path.stem) for path in (tmp_path / "r/samples").glob("*.png"))[-3:]
    first, _, last = (tmp_path / f"r/snapshots/{number:08d}.safetensors" for number in kept)
    assert last.read_bytes() == (tmp_path / "r/model.safetensors").read_bytes()
    assert checkpoint.read_header(first)["rounds"] == kept[0] < 70
    assert catalogue.label(last) == "r/00000070"
    assert run_cli("sample", first, "-n", 4, "--out", "x.png").code == 0


def test_they_are_named_at_the_end_of_a_training(run_cli, home: Path) -> None:
    small = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4"]
    made = run_cli("train", "digits", "--rounds", 2, "--out", "r", "--keep", 1, *small)
    assert made.out.splitlines()[-1] == "r/snapshots  earlier models, numbered like the sample grids"
    assert snapshots(home / "r") == [2]


def test_how_many_are_kept_is_remembered(tmp_path) -> None:
    one = Run(tmp_path / "r", tiny(9), dataset(tiny(9)), CPU, keep=2)
    with pytest.raises(Interrupted):
        one.train(Silent(), lambda: one.trainer.rounds == 5)
    assert snapshots(tmp_path / "r") == [4, 5]
    rest = run(tmp_path / "r", tiny(9))
    assert rest.files.keep == 2
    rest.train(Silent())
    assert snapshots(tmp_path / "r") == [8, 9]
    assert Run(tmp_path / "r", tiny(9), dataset(tiny(9)), CPU, keep=0).files.keep == 0


def test_an_older_model_goes_only_when_the_newer_is_whole(tmp_path, monkeypatch) -> None:
    one = Run(tmp_path / "r", tiny(9), dataset(tiny(9)), CPU, save_every=1e9, keep=1)
    real = checkpoint.write

    def full(path: Path, *what: Any, **how: Any) -> None:
        if path.name == "00000006.safetensors":
            raise OSError(28, "No space left on device", str(path))
        real(path, *what, **how)

    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.raises(GancliError, match="no space left on device"):
        one.train(Silent())
    assert snapshots(tmp_path / "r") == [5]
    monkeypatch.setattr(checkpoint, "write", real)
    (tmp_path / "r/snapshots/00000008.safetensors").write_bytes(b"of a course that was given up")
    (tmp_path / "r/snapshots/mine.safetensors").write_bytes(b"named by a person")
    rest = run(tmp_path / "r", tiny(9))
    with pytest.raises(Interrupted):
        rest.train(Silent(), lambda: rest.trainer.rounds == 6)
    assert {path.stem for path in (tmp_path / "r/snapshots").iterdir()} == {"00000006", "mine"}


def test_a_model_of_numbers_that_are_none_is_not_kept(tmp_path) -> None:
    one = Run(tmp_path / "r", tiny(9), dataset(tiny(9)), CPU, save_every=1e9, keep=1)
    done = iter(range(99))

    def poison() -> bool:
        if next(done) == 5:
            with torch.no_grad():
                one.trainer.sampled.requires_grad_(False)
                for parameter in one.trainer.sampled.parameters():
                    parameter.fill_(float("inf"))
        return False

    with pytest.raises(GancliError, match="diverged"):
        one.train(Silent(), poison)
    assert snapshots(tmp_path / "r") == [5]
