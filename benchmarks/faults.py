"""Fault injection: real trainings are disturbed at random moments. Is anything lost, and is the result the same?

Every function trains a tiny model on the embedded digits through the command line, in processes of their own that save
after every round, disturbs each of them once, repeats the command and counts outcomes. A seed decides the moments: a
training waits after a round until it is disturbed, or is killed at any time. ``{"absent": reason}`` says that a fault
cannot be caused here.

    python -c "from benchmarks import faults; print(faults.killed(200))"
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from PIL import Image

from gancli import checkpoint, recipe
from gancli.errors import GancliError
from gancli.zoo.catalogue import DISCRIMINATOR_FILE, MODEL_FILE, STATE_FILE

ROOT = Path(__file__).parents[1]
NOBODY = 65534
LIMIT = 600.0
"""Seconds after which a training of a second counts as hanging, also on a machine with much else to do."""

ROUNDS = 12
SETTINGS = (
    *(f"networks.{side}.{size}" for side in ("generator", "discriminator") for size in ("width=4", "dense=8")),
    *("latent.dim=6", "training.batch=12", "training.samples=4"),
)
COMMAND = (
    *f"train digits --model quick --rounds {ROUNDS} --precision fp32 --device cpu --save-every 0 --out r".split(),
    *(word for setting in SETTINGS for word in ("--set", setting)),
)
PRELOADED = (
    *("gancli.cli", "gancli.runs.run", "torch._dynamo"),
    *("matplotlib.backends.backend_agg", "matplotlib.figure", "rich.console"),
)
Home = Path
"""A folder of its own in which a command runs; the run is ``r`` in it."""


# Processes.


@cache
def _server() -> Any:
    """What processes come from: one that has imported everything, so that their lives are the training's alone."""
    context: Any = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    if sys.platform != "win32":
        from multiprocessing import forkserver

        context.set_forkserver_preload(list(PRELOADED))
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = str(ROOT)
        try:
            forkserver.ensure_running()
        finally:
            os.environ.pop("PYTHONPATH")
            os.environ.update({} if before is None else {"PYTHONPATH": before})
    return context


def _live(arguments: Sequence[str], home: Home, user: int | None, words: Path, pause: int | None, ready: Any) -> None:
    """The life of such a process: a command, whose words go to a file."""
    os.chdir(home)
    os.environ["GANCLI_CACHE"] = str(home / "cache")
    os.environ["NO_COLOR"] = "1"
    with words.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    import torch

    from gancli.cli import main

    torch.set_num_threads(1)
    if user is not None:
        # Whatever is imported late may lie where this user may not look.
        with suppress(SystemExit):
            main(["r.warm" if word == "r" else word for word in arguments])
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if pause is not None:
        from gancli.runs.run import Trainer

        real = Trainer.round

        def paused(self: Trainer) -> None:
            real(self)
            if self.rounds == pause:
                ready.send(None)
                ready.recv()

        Trainer.round = paused
    ready.send(None)
    ready.recv()
    main(list(arguments))


class Command:
    """A command that runs.

    Args:
        home: where; made if need be.
        arguments: as typed.
        user: who runs it, if not who runs this.
        words: the file for what it says; one in its home unless given.
        go: whether to let it begin; otherwise :meth:`go` does.
        pause: a round after which it waits for :meth:`go`.
    """

    def __init__(
        self,
        home: Home,
        arguments: Sequence[str] = COMMAND,
        user: int | None = None,
        words: Path | None = None,
        go: bool = True,
        pause: int | None = None,
    ) -> None:
        home.mkdir(exist_ok=True)
        self._words = words or home / "words"
        self._gate, there = _server().Pipe()
        given = (list(arguments), home, user, self._words, pause, there)
        self.process: BaseProcess = _server().Process(target=_live, args=given)
        self.process.start()
        there.close()
        self._gate.recv()
        if go:
            self.go()

    def go(self) -> None:
        """Let it begin, or go on after its pause."""
        with suppress(BrokenPipeError):  # it has ended
            self._gate.send(None)

    def paused(self) -> bool:
        """Wait for its pause; false where it ended before."""
        with suppress(EOFError):
            return self._gate.poll(LIMIT) and self._gate.recv() is None
        return False

    def wait(self, seconds: float = LIMIT) -> int | None:
        """Its exit code (below zero: by a signal); None if it has none by then."""
        self.process.join(max(0.0, seconds))
        return self.process.exitcode

    def send(self, number: int) -> None:
        """A signal, to a process that may be gone."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, number)

    def end(self) -> int | None:
        """Its exit code once it has ended; None for one that hangs and was killed."""
        code = self.wait()
        if code is None:
            self.process.kill()
            self.process.join()
        return code

    @property
    def words(self) -> str:
        """What it said."""
        return self._words.read_text(encoding="utf-8", errors="replace")


# What there is to compare.


@dataclass(frozen=True)
class Whole:
    """A training that nothing disturbed: what it left, and the seconds that it took."""

    left: dict[str, str]
    seconds: float


@cache
def undisturbed() -> Whole:
    """What every other one has to end as."""
    with tempfile.TemporaryDirectory() as folder:
        for home in (Path(folder) / "first", Path(folder) / "second"):  # the first one also fills the system's caches
            command = Command(home)
            start = time.perf_counter()
            code = command.end()
            seconds = time.perf_counter() - start
            if code != 0:
                raise RuntimeError(f"the undisturbed training ended with {code}: {command.words}")
        return Whole(left_by(home / "r"), seconds)


def left_by(run: Path) -> dict[str, str]:
    """Digests of tensors, recipe and sample grids of a finished run; times and rates are no part of it."""
    files = [STATE_FILE, MODEL_FILE, DISCRIMINATOR_FILE]
    found = {name: checkpoint.digest(checkpoint.read(run / name)[0]) for name in files}
    pictures = [run / "recipe.toml", run / "samples.png", run / "training.gif", *(run / "samples").iterdir()]
    return found | {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures}


def damage(run: Path) -> list[str]:
    """What of a run is not whole, as a process left it that died; a run that is not there yet is no damage."""
    if not run.exists():
        return []
    found = []
    for name in (STATE_FILE, MODEL_FILE, DISCRIMINATOR_FILE, "recipe.toml"):
        try:
            recipe.read(run / name) if name.endswith(".toml") else checkpoint.read(run / name)
        except (GancliError, OSError) as error:
            found.append(f"{name}: {error}")
    for path in [*run.glob("*.png"), *run.glob("*.gif"), *run.glob("samples/*.png")]:
        try:
            with Image.open(path) as picture:
                picture.load()
        except OSError as error:
            found.append(f"{path.name}: {error}")
    return found


class Tally:
    """Counts of one kind of fault."""

    def __init__(self) -> None:
        self.moments: Counter[str] = Counter()
        self.counts = Counter(dict.fromkeys(("tracebacks", "corrupted or lost", "wrong ends", "differ", "hangs"), 0))
        self.told: list[str] = []

    def take(self, kind: str, bad: object, words: str = "") -> None:
        """Count what is bad."""
        if bad:
            self.counts[kind] += 1
            self.told.append(f"{kind}: {bad}: {words}"[-2000:])

    def ended(self, command: Command, *codes: int) -> int | None:
        """Wait for an end, which should have one of these codes and no page of the program's inside."""
        code = command.end()
        self.take("hangs", code is None, command.words)
        self.take("wrong ends", code is not None and code not in codes and f"exit code {code}", command.words)
        self.take("tracebacks", "Traceback" in command.words, command.words)
        return code

    def resumed(self, home: Home, run: str = "r") -> None:
        """Give the same command again, and compare what it leaves with what an undisturbed one does."""
        again = Command(home, [run if word == "r" else word for word in COMMAND])
        if self.ended(again, 0) != 0:
            return
        folder = home / run
        self.take("corrupted or lost", damage(folder))
        with suppress(GancliError, OSError):
            left, whole = left_by(folder), undisturbed().left
            self.take("differ", sorted(name for name in {*left, *whole} if left.get(name) != whole.get(name)))
        hidden = [path for path in (*home.glob(".*"), *folder.rglob(".*")) if path.is_file() or path.is_dir()]
        self.take("corrupted or lost", [f"left over: {path}" for path in hidden])

    def found(self, tried: int) -> dict[str, Any]:
        """Plain JSON."""
        return {"tried": tried, "moments": dict(sorted(self.moments.items())), **self.counts, "told": self.told[:5]}


def stage(home: Home) -> str:
    """How far the training in a folder came."""
    if (home / "r" / "samples.png").exists():
        return "finished"
    if (home / "r").exists():
        return "training"
    return "in the making" if (home / ".r.new").exists() else "before the folder"


def _homes(count: int) -> Iterator[Home]:
    """So many folders to be made, each gone when the next comes."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            home = Path(folder) / str(number)
            yield home
            shutil.rmtree(home)


# The faults.


def killed(count: int, seed: int = 0) -> dict[str, Any]:
    """SIGKILL anywhere between the first line of the command and its end, the making of the folder included."""
    tally, moments, seconds = Tally(), random.Random(seed), undisturbed().seconds
    for home in _homes(count):
        command = Command(home)
        command.wait(moments.uniform(0, seconds))
        command.process.kill()
        command.end()
        tally.moments[stage(home)] += 1
        tally.take("tracebacks", "Traceback" in command.words, command.words)
        tally.take("corrupted or lost", damage(home / "r"))
        tally.resumed(home)
    return tally.found(count)


def terminated(count: int, seed: int = 0) -> dict[str, Any]:
    """SIGTERM, twice, as schedulers send it: the training saves and ends with 143."""
    tally, moments = Tally(), random.Random(seed)
    for home in _homes(count):
        command = Command(home, pause=moments.randrange(1, ROUNDS))
        tally.take("wrong ends", not command.paused() and "it ended before", command.words)
        tally.moments[stage(home)] += 1
        command.send(signal.SIGTERM)
        command.send(signal.SIGTERM)
        command.go()
        if tally.ended(command, 143) == 143:
            tally.take("wrong ends", "gancli train --resume r" not in command.words, command.words)
        tally.resumed(home)
    return tally.found(count)


def doubled(count: int, seed: int = 0) -> dict[str, Any]:
    """The same command twice at about the same time: one trains, the other names it and ends."""
    tally, moments, seconds = Tally(), random.Random(seed), undisturbed().seconds
    for home in _homes(count):
        home.mkdir()
        arguments = [str(home / "r") if word == "r" else word for word in COMMAND]
        pair = [Command(home / name, arguments, go=False) for name in ("first", "second")]
        pair[0].go()
        pair[0].wait(moments.choice([0.0, moments.uniform(0, seconds / 4)]))
        moment = stage(home)
        pair[1].go()
        codes = [tally.ended(command, 0, 1) for command in pair]
        if codes == [0, 0] and any("finished, " in command.words for command in pair):
            moment = "finished"  # one was done before the other came
        else:
            tally.take("wrong ends", sorted(map(str, codes)) != ["0", "1"] and codes, pair[1].words)
            winner, refused = pair if codes[1] else reversed(pair)
            named = f"is being trained by process {winner.process.pid} on "
            tally.take("wrong ends", named not in refused.words and f"{named!r} is not said", refused.words)
        tally.moments[moment] += 1
        tally.resumed(home)
    return tally.found(count)


def renamed(count: int, seed: int = 0) -> dict[str, Any]:
    """The folder gets another name while the training goes on; under that name it can be gone on with."""

    def rename(home: Home) -> None:
        (home / "r").rename(home / "elsewhere")

    return _ended_by(rename, count, seed, ["removed or renamed"], "elsewhere")


def read_only(count: int, seed: int = 0) -> dict[str, Any]:
    """The folder takes no new files any more while the training goes on."""

    def close(home: Home) -> None:
        for folder in (home / "r", home / "r" / "samples"):
            folder.chmod(0o555)

    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if sys.platform == "win32":
        return {"absent": "Windows has no such folders"}
    user = NOBODY if root else None
    return _ended_by(close, count, seed, ["cannot write into the folder", "permission denied"], "r", user)


def disk_full(count: int, seed: int = 0) -> dict[str, Any]:
    """Not one byte is left while the training goes on, in the making of the folder included."""
    tally, moments = Tally(), random.Random(seed)
    undisturbed()
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "disk") as reason:
        if reason:
            return {"absent": reason}
        for number in range(count):
            home, filler = Path(folder) / "disk" / str(number), Path(folder) / "disk" / "filler"
            pause = moments.randrange(ROUNDS)
            command = Command(home, words=Path(folder) / "words", go=pause > 0, pause=pause)
            tally.take("wrong ends", pause > 0 and not command.paused() and "it ended before", command.words)
            tally.moments[stage(home)] += 1
            fill(filler)
            command.go()
            while command.wait(0.01) is None:
                fill(filler)
            code = tally.ended(command, 0, 1)
            said = "no space left on device" in command.words and "\nhint: " in command.words
            tally.take("wrong ends", code == 1 and not said and "says not why", command.words)
            tally.take("corrupted or lost", damage(home / "r"))
            filler.unlink(missing_ok=True)
            tally.resumed(home)
            shutil.rmtree(home)
    return tally.found(count)


def _ended_by(
    disturb: Callable[[Home], None], count: int, seed: int, said: list[str], run: str, user: int | None = None
) -> dict[str, Any]:
    """Disturb a training that goes on: it has to end with one error, and the run has to go on once that is over.

    Args:
        disturb: what is done to it.
        count: how often.
        seed: of the moments.
        said: one of these words is in the error.
        run: the run's name afterwards.
        user: who trains, if not who runs this.
    """
    tally, moments = Tally(), random.Random(seed)
    undisturbed()
    for home in _homes(count):
        home.parent.chmod(0o755)
        home.mkdir()
        home.chmod(0o777)
        command = Command(home, user=user, pause=moments.randrange(1, ROUNDS))
        if not command.paused():
            tally.take("wrong ends", "it ended before", command.words)
            continue
        tally.moments[stage(home)] += 1
        disturb(home)
        command.go()
        code = tally.ended(command, 0, 1)
        error = [words for words in said if words in command.words and "\nhint: " in command.words]
        tally.take("wrong ends", code == 1 and not error and "says not why", command.words)
        tally.take("corrupted or lost", run != "r" and (home / "r").exists() and "the folder was made anew")
        tally.take("corrupted or lost", damage(home / run))
        for folder in (home / run, home / run / "samples"):
            folder.chmod(0o755)
        shutil.rmtree(home / "r.warm", ignore_errors=True)
        tally.resumed(home, run)
    return tally.found(count)


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Generator[str]:
    """A disk of so many bytes as a new folder; yields why there is none, or nothing.

    It lies in memory and goes afterwards, with all that is on it.
    """
    if sys.platform != "linux":
        yield "only Linux lets a test mount a small disk"
        return
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "gancli-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = f"mounting is refused: {done.stderr.strip()}" if done.returncode else ""
    except OSError as error:
        reason = f"mounting is not possible: {error}"
    try:
        yield reason
    finally:
        if not reason:
            subprocess.run(["umount", str(folder)], check=True)


def fill(filler: Path, spare: int = 0) -> None:
    """Take all that is free on a disk but so many bytes."""
    page = 4096
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(page))
    if spare:
        os.truncate(filler, max(0, filler.stat().st_size - spare))


KINDS = {kind.__name__: kind for kind in (killed, terminated, doubled, renamed, read_only, disk_full)}


TITLE = "Faults"
TRIALS = {"killed": 200, "terminated": 20, "doubled": 20, "renamed": 20, "read_only": 20, "disk_full": 40}
WORDS = {
    "killed": "SIGKILL at any moment",
    "terminated": "SIGTERM, as schedulers send it",
    "doubled": "two trainings on one folder",
    "renamed": "the folder renamed",
    "read_only": "the folder made read-only",
    "disk_full": "the disk full",
}
MOMENTS = {
    "before the folder": "before the folder existed",
    "in the making": "while the folder was being created",
    "training": "during the training",
    "finished": "after the end",
}
"""Values of ``stage``, in words."""
BAD = ("tracebacks", "corrupted or lost", "wrong ends", "differ", "hangs")


def measure(quick: bool) -> dict[str, Any]:
    """Every kind of fault, so many times.

    Args:
        quick: one of each.
    """
    return {name: kind(1 if quick else TRIALS[name]) for name, kind in KINDS.items()}


def markdown(found: dict[str, Any]) -> str:
    """What is done, and a table of what came of it."""
    lines = [
        "A tiny model is trained on digits through the command line, saving after every round. Each training is "
        "disturbed once at a random moment, including the creation of its folder; then the same command is repeated. "
        "*Lost*: a file of the run is damaged, incomplete or missing. *Differ*: the second command ends with other "
        "bytes than an undisturbed training (tensors, recipe, sample grids). *Wrong exits*: another exit code than "
        "documented, or not exactly one error message.",
        "",
        "| fault | trials | tracebacks | lost | wrong exits | differ | hangs |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, tally in found.items():
        cells = ["-"] * len(BAD) if "absent" in tally else [str(tally[bad]) for bad in BAD]
        tried = f"- ({tally['absent']})" if "absent" in tally else str(tally["tried"])
        lines.append(f"| {WORDS[name]} | {tried} | {' | '.join(cells)} |")
    moments = found["killed"].get("moments", {})
    if moments:
        told = ", ".join(f"{count} times {MOMENTS[stage]}" for stage, count in moments.items())
        lines += ["", f"SIGKILL was sent {told}."]
    return "\n".join(lines)
