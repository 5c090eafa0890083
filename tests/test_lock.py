"""One process at a time in a folder, whatever becomes of it."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gancli.lock import FILE, HOLDER, Lock, Taken, holder

HOLD = """
import sys
from pathlib import Path
from gancli.lock import Lock
kept = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that holds ``tmp_path``."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.communicate()


def test_the_second_is_told_who_the_first_is(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    host = json.loads((tmp_path / HOLDER).read_text())["host"]
    assert holder(tmp_path) == f"process {other.pid} on {host!r}"
    with pytest.raises(Taken) as refused:
        Lock(tmp_path, Path("runs/x"))
    assert refused.value.message == f"runs/x is being trained by process {other.pid} on {host!r}"
    assert refused.value.hint == "wait for it, or stop it; or train in another folder with `out`"
    assert refused.value.exit_code == 1


def test_a_lock_goes_with_its_holder_and_what_it_left_is_nothing(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / FILE).exists()
    assert holder(tmp_path) is None
    one = Lock(tmp_path)
    assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
    one.release()
    one.release()
    assert not list(tmp_path.iterdir())


def test_asking_for_the_holder_disturbs_nobody(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    assert not list(tmp_path.iterdir())
    one = Lock(tmp_path)
    assert holder(tmp_path) is not None
    assert holder(tmp_path / "nowhere") is None
    one.release()


def test_a_lock_moves_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    one = Lock(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    one.folder = tmp_path / "b"
    with pytest.raises(Taken):
        Lock(tmp_path / "b")
    one.release()
    assert not list((tmp_path / "b").iterdir())


def test_the_file_of_another_is_never_removed(tmp_path: Path) -> None:
    one = Lock(tmp_path)
    (tmp_path / FILE).unlink()  # by somebody who tidies up
    two = Lock(tmp_path)
    one.release()
    assert holder(tmp_path) is not None
    two.release()


@pytest.mark.parametrize("words", ["", "{", "[]", '{"pid": "x"}'])
def test_words_that_say_nothing(tmp_path: Path, words: str) -> None:
    one = Lock(tmp_path)
    (tmp_path / HOLDER).write_text(words)
    assert holder(tmp_path) == "another process"
    one.release()


def test_a_file_system_that_cannot_lock_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    one, two = Lock(tmp_path), Lock(tmp_path)
    assert not one.held
    assert holder(tmp_path) is None
    one.release()
    two.release()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(OSError, match="No space left"):
        Lock(tmp_path)
