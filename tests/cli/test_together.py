"""One command in several processes: one voice, one result, and deaths that end nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import gancli
from benchmarks.processes import free_port
from gancli import processes

SMALL = [
    "--model", "dcgan", "--precision", "fp32", "--set", "training.batch=16", "--set", "training.samples=4",
    "--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4",
]  # fmt: skip
LIMIT = 900
FORKS = Path(__file__).parent / "two_forks.py"


def start(*arguments: object, module: str = "gancli", paths: Sequence[Path] = ()) -> subprocess.Popen[str]:
    found = os.pathsep.join(map(str, [*paths, Path(gancli.__file__).parents[1]]))
    environment = os.environ | {"PYTHONPATH": found, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


ROUNDS = 24
TRAINING = ["train", "digits", *SMALL, "--rounds", ROUNDS, "--save-every", 0.05]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A run by two processes that nothing disturbs, and what they said."""
    folder = tmp_path_factory.mktemp("two") / "run"
    code, out, err = end(start(*TRAINING, "--processes", 2, "--out", folder))
    assert code == 0, err
    return folder, out, err


def test_two_processes_train_as_one_does(two: tuple[Path, str, str], home: Path, run_cli) -> None:
    """Files and words are one's."""
    folder, out, err = two
    assert out.count("model.safetensors") == 1
    assert err.count("in 2 processes") == 1
    assert "Warning" not in err
    assert run_cli(*TRAINING, "-q", "--out", "one").code == 0
    mine, theirs = (load_file(run / "model.safetensors") for run in (Path("one"), folder))
    for name, value in mine.items():
        torch.testing.assert_close(theirs[name], value, atol=0.05, rtol=0.05)
    assert sorted(path.name for path in Path("one").iterdir()) == sorted(path.name for path in folder.iterdir())


SAMPLING = ["sample", "-n", 300, "--out"]
JUDGING = ["evaluate", "-n", 40, "--metrics", "fid", "--json"]
Ended = tuple[int, str, str]
"""Exit code, standard output, standard error."""


def of_two(folder: Path, *commands: Sequence[object]) -> list[Ended]:
    """What commands end as in two processes that are forked where PyTorch is, since to import it takes seconds."""
    if sys.platform == "win32":
        pytest.skip("the processes are forked, as Windows cannot")
    folder.mkdir()
    (folder / "commands.json").write_text(json.dumps([[str(word) for word in words] for words in commands]))
    paths = os.pathsep.join(map(str, sys.path))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, FORKS, folder], env=environment, check=True, timeout=LIMIT)

    def said(number: int, stream: str) -> str:
        return "".join((folder / f"{number}-{rank}.{stream}").read_text() for rank in (0, 1))

    codes = json.loads((folder / "codes.json").read_text())
    return [(code, said(number, "out"), said(number, "err")) for number, code in enumerate(codes)]


@pytest.fixture(scope="module")
def forked(two: tuple[Path, str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Ended]]:
    """A folder, and what three commands ended as there: one that samples, one that evaluates, one that is refused."""
    folder = tmp_path_factory.mktemp("forked")
    refused = ["train", "digits", *SMALL, "--set", "training.batch=7", "--rounds", 2, "--out", folder / "run"]
    return folder, of_two(folder / "said", [*SAMPLING, folder / "2.zip", two[0]], [*JUDGING, two[0]], refused)


def test_images_and_figures_do_not_tell_how_many_made_them(two, forked, home: Path, run_cli) -> None:
    folder, (sampled, (code, out, err), _) = forked
    assert run_cli(*SAMPLING, "1.zip", two[0]).code == 0
    alone = run_cli(*JUDGING, two[0])
    assert (sampled[0], code) == (0, 0), (sampled, err)
    assert Path("1.zip").read_bytes() == (folder / "2.zip").read_bytes()
    assert json.loads(out)["results"] == json.loads(alone.out)["results"]


def test_what_is_refused_is_refused_once(forked) -> None:
    folder, (_, _, (code, _, err)) = forked
    assert code == 2
    assert err.count("error:") == 1
    assert "training.batch = 7 cannot be divided evenly by 2 processes" in err
    assert "training.batch=8" in err
    assert "Traceback" not in err
    assert not (folder / "run").exists()


KILLED = """
import os, signal, time
from pathlib import Path

state = Path("killed/state.safetensors")
if os.environ.get("RANK") == "1" and not state.exists():
    from gancli.training.loop import Trainer

    real = Trainer.round

    def last(self):
        real(self)
        if self.rounds == 12:
            while not state.exists():
                time.sleep(0.01)
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    Trainer.round = last
"""
"""Python runs it when it starts: the second process kills itself after 12 rounds, but not once there is a state."""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")
def test_a_killed_process_is_started_again_and_the_run_ends_as_if_nothing_had_been(
    two: tuple[Path, str, str], home: Path
) -> None:
    (home / "sitecustomize.py").write_text(KILLED)
    code, _, err = end(start(*TRAINING, "-q", "--processes", 2, "--out", "killed", paths=[home]))
    assert code == 0, err
    assert Path("died").exists()
    assert "unexpected error" not in err
    wanted, found = load_file(two[0] / "state.safetensors"), load_file("killed/state.safetensors")
    assert wanted.keys() == found.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_ctrl_c_saves_once_and_says_how_to_go_on(home: Path) -> None:
    training = start("train", "digits", *SMALL, "--rounds", 100000, "--out", "run", "--processes", 2)
    begun = time.monotonic()
    while not Path("run/metrics.jsonl").exists() or not Path("run/metrics.jsonl").read_text().count("\n"):
        assert training.poll() is None
        assert time.monotonic() - begun < LIMIT
        time.sleep(0.05)
    os.killpg(training.pid, signal.SIGINT)  # as a terminal does
    code, _, err = end(training)
    assert code == 130, err
    assert err.count("resume with: `python -m gancli train --resume run`") == 1
    assert "Traceback" not in err
    assert json.loads(Path("run/metrics.jsonl").read_text().splitlines()[-1])["round"] > 0


def test_two_hosts_meet_and_train_what_two_processes_of_one_do(two: tuple[Path, str, str], home: Path) -> None:
    """Two agents of torchrun, each with a process, which know only where to meet."""
    meeting = f"127.0.0.1:{free_port()}"
    agent = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-id", "x", "--rdzv-backend", "c10d"]
    agent += ["--rdzv-endpoint", meeting, "-m", "gancli", *TRAINING, "-q", "--out", "hosts"]
    hosts = [start(*agent, module="torch.distributed.run") for _ in range(2)]
    ends = [end(host) for host in hosts]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert sum("model.safetensors" in out for _, out, _ in ends) == 1
    one, other = load_file("hosts/model.safetensors"), load_file(two[0] / "model.safetensors")
    assert all(torch.equal(other[name], value) for name, value in one.items())


def test_every_long_command_can_have_processes(home: Path, monkeypatch: pytest.MonkeyPatch, run_cli) -> None:
    asked = []
    monkeypatch.setattr(processes, "launch", lambda count, arguments: asked.append((count, arguments)) or 3)
    commands = ["sample quick/digits", "evaluate quick/digits", "train digits --out r"]
    for command in commands:
        assert run_cli(*command.split(), "--processes", 2).code == 3
    assert asked == [(2, [*command.split(), "--processes", "2", "--processes", "1"]) for command in commands]


def test_an_error_of_one_process_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.launcher import api

    def failing(*_arguments: str) -> None:
        assert processes.give_up(2) == (0, True)
        assert processes.give_up(1, final=False) == (0, False)

    monkeypatch.setattr(api, "elastic_launch", lambda _config, _program: failing)
    for name in ("OMP_NUM_THREADS", *processes._SETTINGS):
        monkeypatch.setenv(name, "1")  # restored afterwards
    assert processes.launch(2, []) == 2


def test_a_process_that_is_asked_to_stop_has_time_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.launcher import api

    asked = []

    def launched(config: api.LaunchConfig, _program: str) -> Callable[..., None]:
        asked.append(config.shutdown_timeout)
        return lambda *_: None

    monkeypatch.setattr(api, "elastic_launch", launched)
    for name in ("OMP_NUM_THREADS", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"):
        monkeypatch.setenv(name, "1")  # restored afterwards
    assert processes.launch(2, []) == 0
    assert asked == [100]
