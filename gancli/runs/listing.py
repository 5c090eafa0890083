"""All runs of some folders: what each is, how far it came and how good it is. Never imports torch.

A thousand runs are listed in less than a second: of each the header of its model is read, the end of its metrics, and
how large its files are.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gancli import checkpoint, lock
from gancli.errors import GancliError, UsageError, nearest
from gancli.files import atomic
from gancli.runs import health
from gancli.runs.folder import METRICS_FILE, RECIPE_FILE
from gancli.zoo import catalogue

MARKS = (catalogue.STATE_FILE, METRICS_FILE)
"""Files of which a run has one, whatever else it has lost."""

DEPTH = 3
"""Levels of folders below a named one in which runs are looked for."""

TAILS = 1 << 14, 1 << 20
"""Bytes of the end of the metrics that are read, the more if the fewer hold no preview."""

KEYS = ("name", "tag", "model", "data", "state", "health")
"""What runs can be chosen by."""


@dataclass(frozen=True)
class Listed:
    """A run as it stands in a list.

    Attributes:
        folder: the run's.
        tag: the name that a user gave it; empty where there is none.
        model: its model.
        data: its data set.
        state: finished, running, unfinished, stopped (by the health monitor), diverged, or broken.
        rounds: done; None where that cannot be read.
        budget: rounds in all.
        evaluation: of its best model, or of the last one: protocol, fingerprint, results; empty where there is none.
        size: of all files, in bytes.
        changed: when it was written to last, in seconds since 1970.
        findings: of the health monitor that hold at the end, as sentences by name.
        broken: what is wrong with its files; empty where nothing is.
    """

    folder: Path
    tag: str
    model: str
    data: str
    state: str
    rounds: int | None
    budget: int | None
    evaluation: Mapping[str, Any]
    size: int
    changed: float
    findings: Mapping[str, str]
    broken: str

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.name

    @property
    def progress(self) -> float:
        """Share of the budget that is done, 0 to 1."""
        return min(1.0, self.rounds / self.budget) if self.rounds and self.budget else 0.0

    @property
    def result(self) -> Mapping[str, Any] | None:
        """The first result of the evaluation: metric, value, better, floor."""
        return next(iter(self.evaluation.get("results", ())), None)

    @property
    def comparable(self) -> tuple[str, str, str] | None:
        """What a run must have in common with another for their results to compare: data, protocol, metric."""
        if self.result is None:
            return None
        return self.data, str(self.evaluation.get("fingerprint")), self.result["metric"]

    def better_than(self, other: Listed) -> bool:
        """Whether its result is better, where both compare."""
        if self.result is None or other.result is None or self.comparable != other.comparable:
            return False
        sign = 1 if self.result.get("better") == "lower" else -1
        return sign * self.result["value"] < sign * other.result["value"]

    def matches(self, key: str, pattern: str) -> bool:
        """Whether a value of :data:`KEYS` matches a pattern with ``*`` and ``?``; health is any finding or none."""
        values = list(self.findings) or ["none"] if key == "health" else [str(getattr(self, key))]
        return any(fnmatchcase(value, pattern) for value in values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        keys = ("name", "tag", "model", "data", "state", "rounds", "budget", "size", "changed", "broken")
        plain = {key: getattr(self, key) for key in keys}
        found = {"result": self.result, "protocol": self.evaluation.get("protocol"), "findings": dict(self.findings)}
        return {"run": str(self.folder), **plain, **found}


def folders(roots: Sequence[Path]) -> Iterator[Path]:
    """Every run folder at or below these, without hidden ones."""
    for root in roots:
        yield from _runs_in(root, DEPTH)


def _runs_in(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            inside = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    names = {entry.name for entry in inside}
    if names.intersection(MARKS):
        yield folder
    elif depth:
        for entry in inside:
            if not entry.name.startswith(".") and entry.is_dir():
                yield from _runs_in(folder / entry.name, depth - 1)


def read(folder: Path) -> Listed:
    """A run folder in a list, whatever is wrong with it."""
    size, changed = _size(folder)
    try:
        header = checkpoint.read_header(folder / catalogue.MODEL_FILE)
        table, rounds = header["recipe"], int(header["rounds"])
        model, data = str(table["model"])[:200], str(header["dataset"]["name"])[:200]
        budget = int(table["training"]["rounds"])
        evaluation, broken = _evaluation(folder, header), "" if (folder / RECIPE_FILE).is_file() else "no recipe.toml"
    except (GancliError, OSError, KeyError, TypeError, ValueError) as error:
        model = data = "?"
        rounds = budget = None
        evaluation, broken = {}, _fault(error, folder)
    last, findings = _end(folder / METRICS_FILE)
    state = "broken" if broken else _state(folder, last, done=bool(budget) and (rounds or 0) >= (budget or 0))
    tag = catalogue.tag(folder)
    return Listed(folder, tag, model, data, state, rounds, budget, evaluation, size, changed, findings, broken)


def _fault(error: Exception, folder: Path) -> str:
    if not (folder / catalogue.MODEL_FILE).exists():
        return f"no {catalogue.MODEL_FILE}"
    return error.message if isinstance(error, GancliError) else f"the header of {catalogue.MODEL_FILE} is not whole"


def _size(folder: Path) -> tuple[int, float]:
    """Bytes of all files, and when one was written to last."""
    size, changed, waiting = 0, 0.0, [folder]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                    continue
                status = entry.stat(follow_symlinks=False)
                size, changed = size + status.st_size, max(changed, status.st_mtime)
    return size, changed


def _evaluation(folder: Path, header: Mapping[str, Any]) -> Mapping[str, Any]:
    """The evaluation of the run's best model; of its last one where none was kept."""
    found = header.get("evaluation")
    with suppress(GancliError, OSError):
        found = checkpoint.read_header(folder / catalogue.BEST_FILE).get("evaluation", found)
    if not isinstance(found, dict) or not isinstance(found.get("results", []), list):
        return {}
    whole = [each for each in found.get("results", []) if isinstance(each, dict) and _is_number(each.get("value"))]
    return {**found, "results": [each for each in whole if isinstance(each.get("metric"), str)]}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _end(path: Path) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The last row of the metrics, and what the health monitor found in the last preview."""
    last: Mapping[str, Any] = {}
    for tail in TAILS:
        last = {}
        for row in _last_rows(path, tail):
            last = last or row
            if isinstance(found := row.get(health.KEY), dict):
                return last, {str(k)[:40]: str(v)[:1000] for k, v in list(found.items())[:32]}
    return last, {}


def _last_rows(path: Path, tail: int) -> Iterator[dict[str, Any]]:
    """Rows of a training from the end of its metrics backwards, within so many bytes."""
    end = b""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - tail))
        end = file.read(tail)
    for line in reversed(end.splitlines()):
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and health.EVALUATION not in row:
                yield row


def _state(folder: Path, last: Mapping[str, Any], *, done: bool) -> str:
    if lock.holder(folder):
        return "running"
    if health.DIVERGED in last:
        return "diverged"
    if health.STOPPED in last:
        return "stopped"
    return "finished" if done else "unfinished"


def name(run: Listed, tag: str, others: Sequence[Listed]) -> None:
    """Tag a run, in a file of its folder; an empty tag removes it.

    Raises:
        UsageError: another run has the tag, or it is none.
    """
    if tag and not catalogue.TAG.fullmatch(tag):
        raise UsageError(f"'{tag}' is no tag", "use up to 60 letters, digits, dots, dashes and underscores")
    for other in others:
        if tag and other.tag == tag and other.folder.resolve() != run.folder.resolve():
            raise UsageError(f"{other.folder} has the tag '{tag}' already", "choose another tag")
    path = run.folder / catalogue.TAG_FILE
    if not tag:
        path.unlink(missing_ok=True)
        return
    with atomic(path) as temporary:
        temporary.write_text(tag + "\n", encoding="utf-8")


def remove(run: Listed) -> None:
    """Delete a run: at once under its name, then its files.

    Raises:
        UsageError: it is being trained.
    """
    if who := lock.holder(run.folder):
        raise UsageError(f"{run.folder} is being trained by {who}", f"stop it first: `gancli runs stop {run.folder}`")
    if run.folder.is_symlink():
        run.folder.unlink()
        return
    gone = run.folder.with_name(f".{run.folder.name}.removed")
    if gone.exists():
        shutil.rmtree(gone)
    run.folder.rename(gone)
    shutil.rmtree(gone)


def superseded(runs: Sequence[Listed]) -> list[tuple[Listed, Listed]]:
    """Runs that a better one beats, each with the best: the same data, protocol and metric.

    Never one that is being trained, has a tag, or has no result; and never the best itself.
    """
    found = []
    for run in runs:
        better = [other for other in runs if other.better_than(run)]
        if better and run.state != "running" and not run.tag:
            found.append((run, next(each for each in better if not any(one.better_than(each) for one in better))))
    return found


def worthless(runs: Sequence[Listed]) -> list[Listed]:
    """Runs without a model or a state that can be read, which no process is training."""
    return [run for run in runs if run.state == "broken" and not _has_weights(run.folder)]


def _has_weights(folder: Path) -> bool:
    for file in (catalogue.MODEL_FILE, catalogue.BEST_FILE, catalogue.STATE_FILE):
        with suppress(GancliError, OSError):
            checkpoint.read_header(folder / file)
            return True
    return bool(lock.holder(folder))


def chosen(runs: Sequence[Listed], conditions: Sequence[str]) -> list[Listed]:
    """Runs that meet all conditions, each ``KEY=PATTERN``.

    Raises:
        UsageError: a condition with another key, or without one.
    """
    kept = list(runs)
    for condition in conditions:
        key, equals, pattern = condition.partition("=")
        if not equals or key not in KEYS:
            hint = nearest(key, KEYS) or f"the keys are {', '.join(KEYS)}"
            raise UsageError(f"'{condition}' chooses no runs", f"give a key and a pattern, as in model=dcgan; {hint}")
        kept = [run for run in kept if run.matches(key, pattern)]
    return kept
