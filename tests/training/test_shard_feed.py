"""Training on shards: the order, the parts of several ranks, how much is in memory, and a run that goes on."""

import gc
import json
import sys
import weakref
from collections import Counter
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from conftest_data import noise
from shard_files import digits, grey, serving, shades, tar

from gancli import checkpoint
from gancli.data import load
from gancli.data.shards import index_file
from gancli.data.shards.stream import Stream
from gancli.data.shards.writing import write_shards
from gancli.data.types import ImageSet
from gancli.errors import GancliError
from gancli.processes import World
from gancli.recipe import read
from gancli.runs.state import RunFiles
from gancli.training.shard_batches import WINDOW, ShardBatches, ShardOrder

CPU = torch.device("cpu")
LEVELS = (0.0, 255.0)
"""Limits at which a value is the shade of its image."""


def feed(place: Path, batch: int = 8, seed: int = 0, **options: object) -> ShardBatches:
    stream = load(str(place)).stream
    assert stream is not None
    return ShardBatches(stream, batch, seed, CPU, LEVELS, **options)


def draw(one: ShardBatches, count: int) -> list[int]:
    """The shades of so many batches."""
    return [int(shade) for _ in range(count) for shade in one.next().images[:, 0, 0, 0].tolist()]


# The order


@pytest.mark.parametrize("counts", [[5], [3, 4], [1] * 9, [7, 1, 30, 2, 2, 11, 5, 5, 9]])
@pytest.mark.parametrize("size", [1, 4])
def test_every_image_comes_once_an_epoch(counts, size):
    order, total = ShardOrder(counts, 3, size), sum(counts)
    everything = {(shard, row) for shard, count in enumerate(counts) for row in range(count)}
    for epoch in range(3):
        found = []
        for start in range(epoch * total, (epoch + 1) * total, 6):
            for part in order.take(start, min(6, (epoch + 1) * total - start)):
                assert len(part.window) <= size
                found += [
                    (part.window[number], row)
                    for number, row in zip(part.shards.tolist(), part.rows.tolist(), strict=True)
                ]
        assert len(found) == total
        assert set(found) == everything


def listed(order: ShardOrder, drawn: int, count: int) -> list[tuple[int, int]]:
    parts = list(order.take(drawn, count))
    return [
        (p.window[number], row) for p in parts for number, row in zip(p.shards.tolist(), p.rows.tolist(), strict=True)
    ]


def test_the_order_is_a_function_of_seed_and_position():
    counts = [7, 1, 30, 2, 2, 11, 5, 5, 9]
    whole = listed(ShardOrder(counts, 0), 0, 200)
    for start, count in ((0, 1), (5, 60), (70, 4), (71, 129), (150, 50)):
        assert listed(ShardOrder(counts, 0), start, count) == whole[start : start + count]
    assert whole[:72] != whole[72:144]
    assert listed(ShardOrder(counts, 1), 0, 72) != whole[:72]
    # As it has been since shards are read: runs of before go on.
    assert whole[:6] == [(2, 12), (2, 29), (5, 1), (2, 28), (5, 7), (2, 11)]


def test_images_of_a_window_are_mixed():
    found = [shard for shard, _ in listed(ShardOrder([50] * 8, 0), 0, 200)]
    assert len(set(found)) == WINDOW
    assert min(Counter(found[:100]).values()) > 10


def test_following_windows_are_those_that_come():
    order = ShardOrder([2] * 10, 0)
    parts = list(order.take(0, 60))
    for before, after in pairwise(parts):
        assert before.following == after.window
    assert [len(part.window) for part in parts[:3]] == [4, 4, 2]


# The feed


@pytest.mark.parametrize("labelled", [False, True])
def test_batches_hold_images_and_their_classes(home, labelled):
    everything = shades(home / "s", [5, 7, 3, 9, 4, 6], labelled)
    one = feed(home / "s", batch=5)
    found = []
    while len(found) < 2 * 34:
        batch = one.next()
        assert batch.images.shape == (5, 1, 8, 8)
        assert batch.images.dtype == torch.float32
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        values = batch.images[:, 0, 0, 0].int()
        assert (batch.images == values[:, None, None, None]).all()
        assert (batch.labels is not None) == labelled
        if batch.labels is not None:
            assert torch.equal(batch.labels, values.long() % 3)
        found += values.tolist()
    assert sorted(found[:34]) == sorted(found[34:68]) == everything


def test_a_feed_goes_on_in_the_middle(home):
    shades(home / "s", [5, 7, 3, 9, 4, 6])
    one = feed(home / "s")
    everything = draw(one, 12)
    for drawn in (1, 4, 9):
        later = feed(home / "s")
        later.drawn = drawn * 8
        assert draw(later, 3) == everything[drawn * 8 : drawn * 8 + 24]


@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("mirror", [False, True])
def test_processes_together_draw_what_one_draws(home, size, mirror):
    for number in range(6):
        members = [(f"{n}.png", noise(number * 9 + n)) for n in range(5)]
        tar(home / "s" / f"{number}.tar", *members)
    alone = feed(home / "s", mirror=mirror)
    parts = [feed(home / "s", mirror=mirror, world=World(rank, size)) for rank in range(size)]
    for _ in range(9):
        together = torch.cat([part.next().images for part in parts])
        assert torch.equal(together, alone.next().images)
        assert {part.drawn for part in parts} == {alone.drawn}


def test_a_mirrored_image_is_mirrored_half_of_the_time(home):
    half = torch.cat([torch.zeros(8, 4), torch.full((8, 4), 200.0)], 1)
    file = BytesIO()
    Image.fromarray(half.byte().numpy()).save(file, "PNG")
    tar(home / "s.tar", *((f"{n}.png", file.getvalue()) for n in range(50)))
    left = torch.tensor(draw(feed(home / "s.tar", batch=50, mirror=True), 4))
    assert set(left.tolist()) == {0, 200}
    assert 60 < int((left == 200).sum()) < 140


def test_no_more_than_two_windows_are_in_memory(home, monkeypatch):
    shades(home / "s", [3] * 50)
    alive: weakref.WeakSet[ImageSet] = weakref.WeakSet()
    most, real = [], Stream.get

    class Counted(ImageSet):
        __hash__ = object.__hash__

    def get(self: Stream, number: int, *rest: object) -> ImageSet:
        made = real(self, number, *rest)
        made = Counted(made.images, made.labels, made.classes)
        alive.add(made)
        most.append(len(alive))
        return made

    one = feed(home / "s", batch=5)
    monkeypatch.setattr(Stream, "get", get)
    found = draw(one, 30)
    assert sorted(found) == list(range(150))
    assert len(most) >= 50
    assert max(most) <= 2 * WINDOW
    assert len(one.requested) <= 2 * WINDOW


def test_the_next_window_is_made_while_this_one_is_used(home):
    shades(home / "s", [8] * 12)
    one = feed(home / "s", batch=4)
    one.next()
    for future in one.requested.values():
        future.result(timeout=600)
    assert len(one.requested) == 2 * WINDOW


def test_nobody_waits_for_a_feed_that_is_gone(home):
    shades(home / "s", [4] * 12)
    one = feed(home / "s")
    one.next()
    thread = one.stream._thread
    reader = weakref.ref(one.stream)
    del one
    if thread is not None:
        assert thread.daemon
        thread.join(600)
        assert not thread.is_alive()
    gc.collect()
    assert reader() is None


def test_images_that_cannot_be_read_are_stood_in_for(home):
    members = [(f"{n:02d}.png", grey(n) if n % 4 else b"broken") for n in range(20)]
    tar(home / "s" / "0.tar", *members[:10])
    tar(home / "s" / "1.tar", *members[10:])
    found = Counter(draw(feed(home / "s", batch=5), 4))
    assert set(found) == {n for n in range(20) if n % 4}
    assert found.total() == 20


def test_a_shard_that_failed_is_asked_for_again_when_it_is_needed(home, monkeypatch):
    shades(home / "s", [4] * 12)
    one = feed(home / "s", batch=4)
    real, failed = Stream.get, set()

    def get(self: Stream, number: int, *rest: object) -> ImageSet:
        if number not in failed:
            failed.add(number)
            raise GancliError(f"no shard {number} today")
        return real(self, number, *rest)

    monkeypatch.setattr(Stream, "get", get)
    assert sorted(draw(one, 12)) == list(range(48))
    assert len(failed) == 12
    monkeypatch.setattr(Stream, "get", lambda self, number, *rest: (_ for _ in ()).throw(GancliError("never")))
    with pytest.raises(GancliError, match="never"):
        draw(feed(home / "s"), 1)


# Trainings

SMALL = ["--precision", "fp32", "--set", "training.batch=8", "--set", "training.samples=4"]
SMALL += ["--set", "networks.generator.width=2", "--set", "networks.discriminator.width=2", "--quiet"]


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "state.safetensors")


@pytest.mark.parametrize("again", ["half", "whole"])
def test_a_run_on_shards_goes_on_to_the_bit(home, run_cli, monkeypatch, again):
    """3 + 3 rounds are 6 rounds, in the middle of a shard and of an epoch."""
    write_shards(str(digits(home / "photos")), home / "s", 6)
    command = [
        "train",
        "s/train-{000000..000005}.tar",
        "--model",
        "quick",
        *SMALL,
        "--rounds",
        "6",
        "--save-every",
        "0",
    ]
    done = run_cli(*command, "--out", "whole")
    assert done.code == 0, done.err
    real, rounds = RunFiles.save, []

    def save(self: RunFiles, wait: bool = True) -> None:
        real(self, True)
        rounds.append(self.trainer.rounds)
        if self.trainer.rounds == 3 and self.path.name == "half":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "save", save)
        assert run_cli(*command, "--out", "half").code == 130
    assert rounds[-1] == 3
    resumed = run_cli("train", "--resume", "half", "--quiet") if again == "half" else run_cli(*command, "--out", "half")
    assert resumed.code == 0, resumed.err
    here, there = state(home / "half"), state(home / "whole")
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)
    assert (home / "half" / "model.safetensors").read_bytes() == (home / "whole" / "model.safetensors").read_bytes()


def test_training_on_the_shards_of_the_digits(home, run_cli, monkeypatch):
    assert run_cli("data", "shard", digits(home / "photos"), "--out", "s", "--images-per-shard", "300").code == 0
    done = run_cli("train", "s", "--rounds", "3", *SMALL, "--out", "run")
    assert done.code == 0, done.err
    header = checkpoint.read_header(home / "run" / "model.safetensors")
    assert header["dataset"]["images"] == 1442
    assert header["dataset"]["name"] == header["recipe"]["data"]["name"] == "s"
    assert header["dataset"]["classes"] == [str(digit) for digit in range(10)]
    assert read(home / "run" / "recipe.toml")["data"]["name"] == str(home / "s")
    assert json.loads((home / "s" / "index.json").read_text())["classes"] == header["dataset"]["classes"]
    epochs = run_cli("train", "s", "--epochs", "1", *SMALL, "--set", "training.batch=721", "--out", "epoch")
    assert epochs.code == 0, epochs.err
    assert read(home / "epoch" / "recipe.toml")["training"]["rounds"] * 721 in (721, 1442)
    moved = home / "elsewhere"
    moved.mkdir()
    monkeypatch.chdir(moved)
    assert run_cli("train", "--resume", home / "run").code == 0


def test_a_run_says_when_its_shards_have_changed(home, run_cli):
    shades(home / "s", [8] * 3)
    assert run_cli("train", "s", "--rounds", "2", *SMALL, "--out", "run").code == 0
    shades(home / "s", [8] * 4)
    again = run_cli("train", "s", "--rounds", "2", *SMALL, "--out", "run")
    assert again.code == 2
    assert "the data set 's' is not the one that run was trained on" in again.err


def test_training_by_address(home, run_cli, monkeypatch):
    shades(home / "s", [8] * 6)
    index_file.write_index(home / "s", None, lambda *_: None)
    with serving(monkeypatch) as shelf:
        for path in (home / "s").iterdir():
            shelf.files[path.name] = path.read_bytes()
        shelf.breaks = 1
        name = f"{shelf.url}train-{{000000..000005}}.tar"
        done = run_cli("train", name, "--rounds", "6", *SMALL, "--out", "far")
        assert done.code == 0, done.err
    assert run_cli("train", "s", "--rounds", "6", *SMALL, "--out", "near").code == 0
    far, near = state(home / "far"), state(home / "near")
    assert all(torch.equal(far[key], near[key]) for key in far)


def test_a_server_that_goes_away_ends_the_training_with_a_clear_error(home, run_cli, monkeypatch):
    shades(home / "s", [8] * 6)
    index_file.write_index(home / "s", None, lambda *_: None)
    with serving(monkeypatch) as shelf:
        for number, path in enumerate(sorted((home / "s").iterdir())):
            if number < 3:  # the index and two shards
                shelf.files[path.name] = path.read_bytes()
        done = run_cli("train", f"{shelf.url}train-{{000000..000005}}.tar", "--rounds", "6", *SMALL, "--out", "run")
    assert done.code == 2
    assert "answers 404 Not Found" in done.err
    assert "Traceback" not in done.err
