"""Run folders after what happens to machines: full disks, lost folders, wrong clocks, numbers that are none."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tiny import CPU, Silent, dataset, run, tiny

from gancli import catalog, checkpoint, recipe
from gancli.errors import GancliError, UsageError
from gancli.lock import FILE, Taken, holder
from gancli.training import memory
from gancli.training.health import KEY
from gancli.training.metrics import read_metrics
from gancli.training.run import CANDIDATE_FILE, HEALTHY_FILE, Diverged, Interrupted, Run, stored_recipe
from gancli.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
SMALL = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4", "--set", "training.batch=12"]
SMALL += ["--set", "networks.generator.dense=8", "--set", "networks.discriminator.dense=8", "--set", "latent.dim=6"]
SMALL += ["--set", "training.samples=4", "--precision", "fp32", "--device", "cpu"]
ROUNDS = 100  # of which the sixty grids leave out some, such as 90 and 91
WHOLE = ["train", "digits", "--rounds", ROUNDS, *SMALL]


def tensors(folder: Path) -> dict[str, str]:
    """Digests of what a run ends as."""
    names = (catalog.STATE_FILE, catalog.MODEL_FILE)
    found = {name: checkpoint.digest(checkpoint.read(folder / name)[0]) for name in names}
    return found | {"recipe": (folder / "recipe.toml").read_text()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the command of these tests ends as."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole") / "r"
    made = recipe.parse(recipe.override(_table(), [word for word in SMALL if "=" in word]))
    made = made.with_values(data={"size": [8, 8], "channels": 1}, latent={"classes": 10})
    Run(folder, made, dataset(made), CPU).train(Silent())
    torch.set_num_threads(before)
    return tensors(folder)


def _table() -> dict[str, object]:
    table = recipe.for_data(catalog.recipe_table("quick"), "digits", labelled=True)
    fixed = {"rounds": ROUNDS, "budget": f"{ROUNDS} rounds", "precision": "fp32"}
    return recipe.merge(table, {"training": fixed})


def at_round(monkeypatch: pytest.MonkeyPatch, number: int, happens: Callable[[], None]) -> None:
    """Let something happen once, right after a round."""
    real, done = Trainer.round, []

    def disturbed(self: Trainer) -> None:
        real(self)
        if self.rounds == number and not done:
            done.append(number)
            happens()

    monkeypatch.setattr(Trainer, "round", disturbed)


# A full disk.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.faults import small_disk

    folder = tmp_path / "disk"
    with small_disk(folder, "2m") as reason:
        if reason:
            pytest.skip(reason)
        yield folder


def fill(disk: Path, spare: int) -> None:
    from benchmarks.faults import fill

    fill(disk / "filler", spare)


def almost_at_the_end_of_a_page(metrics: Path) -> None:
    """Blanks, so that of the next line the first bytes have room and the others need a page more."""
    with metrics.open("a") as file:
        file.write(" " * (-metrics.stat().st_size % 4096 - 30))


@pytest.mark.parametrize(
    ("what", "save_every", "round_", "spare"),
    [
        ("state.safetensors", 0, 90, 40_960),
        ("model.safetensors", 0, 90, 0),
        ("samples", 1e9, 1, 0),
        ("metrics.jsonl", 0, 90, 0),
    ],
)
def test_a_full_disk_ends_a_training_with_one_error_and_the_last_state(
    run_cli, monkeypatch, disk: Path, undisturbed, what: str, save_every: float, round_: int, spare: int
) -> None:
    command = [*WHOLE, "--out", disk / "r", "--save-every", save_every]

    def happens() -> None:
        if what == "metrics.jsonl":
            almost_at_the_end_of_a_page(disk / "r" / what)
        fill(disk, spare)

    with monkeypatch.context() as patched:
        at_round(patched, round_, happens)
        stopped = run_cli(*command)
    kept = 0 if save_every else round_ - 1
    assert stopped.code == 1
    assert "Traceback" not in stopped.err
    (error,) = [line for line in stopped.err.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: no space left on device: ") or what == "samples"
    assert error.endswith(f"{disk / 'r'} holds the state of round {kept}")
    hint = f"\n\nhint: make room on the disk, then go on with `gancli train --resume {disk / 'r'}`\n"
    assert stopped.err.endswith(hint)
    checkpoint.read(disk / "r" / catalog.STATE_FILE)
    checkpoint.read(disk / "r" / catalog.MODEL_FILE)
    assert not list((disk / "r").rglob("*.part"))
    if what == "metrics.jsonl":
        last = (disk / "r" / what).read_text().splitlines()[-1].strip()
        assert last.startswith('{"round": 90')
        with pytest.raises(ValueError, match=r"."):
            json.loads(last)
    (disk / "filler").unlink()
    assert run_cli(*command, "-q").code == 0
    assert tensors(disk / "r") == undisturbed


def test_a_full_disk_while_the_folder_is_made_leaves_none(run_cli, disk: Path) -> None:
    fill(disk, 20_480)
    refused = run_cli(*WHOLE, "--out", disk / "r")
    assert refused.code == 1
    assert refused.err.startswith("error: no space left on device: ")
    assert [path.name for path in disk.iterdir()] == ["filler"]


# A folder that is not there any more.


def test_a_removed_folder_is_told_and_not_made_anew(run_cli, home: Path, monkeypatch) -> None:
    at_round(monkeypatch, 40, lambda: shutil.rmtree(home / "r"))
    result = run_cli(*WHOLE, "--out", "r", "--save-every", 0)
    assert result.code == 1
    assert result.err.endswith(
        "error: r was removed or renamed while it was trained in\n\n"
        "hint: if it has another name now, `gancli train --resume NAME` goes on; otherwise start it again\n"
    )
    assert not (home / "r").exists()


def test_what_a_killed_maker_left_is_taken_over(tmp_path) -> None:
    (tmp_path / ".r.new" / "samples").mkdir(parents=True)
    for name in (FILE, "state.safetensors", ".recipe.toml.0123.part", "samples/00000001.png"):
        (tmp_path / ".r.new" / name).write_bytes(b"half")
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert {path.name for path in (tmp_path / "r" / "samples").iterdir()} == {f"{n:08d}.png" for n in (1, 2, 3)}


# Two at once.


def test_two_trainings_of_one_folder(tmp_path) -> None:
    one = run(tmp_path / "r", tiny(3))
    with pytest.raises(Taken, match=f"r is being trained by process {os.getpid()} on "):
        run(tmp_path / "r", tiny(3))
    one.train(Silent())
    assert holder(tmp_path / "r") is None
    assert run(tmp_path / "r", tiny(3)).finished


def test_two_that_make_one_folder(tmp_path, monkeypatch) -> None:
    """The second comes while the first one is making it, and is refused before it builds a network."""
    refused: list[Taken] = []

    def second() -> None:
        with pytest.raises(Taken) as error:
            Run(tmp_path / "r", tiny(3), dataset(tiny(3)), CPU)
        refused.append(error.value)

    real = Run._create
    monkeypatch.setattr(Run, "_create", lambda self: (second(), real(self)))
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert refused[0].message.startswith(f"{tmp_path / 'r'} is being trained by process ")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_a_training_that_fails_to_begin_leaves_nothing(tmp_path, monkeypatch) -> None:
    def fail(self: Run) -> None:
        raise OSError("no")

    monkeypatch.setattr(Run, "_create", fail)
    with pytest.raises(OSError, match="no"):
        run(tmp_path / "r", tiny(3))
    assert not list(tmp_path.iterdir())


def test_a_bare_resume_leaves_a_running_training_alone(run_cli, home: Path) -> None:
    running = run(home / "runs" / "r", tiny(3))
    refused = run_cli("train", "--resume")
    assert refused.code == 2
    assert refused.err.startswith(
        "error: there is no unfinished run in runs/ but what is being trained just now\n\nhint: name one"
    )
    running.train(Silent())


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr("gancli.lock._lock", refuse)
    one = run(tmp_path / "r", tiny(3))
    assert one.note == "this file system cannot lock: see that nobody else trains here"
    one.train(Silent())


# Clocks.


def test_a_jumping_clock_changes_nothing(tmp_path, monkeypatch) -> None:
    run(tmp_path / "whole", tiny(40)).train(Silent())
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (-1) ** next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 * (-1) ** next(jumps))
    count = iter(range(10**9))
    with pytest.raises(Interrupted):
        Run(tmp_path / "r", tiny(40), dataset(tiny(40)), CPU, save_every=0).train(Silent(), lambda: next(count) == 20)
    for path in (tmp_path / "r").rglob("*"):
        os.utime(path, (0, 0) if path.suffix == ".safetensors" else (4e9, 4e9))
    run(tmp_path / "r", tiny(40)).train(Silent())
    assert tensors(tmp_path / "r") == tensors(tmp_path / "whole")
    assert all(row["seconds"] >= 0 for row in read_metrics(tmp_path / "r" / "metrics.jsonl"))


@pytest.mark.parametrize("path", sorted((ROOT / "gancli" / "training").rglob("*.py")), ids=lambda path: path.name)
def test_no_training_asks_what_time_it_is(path: Path) -> None:
    text = path.read_text()
    assert not any(word in text for word in ("time.time", "datetime", "strftime", "st_mtime", "getmtime"))


# Numbers that are none.


def test_what_a_diverged_training_leaves_is_finite_and_goes_on(run_cli, home: Path, monkeypatch) -> None:
    """The discriminator's weights are lost halfway, and saving after every round keeps none of that."""
    real = Trainer.round

    def lost(self: Trainer) -> None:
        real(self)
        if self.rounds == 50:
            with torch.no_grad():
                next(self.networks["discriminator"].parameters()).fill_(float("nan"))

    monkeypatch.setattr(Trainer, "round", lost)
    stopped = run_cli(*WHOLE, "--out", "r", "--save-every", 0)
    assert stopped.code == 1
    assert "error: training diverged: " in stopped.err
    assert "r holds the last healthy state" in stopped.err
    kept, header = checkpoint.read(home / "r" / catalog.STATE_FILE)
    assert header["rounds"] == 49
    assert all(torch.isfinite(value).all() for value in kept.values())
    monkeypatch.setattr(Trainer, "round", real)
    assert run_cli("train", "--resume", "r", "-q").code == 0
    assert read_metrics(home / "r" / "metrics.jsonl")[-1]["round"] == ROUNDS


def test_killed_between_going_back_and_forgetting_the_undone_course(tmp_path) -> None:
    """A candidate of the course that was given up must never become the state to go back to."""
    made = tiny(60, training={"on_collapse": "rollback"})
    one = run(tmp_path / "r", made)
    with pytest.raises(Interrupted):
        one.train(Silent(), lambda: one.trainer.rounds == 5)
    assert (tmp_path / "r" / CANDIDATE_FILE).exists()
    assert (tmp_path / "r" / HEALTHY_FILE).exists()
    run(tmp_path / "r", made)
    assert (tmp_path / "r" / CANDIDATE_FILE).exists()  # of the same course
    state = tmp_path / "r" / catalog.STATE_FILE
    kept, header = checkpoint.read(state)
    back = {"from": 9, "to": 5, "because": "oscillation", "text": "x"}
    checkpoint.write(state, kept, {**header, "rollbacks": [back]})
    run(tmp_path / "r", made)
    assert not (tmp_path / "r" / CANDIDATE_FILE).exists()


def test_killed_between_the_last_state_and_its_model(tmp_path) -> None:
    """As an earlier version could leave it: the state is finished, the model is not."""
    run(tmp_path / "r", tiny(3)).train(Silent())
    whole = tensors(tmp_path / "r")
    path = tmp_path / "r" / catalog.MODEL_FILE
    kept, header = checkpoint.read(path)
    checkpoint.write(path, {name: value + 1 for name, value in kept.items()}, {**header, "rounds": 2})
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert tensors(tmp_path / "r") == whole
    path.unlink()
    run(tmp_path / "r", tiny(3)).train(Silent())
    assert tensors(tmp_path / "r") == whole


# Runs of other versions.


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    """Change the tables of a stored recipe."""
    import tomli_w

    table = recipe.read(folder / "recipe.toml")
    change(table)
    (folder / "recipe.toml").write_text(tomli_w.dumps(table))


def of_version(folder: Path, version: str) -> None:
    """Let a state say that another version made it."""
    kept, header = checkpoint.read(folder / catalog.STATE_FILE)
    checkpoint.write(folder / catalog.STATE_FILE, kept, {**header, "gancli": version})


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
        for key in ("on_collapse", "rate_decay", "columns"):
            table["training"].pop(key, None)
        table["data"].pop("paired")
        table["optimizer"]["generator"].pop("decay")

    edit(old, forget)
    assert (old / "recipe.toml").read_text() != whole
    assert run_cli("train", "--resume", old, "-q").code == 0
    assert (old / "recipe.toml").read_text() == whole
    run(tmp_path / "other", tiny(5)).train(Silent())
    assert tensors(old) == tensors(tmp_path / "other")


def test_a_lost_recipe_is_in_the_state(old: Path, run_cli) -> None:
    whole = (old / "recipe.toml").read_text()
    (old / "recipe.toml").unlink()
    assert run_cli("train", "--resume", old, "-q").code == 0
    assert (old / "recipe.toml").read_text() == whole


FOREIGN = {
    "an unknown key": (
        lambda table: table["training"].update(lookahead=3),
        "training.lookahead = 3: unknown key",
    ),
    "a format of the future": (
        lambda table: table.update(format=2),
        "the recipe has the format 2, and this version of gancli reads 1",
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
    before.pop(old / catalog.STATE_FILE)
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize(("number", "hint"), [(2, "bring gancli up to date"), (None, "start a new run with another")])
def test_a_state_of_another_format(old: Path, number: int | None, hint: str) -> None:
    kept, header = checkpoint.read(old / catalog.STATE_FILE)
    checkpoint.write(old / catalog.STATE_FILE, kept, {**header, "format": number})
    with pytest.raises(GancliError, match=f"has the format {number}, and this is gancli") as refused:
        run(old, tiny(5))
    assert refused.value.hint.startswith(hint)
    assert holder(old) is None


def test_neither_recipe_nor_state_say_what_it_was(old: Path) -> None:
    kept, header = checkpoint.read(old / catalog.STATE_FILE)
    header.pop("recipe")
    checkpoint.write(old / catalog.STATE_FILE, kept, header)
    (old / "recipe.toml").unlink()
    with pytest.raises(GancliError, match=r"has no recipe\.toml, nor does its state say"):
        stored_recipe(old)
    with pytest.raises(UsageError, match="is not a run"):
        stored_recipe(old.parent)


# Models on the way.


def snapshots(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / "snapshots").glob("*"))


def test_the_last_models_are_kept_and_nothing_else_changes(run_cli, home: Path, undisturbed) -> None:
    made = run_cli(*WHOLE, "--out", "r", "--keep", 3)
    assert made.code == 0
    assert made.out.splitlines()[-1] == "r/snapshots  models on the way, by the numbers of their sample grids"
    kept = snapshots(home / "r")
    assert kept == sorted(int(path.stem) for path in (home / "r/samples").glob("*.png"))[-3:]
    assert tensors(home / "r") == undisturbed
    last = home / f"r/snapshots/{ROUNDS:08d}.safetensors"
    assert last.read_bytes() == (home / "r/model.safetensors").read_bytes()
    assert checkpoint.read_header(home / f"r/snapshots/{kept[0]:08d}.safetensors")["rounds"] == kept[0]
    assert catalog.label(last) == f"r/{ROUNDS:08d}"
    assert run_cli("sample", f"r/snapshots/{kept[0]:08d}.safetensors", "-n", 4, "--out", "x.png").code == 0


def test_how_many_are_kept_is_remembered(tmp_path) -> None:
    one = Run(tmp_path / "r", tiny(9), dataset(tiny(9)), CPU, keep=2)
    with pytest.raises(Interrupted):
        one.train(Silent(), lambda: one.trainer.rounds == 5)
    assert snapshots(tmp_path / "r") == [4, 5]
    rest = run(tmp_path / "r", tiny(9))
    assert rest.keep == 2
    rest.train(Silent())
    assert snapshots(tmp_path / "r") == [8, 9]
    assert Run(tmp_path / "r", tiny(9), dataset(tiny(9)), CPU, keep=0).keep == 0


def test_an_older_model_goes_only_when_the_newer_is_whole(tmp_path, monkeypatch) -> None:
    one = Run(tmp_path / "r", tiny(9), dataset(tiny(9)), CPU, save_every=1e9, keep=1)
    real = checkpoint.write

    def full(path: Path, *what: object) -> None:
        if path.name == "00000006.safetensors":
            raise OSError(28, "No space left on device", str(path))
        real(path, *what)

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
                one.trainer.published.requires_grad_(False)
                for parameter in one.trainer.published.parameters():
                    parameter.fill_(float("inf"))
        return False

    with pytest.raises(Diverged):
        one.train(Silent(), poison)
    assert snapshots(tmp_path / "r") == [5]


# Memory.

HUNGRY = """
import resource, sys
import torch, torch._dynamo
import gancli.training.run
from gancli.cli import main
torch.set_num_threads(1)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (400 << 20),) * 2)
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_batch_too_large_for_the_memory_is_answered_with_one_that_fits(home: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-c",
        HUNGRY,
        "train",
        "digits",
        "--model",
        "dcgan",
        "--precision",
        "fp32",
        "--rounds",
        "2",
    ]
    command += ["--device", "cpu", "--set", "training.samples=4"]

    def tried(batch: str) -> subprocess.CompletedProcess[str]:
        words = [*command, "--set", f"training.batch={batch}", "--out", f"r{batch}"]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)

    refused = tried("65536")
    assert refused.returncode == 1, refused.stderr
    assert "Traceback" not in refused.stderr
    start, _, rest = refused.stderr.partition("hint: start a new run with --set training.batch=")
    assert start.endswith("error: the memory of cpu is too small for a batch of 65,536\n\n"), refused.stderr
    batch, _, rest = rest.partition(" ")
    assert rest == "(by what a small batch takes, it fits); a run that is there keeps its batch\n"
    assert 8 <= int(batch) < 65536
    fits = tried(batch)
    assert fits.returncode == 0, fits.stderr


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=["python", "cuda", "cpu", "mps", "c++"],
)
def test_half_of_the_batch_where_nobody_knows_the_memory(monkeypatch, error: Exception) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: None)
    made = tiny(3)
    with pytest.raises(memory.OutOfMemory) as told, memory.suggesting(made, dataset(made), CPU):
        raise error
    assert told.value.message == "the memory of cpu is too small for a batch of 12"
    assert told.value.hint == (
        "start a new run with --set training.batch=6 (it is half of that); a run that is there keeps its batch"
    )
    assert told.value.exit_code == 1


def test_not_even_two_fit(monkeypatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    made = tiny(3)
    with pytest.raises(memory.OutOfMemory) as told, memory.suggesting(made, dataset(made), CPU):
        raise MemoryError
    assert told.value.hint.startswith("not even a batch of 2 fits")


def test_another_fault_is_no_lack_of_memory() -> None:
    made = tiny(3)
    with pytest.raises(RuntimeError, match="shapes"), memory.suggesting(made, dataset(made), CPU):
        raise RuntimeError("shapes cannot be multiplied")


def test_a_half_written_line_does_not_disturb_who_reads_on(run_cli, old: Path) -> None:
    with (old / "metrics.jsonl").open("ab") as file:
        file.write(b'{"round": 3, "images": 36, "loss/gen\xc3')
    assert run_cli("doctor", old).code == 0
    assert run_cli("train", "--resume", old, "-q").code == 0
    rows = read_metrics(old / "metrics.jsonl")
    assert [row["round"] for row in rows if KEY in row] == [1, 2, 3, 4, 5]
    assert all(json.loads(line) for line in (old / "metrics.jsonl").read_text().splitlines())
