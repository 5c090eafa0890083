"""Run folders: whole at every moment, and the same bytes whatever happened on the way."""

import json
import tomllib
from typing import Any

import pytest
import torch
from PIL import Image, ImageSequence
from tiny import CPU, Silent, run, tiny
from torch import Tensor

from gancli import checkpoint
from gancli.data import load
from gancli.errors import GancliError, UsageError
from gancli.processes import World
from gancli.runs.metrics_log import read_metrics
from gancli.runs.previews import shrunk
from gancli.runs.run import Interrupted, Run
from gancli.runs.state import stored_recipe

MADE = {"losses.png", "metrics.jsonl", "model.safetensors", "recipe.toml", "samples", "samples.png", "training.gif"}
MADE |= {"discriminator.safetensors", "state.safetensors"}


@pytest.mark.plots
def test_a_run_leaves_everything_it_promises(tmp_path) -> None:
    reporter = Silent()
    run(tmp_path / "r", tiny(12)).train(reporter)
    assert {path.name for path in (tmp_path / "r").iterdir()} == MADE
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    rows = read_metrics(tmp_path / "r" / "metrics.jsonl")
    assert rows == reporter.rows
    assert rows[-1]["round"] == 12
    assert rows[-1]["images"] == 12 * 12
    assert {"loss/discriminator", "loss/generator", "probability/real", "probability/fake"} <= set(rows[-1])
    header = checkpoint.read_header(tmp_path / "r" / "model.safetensors")
    assert header["dataset"]["name"] == "digits"
    assert header["recipe"] == tomllib.loads((tmp_path / "r" / "recipe.toml").read_text())
    assert header["images"] == 144
    assert header["ema"] is True
    with Image.open(tmp_path / "r" / "training.gif") as animation:
        played = sum(frame.info["duration"] for frame in ImageSequence.Iterator(animation))
    assert played == 100 * len(list((tmp_path / "r/samples").iterdir()))  # equal pictures in a row may be one frame
    for name in ("samples.png", "losses.png"):
        with Image.open(tmp_path / "r" / name) as picture:
            assert min(picture.size) > 100


def test_stopped_and_resumed_is_the_same_as_undisturbed(tmp_path) -> None:
    run(tmp_path / "whole", tiny(9)).train(Silent())
    count = 0

    def stop() -> bool:
        nonlocal count
        count += 1
        return count == 4

    with pytest.raises(Interrupted):
        run(tmp_path / "parts", tiny(9)).train(Silent(), stop)
    assert checkpoint.read_header(tmp_path / "parts" / "model.safetensors")["rounds"] == 4
    rest = run(tmp_path / "parts", tiny(9))
    assert rest.resumed
    assert rest.trainer.rounds == 4
    rest.train(Silent())
    for name in ("model.safetensors", "samples.png", "training.gif"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    rounds = [row["round"] for row in read_metrics(tmp_path / "parts" / "metrics.jsonl")]
    assert rounds == sorted(set(rounds))


def test_what_was_written_after_the_saved_state_is_forgotten(tmp_path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path / "r", tiny(9)).train(Silent(), lambda: True)
    metrics = tmp_path / "r" / "metrics.jsonl"
    with metrics.open("a") as file:
        file.write(json.dumps({"round": 7, "images": 84}) + '\n{"round": 8, "ima')
    (tmp_path / "r" / "samples" / "00000007.png").write_bytes(b"x")
    run(tmp_path / "r", tiny(9))
    assert [row["round"] for row in read_metrics(metrics)] == [1]
    assert [path.name for path in (tmp_path / "r" / "samples").iterdir()] == ["00000001.png"]


def test_a_folder_that_is_no_run_is_left_alone(tmp_path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.txt").write_text("three years")
    with pytest.raises(UsageError) as refused:
        run(tmp_path / "r", tiny())
    assert refused.value.message == f"{tmp_path / 'r'} exists and is not a run"
    assert refused.value.hint == "name a new folder with `out`"
    assert (tmp_path / "r" / "thesis.txt").read_text() == "three years"
    assert len(list(tmp_path.iterdir())) == 1


def test_divergence_keeps_the_last_healthy_state(tmp_path) -> None:
    one = run(tmp_path / "r", tiny(50))
    before = (tmp_path / "r" / "state.safetensors").read_bytes()
    with torch.no_grad():
        next(one.trainer.generator.parameters()).fill_(float("nan"))
    with pytest.raises(GancliError) as stopped:
        one.train(Silent(), lambda: True)
    assert stopped.value.message == (
        f"training diverged: loss/discriminator is nan in round 1; {tmp_path / 'r'} holds the last healthy state"
    )
    assert (tmp_path / "r" / "state.safetensors").read_bytes() == before


def test_other_data_is_refused(tmp_path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path / "r", tiny()).train(Silent(), lambda: True)
    path = tmp_path / "r" / "state.safetensors"
    tensors, header = checkpoint.read(path)
    header["dataset"]["fingerprint"] = "0" * 64
    for images, classes, change in (
        (40, list("0123456789"), "40 images then, 1442 now"),
        (1442, ["a", "b"], "classes a, b then, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 now"),
        (1442, list("0123456789"), "1442 images as then, but other pixels or labels"),
    ):
        header["dataset"] |= {"images": images, "classes": classes}
        checkpoint.write(path, tensors, header)
        with pytest.raises(UsageError, match=f"the data set 'digits' is not the one that .* was trained on: {change}"):
            run(tmp_path / "r", tiny())


def test_a_state_that_does_not_fit_its_recipe(tmp_path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path / "r", tiny()).train(Silent(), lambda: True)
    with pytest.raises(GancliError, match=r"state\.safetensors does not fit its recipe"):
        run(tmp_path / "r", tiny(networks={"generator": {"width": 5}}))


def test_the_stored_recipe_is_the_resolved_one(tmp_path) -> None:
    made = tiny()
    run(tmp_path / "r", made)
    assert stored_recipe(tmp_path / "r") == made
    with pytest.raises(UsageError, match="is not a run: it has no state"):
        stored_recipe(tmp_path)


def test_weights_that_are_no_numbers_are_never_saved(tmp_path) -> None:
    one = run(tmp_path / "r", tiny(50))
    before = (tmp_path / "r" / "state.safetensors").read_bytes()
    with torch.no_grad():
        next(one.trainer.sampled.parameters()).fill_(float("inf"))
    with pytest.raises(GancliError, match=r"ema\.generator\..* is not finite"):
        one.files.save()
    assert (tmp_path / "r" / "state.safetensors").read_bytes() == before


def test_a_finished_run_makes_missing_pictures_and_nothing_else(tmp_path) -> None:
    run(tmp_path / "r", tiny(3)).train(Silent())
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir() if path.is_file()}
    for name in ("samples.png", "training.gif"):
        (tmp_path / "r" / name).unlink()
    again = run(tmp_path / "r", tiny(3))
    assert again.finished
    again.train(Silent())
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir() if path.is_file()} == before


def test_large_images_make_frames_that_fit(tmp_path) -> None:
    images = torch.randint(0, 256, (64, 3, 300, 200), dtype=torch.uint8)
    assert shrunk(images, 1024).shape == (64, 3, 128, 85)
    assert shrunk(images, 4096) is images


def test_every_save_has_a_row_with_a_rate(tmp_path) -> None:
    one = Run(tmp_path / "r", tiny(4), load("digits"), CPU, save_every=0)
    reporter = Silent()
    one.train(reporter)
    assert [row["round"] for row in reporter.rows] == [1, 2, 3, 4]
    assert all(row["images_per_second"] > 0 for row in reporter.rows)


def test_leftovers_of_a_killed_process_are_swept(tmp_path) -> None:
    run(tmp_path / "r", tiny())
    (tmp_path / "r" / "snapshots").mkdir()
    for name in (
        ".state.safetensors.0123.part",
        ".tmpFieHce",
        "samples/.00000001.png.0123.part",
        "snapshots/.tmpAbCdEf",
    ):
        (tmp_path / "r" / name).write_bytes(b"half")
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert not list((tmp_path / "r").rglob(".*"))


def test_going_on_with_other_threads_is_said(tmp_path) -> None:
    run(tmp_path / "r", tiny())
    torch.set_num_threads(2)
    note = run(tmp_path / "r", tiny()).note
    assert note == ("saved on cpu with 1 threads, resuming on cpu with 2: from here on results differ by rounding")


@pytest.mark.parametrize("damage", ["dataset", "seconds", "state"])
def test_a_forged_state_is_refused(tmp_path, damage: str) -> None:
    run(tmp_path / "r", tiny())
    path = tmp_path / "r" / "state.safetensors"
    tensors, header = checkpoint.read(path)
    checkpoint.write(path, tensors, {**header, damage: ["x"]})
    with pytest.raises(GancliError, match="does not fit its recipe"):
        run(tmp_path / "r", tiny())


def test_the_discriminator_beside_the_model(tmp_path) -> None:
    from gancli.model import discriminator_of, load

    made = run(tmp_path / "r", tiny(2))
    made.train(Silent())
    model = load(tmp_path / "r", device="cpu")
    found = discriminator_of(model)
    images = model.generator(**model.latent.from_seeds(range(5)))
    made.trainer.networks["discriminator"].eval()
    assert torch.equal(found(images), made.trainer.networks["discriminator"](images))
    assert not any(parameter.requires_grad for parameter in found.parameters())
    assert discriminator_of(load("quick/digits", device="cpu")) is None
    run(tmp_path / "other", tiny(3)).train(Silent())
    (tmp_path / "other" / "discriminator.safetensors").replace(tmp_path / "r" / "discriminator.safetensors")
    with pytest.raises(GancliError, match=r"no discriminator of this model: it was not trained with model.safetensors"):
        discriminator_of(model)
    checkpoint.write(tmp_path / "r" / "discriminator.safetensors", {}, {**model.header, "kind": "discriminator"})
    with pytest.raises(
        GancliError, match=r"no discriminator of this model: its tensor .discriminator\.body.* does not fit"
    ):
        discriminator_of(model)
    (tmp_path / "r" / "discriminator.safetensors").unlink()
    assert discriminator_of(model) is None


def test_going_on_on_another_kind_of_device(tmp_path) -> None:
    """Its generators keep another state: what this one cannot read must not end the run."""
    whole = run(tmp_path / "r", tiny(4))
    with pytest.raises(Interrupted):
        whole.train(Silent(), lambda: True)
    path = tmp_path / "r" / "state.safetensors"
    tensors, header = checkpoint.read(path)
    (noise,) = [name for name in tensors if name.endswith("noise")]
    checkpoint.write(path, {**tensors, noise: torch.zeros(16, dtype=torch.uint8)}, {**header, "device": "cuda"})

    def drawn() -> tuple[str | None, Tensor]:
        one = run(tmp_path / "r", tiny(4))
        one.trainer.round()
        return one.note, one.trainer.noise.get_state()

    (note, state), (_, same) = drawn(), drawn()
    assert note == "saved on cuda with 1 threads, resuming on cpu with 1: from here on other random numbers are drawn"
    assert torch.equal(state, same)
    assert not torch.equal(state, whole.trainer.noise.get_state())


def test_one_of_several_processes_takes_the_first_ones_figures(tmp_path, monkeypatch) -> None:
    class Second(World):
        def broadcast(self, document: Any) -> Any:
            assert document is None
            return {"diversity": 0.25}

    one = run(tmp_path / "r", tiny())
    monkeypatch.setattr(one, "world", Second(1, 2))
    monkeypatch.setattr(one.preview, "images", None)
    assert one._preview(Silent()) == {"diversity": 0.25}
