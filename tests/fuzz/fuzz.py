"""Fuzzing guided by coverage: `python tests/fuzz/fuzz.py --minutes 10` gives each harness ten minutes.

Where atheris is installed, it mutates and measures coverage. Elsewhere a loop of ours does: it changes inputs by
chance, traces which lines of the code under test follow each other, and keeps every input that shows a new pair.
What ends in an error that the harness does not expect, or takes longer than ``--limit`` seconds, is written to
tests/fuzz/corpus/HARNESS/, whose files the ordinary tests run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

NAMES = ("headers", "recipes", "archives", "pictures", "runs", "pickles")
"""Of the harnesses, whose module is imported later: atheris watches only what it has seen being imported."""

TRACED = ("/gancli/", "/zipfile", "/json/", "/tomllib/", "/PIL/", "/pickletools")
"""Parts of paths of the code whose lines count."""


class Hang(Exception):
    """An input takes too long."""


class Coverage:
    """The pairs of lines that followed each other within one function, over all runs."""

    def __init__(self) -> None:
        self.seen: set[tuple[int, int]] = set()
        self._codes: dict[int, tuple[Any, bool]] = {}
        self._last = 0

    def new(self, one: Any, data: bytes) -> bool:
        """Run; whether it went where no run did before."""
        before = len(self.seen)
        sys.settrace(self._call)
        try:
            one(data)
        finally:
            sys.settrace(None)
        return len(self.seen) > before

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        # By identity, since comparing code takes long; what is kept here keeps its identity.
        known = self._codes.get(id(code))
        if known is None:
            name = code.co_filename.replace("\\", "/")
            known = self._codes[id(code)] = code, any(part in name for part in TRACED)
        return self._line if known[1] else None

    def _line(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        here = id(frame.f_code) ^ frame.f_lineno
        self.seen.add((self._last, here))
        self._last = here
        return self._line


def ours(name: str, seconds: float, limit: int, seed: int, most: int = 20) -> dict[str, Any]:
    """Fuzz one harness by our own loop.

    Args:
        name: of the harness.
        seconds: how long.
        limit: seconds for one input.
        seed: of chance.
        most: different faults after which to stop.

    Returns:
        How many inputs were tried and kept, pairs of lines seen, and files of what failed.
    """
    from harnesses import CORPUS, HARNESSES

    from benchmarks.hostile import mutated

    harness, random, coverage = HARNESSES[name], Random(seed), Coverage()
    queue = [*harness.seeds(), *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]
    kept: list[bytes] = []
    found: dict[str, str] = {}
    tried, end = 0, time.monotonic() + seconds

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Hang(f"longer than {limit} s")

    signal.signal(signal.SIGALRM, ring)
    while time.monotonic() < end and len(found) < most:
        data = (
            queue.pop(0)
            if queue
            else mutated(random, random.choice(kept[-200:] if random.random() < 0.5 else kept), kept)
        )
        data, tried = data[: 1 << 16], tried + 1
        signal.alarm(limit)
        try:
            fresh = coverage.new(harness.one, data)
        except Exception as error:
            fresh = False
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {where.filename}:{where.lineno}"
            if kind not in found:
                found[kind] = str(keep(name, data))
                print(f"{name}: {kind}: {str(error)[:200]}", file=sys.stderr, flush=True)
        finally:
            signal.alarm(0)
        if fresh or not kept:
            kept.append(data)
    return {"tried": tried, "kept": len(kept), "pairs": len(coverage.seen), "found": found}


def keep(name: str, data: bytes) -> Path:
    """Write an input that failed to where tests run it again."""
    from harnesses import CORPUS

    path = CORPUS / name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def by_atheris(name: str, seconds: float, limit: int, seed: int) -> None:
    """Fuzz one harness by atheris, which ends the process."""
    import atheris  # ty: ignore[unresolved-import]

    with atheris.instrument_imports(include=["gancli", "zipfile", "json", "tomllib", "PIL", "pickletools"]):
        from harnesses import CORPUS, HARNESSES
    harness, begin = HARNESSES[name], ROOT / "runs" / "fuzz" / name
    begin.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(harness.seeds()):
        (begin / f"seed{number}").write_bytes(data)
    failed = CORPUS / name
    failed.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-timeout={limit}",
        f"-seed={seed + 1}",
        f"-artifact_prefix={failed}/",
    ]
    atheris.Setup([sys.argv[0], str(begin), str(failed), *options, "-max_len=65536"], harness.one)
    atheris.Fuzz()


def has_atheris() -> bool:
    """Whether it is installed."""
    from importlib.util import find_spec

    return find_spec("atheris") is not None


def main() -> None:
    """Fuzz the harnesses one after the other, each in a process of its own; exit code 1 if any input failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("harnesses", nargs="*", metavar="HARNESS", help=f"of {', '.join(NAMES)}; all if none")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each harness")
    parser.add_argument("--limit", type=int, default=20, help="seconds after which an input counts as a hang")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help="fuzz the one harness named in this process")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.harnesses) - set(NAMES)):
        parser.error(f"no harness is called '{unknown[0]}'; there are {', '.join(NAMES)}")
    if asked.here:
        (name,) = asked.harnesses
        logging.getLogger("gancli").setLevel(logging.CRITICAL)
        if has_atheris():
            by_atheris(name, 60 * asked.minutes, asked.limit, asked.seed)
        told = ours(name, 60 * asked.minutes, asked.limit, asked.seed)
        print(json.dumps({name: told}, indent=1))
        sys.exit(1 if told["found"] else 0)
    options = [f"--minutes={asked.minutes}", f"--limit={asked.limit}", f"--seed={asked.seed}", "--here"]
    codes = [
        subprocess.run([sys.executable, __file__, name, *options], check=False).returncode
        for name in asked.harnesses or NAMES
    ]
    sys.exit(1 if any(codes) else 0)


if __name__ == "__main__":
    main()
