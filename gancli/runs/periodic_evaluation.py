"""Evaluation while a training goes on: what is published is judged now and then, and the best of it is kept.

The model is judged as ``gancli evaluate`` would, as a copy and with the random state put back afterwards, so that a
training is the same to the bit whether it is judged or not. It is judged before round one, so that what cannot be
judged is said then and not hours later; then whenever so many more images have been shown; and at the end.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gancli import checkpoint
from gancli.data import Dataset
from gancli.data.requested import load_for
from gancli.errors import GancliError, UsageError, nearest
from gancli.files import atomic, refuse_special
from gancli.model import Model
from gancli.runs.export import model_file
from gancli.runs.health import EVALUATION
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

if TYPE_CHECKING:
    from gancli.evaluation.report import Report

FILE = "evaluation.json"
IMAGES = 2000
"""That are generated unless told otherwise: a fifth of what ``gancli evaluate`` takes."""

LARGEST = 16 << 20
"""Bytes of that file at most."""

USUAL = "fid"
"""Measured of images, whatever else is."""


class Stopped(Exception):
    """The training was asked to stop while its model was judged."""


@dataclass(frozen=True)
class Settings:
    """What is judged, and when.

    Attributes:
        every: thousands of training images between two evaluations.
        best_by: the figure that the best model is chosen by; None for the first one of the report.
        images: how many to generate; None for 2,000, or as many as are held out.
        data_dir: where data sets are looked for first; no run remembers that.
    """

    every: float
    best_by: str | None = None
    images: int | None = None
    data_dir: Path | None = field(default=None, compare=False)


def stored_settings(folder: Path) -> Settings | None:
    """The settings that a run was last judged by; None where it never was.

    Raises:
        GancliError: a damaged file.
    """
    table = _stored(folder)
    if not table:
        return None
    try:
        every, by, images = float(table["every"]), table["best_by"], table["images"]
        counted = images is None or (type(images) is int and 0 < images <= 10**6)
        if not (0 < every < math.inf and isinstance(by, str | None) and counted):
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _damaged(folder) from None
    return Settings(every, by, images)


def _stored(folder: Path) -> dict[str, Any]:
    """The document beside a run's state; empty where there is none."""
    try:
        refuse_special(folder / FILE)
        if (folder / FILE).stat().st_size > LARGEST:
            raise _damaged(folder)
        table = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, RecursionError):
        raise _damaged(folder) from None
    if not isinstance(table, dict) or not isinstance(table.get("protocols"), dict):
        raise _damaged(folder)
    return table


def _damaged(folder: Path) -> GancliError:
    return GancliError(f"{folder / FILE} does not say how the run is judged", "delete it, and say it anew")


@dataclass(frozen=True)
class Judged:
    """A report, the round that it is of, and what it took."""

    report: Report
    round: int
    seconds: float


class Evaluator:
    """Judges a training as it goes.

    Args:
        settings: None: never.

    Attributes:
        spent: seconds that evaluations took in this process; they are not the training's.
        rows: the run's evaluations so far, as ``metrics.jsonl`` holds them.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings, self.spent = settings, 0.0
        self.rows: list[Mapping[str, Any]] = []
        self._rehearsed: Judged | None = None
        self._held_out: int | None = None

    def clock(self) -> float:
        """Seconds that pass only while nothing is judged."""
        return time.perf_counter() - self.spent

    @property
    def seconds(self) -> float:
        """What all evaluations of the run took."""
        return sum(row[EVALUATION]["seconds"] for row in self.rows)

    def restore(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take up what a run's metrics say was judged, and forget the rest."""
        self.rows = [row for row in rows if EVALUATION in row]

    def prepare(self, folder: Path, trainer: Trainer, dataset: Dataset) -> None:
        """Judge a run that was never judged under these settings; the next :meth:`run_if_due` keeps what is found.

        Raises:
            UsageError: this model or this data cannot be judged so.
        """
        if self.settings is not None and self.settings != stored_settings(folder):
            self._rehearsed = self.try_out(trainer, dataset)

    def try_out(self, trainer: Trainer, dataset: Dataset) -> Judged:
        """Judge what is published now, and make sure that it can be judged as it is wanted; nothing is kept.

        Raises:
            UsageError: this model or this data cannot be judged so.
        """
        assert self.settings is not None
        try:
            found = self._judge(trainer, dataset, lambda: False)
        except GancliError as error:
            hint = "; or ".join(filter(None, [error.hint, "leave it out and train all the same"]))
            raise UsageError(f"--evaluate-every: {error.message}", hint) from error
        names = [result.metric for result in found.report.results]
        if (by := self.settings.best_by) not in (None, *names):
            from gancli.metrics import METRICS

            known = {*names, *(METRICS if _makes_images(trainer) else ())}
            raise UsageError(f"--best-by {by}: there is no such figure of this model", nearest(by or "", known))
        return found

    def run_if_due(
        self, folder: Path, trainer: Trainer, dataset: Dataset, finished: bool, stop: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """Judge if it is time to, and keep what there is to keep.

        Args:
            folder: of the run.
            trainer: whose model is judged; nothing in it changes.
            dataset: what it is trained on.
            finished: whether this is the last round: then the published model carries the report.
            stop: asked as it goes.

        Returns:
            What goes into the run's metrics; None when it is not time. Of an evaluation that failed, what was wrong:
            a training does not end for that.

        Raises:
            Stopped: ``stop`` said so; nothing was kept.
        """
        if not self._due(trainer, finished):
            return None
        tensors, header = model_file(trainer, dataset)
        if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
            return None  # the training is about to find this out by itself
        try:
            judged, self._rehearsed = self._rehearsed or self._judge(trainer, dataset, stop), None
        except GancliError as error:
            return {"failed": error.message, "seconds": 0.0}
        folder.stat()  # one that was removed meanwhile is not made anew
        report = judged.report.to_dict()
        self._note(folder, report)
        by = self._by(report)
        there = (folder / catalogue.BEST_FILE).exists()
        best = _better(by, self._best(report["fingerprint"], by["metric"]) if there else None)
        header[EVALUATION] = report
        if best:
            checkpoint.write(folder / catalogue.BEST_FILE, tensors, header)
        if finished:
            checkpoint.write(folder / catalogue.MODEL_FILE, tensors, header)
        figures = {result["metric"]: _beside(result) for result in report["results"]}
        told = {"fingerprint": report["fingerprint"], "by": by["metric"], "best": best}
        return {"results": figures, **told, "seconds": round(judged.seconds, 3)}

    def _due(self, trainer: Trainer, finished: bool) -> bool:
        if self.settings is None:
            return False
        if self._rehearsed is not None:
            return True
        last = self.rows[-1] if self.rows else {"round": -1, "images": 0}
        if finished and last["round"] != trainer.rounds:
            return True
        step = self.settings.every * 1000
        return trainer.feed.drawn // step > last["images"] // step

    def _judge(self, trainer: Trainer, dataset: Dataset, stop: Callable[[], bool]) -> Judged:
        """Judge a copy of what is published; the time goes to ``spent``."""
        # A training that is not judged does without.
        from gancli.evaluation.evaluate import evaluate
        from gancli.metrics import METRICS

        assert self.settings is not None

        def ask(_what: str, _done: int, _total: int) -> None:
            if stop():
                raise Stopped

        begun, device = time.perf_counter(), trainer.device
        metrics = [name for name in (self.settings.best_by, USUAL) if name in METRICS]
        metrics = list(dict.fromkeys(metrics)) if _makes_images(trainer) else []
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                count, data_dir = self._count(trainer), self.settings.data_dir
                report = evaluate(_copy(trainer, dataset), None, metrics, count, data_dir=data_dir, progress=ask)
        finally:
            seconds = time.perf_counter() - begun
            self.spent += seconds
        return Judged(_titled(report, trainer.recipe.data.name, dataset.name), trainer.rounds, seconds)

    def _count(self, trainer: Trainer) -> int:
        assert self.settings is not None
        if self.settings.images is not None or not _makes_images(trainer):
            return self.settings.images or IMAGES
        if self._held_out is None:
            self._held_out = len(load_for(trainer.recipe.data, split="test", data_dir=self.settings.data_dir).images)
        return min(IMAGES, self._held_out)

    def _by(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """The result that the best is chosen by."""
        asked = self.settings.best_by if self.settings else None
        return next((each for each in report["results"] if each["metric"] == asked), report["results"][0])

    def _best(self, fingerprint: str, metric: str) -> float | None:
        """The best figure so far that was found alike; None where there is none.

        By the rows and not by the file: a run that was killed has forgotten rows, but not the file.
        """
        found = [row[EVALUATION] for row in self.rows]
        alike = [each for each in found if each.get("fingerprint") == fingerprint and each.get("best")]
        last = next((each["results"].get(metric, {}) for each in reversed(alike) if each["by"] == metric), {})
        return last.get("value")

    def _note(self, folder: Path, report: Mapping[str, Any]) -> None:
        """Keep settings and protocol in the run's folder, each protocol once."""
        assert self.settings is not None
        before = _stored(folder)
        kept = {key: value for key, value in asdict(self.settings).items() if key != "data_dir"}
        protocols = {**before.get("protocols", {}), report["fingerprint"]: report["protocol"]}
        table = {**kept, "protocols": protocols}
        if table != before:
            with atomic(folder / FILE) as temporary:
                temporary.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def _makes_images(trainer: Trainer) -> bool:
    """Whether it makes images from latents, which are judged by an extractor's features."""
    return trainer.objective.takes == "latent" and trainer.generator.range is not None


def _copy(trainer: Trainer, dataset: Dataset) -> Model:
    """What is published, as a model of its own; the data has the name by which this machine finds it."""
    tensors, header = model_file(trainer, dataset)
    recipe = trainer.recipe
    header["recipe"] = recipe.to_dict()
    if trainer.objective.takes == "latent":
        header["networks"] = header["networks"][:1]  # what an encoder can do takes longer to judge than all the rest
    copies = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    # Not called by its folder: two equal trainings leave equal files.
    return Model(Path(catalogue.MODEL_FILE), f"{recipe.model}/{dataset.name}", header, copies).to(trainer.device)


def _titled(report: Report, place: str, name: str) -> Report:
    """A report that calls the data by its title: a model that is passed on tells no path of this machine."""
    warnings = tuple(warning.replace(place, name) for warning in report.warnings)
    return replace(report, protocol=replace(report.protocol, data=name), warnings=warnings)


def _beside(result: Mapping[str, Any]) -> dict[str, Any]:
    """A figure and what stands beside it."""
    return {key: result[key] for key in ("value", "floor", "baseline") if result.get(key) is not None}


def _better(result: Mapping[str, Any], before: float | None) -> bool:
    """Whether a figure is there, and better than that of the best so far; as good is not enough."""
    value = result["value"]
    if value is None or before is None:
        return value is not None
    return value < before if result["better"] == "lower" else value > before
