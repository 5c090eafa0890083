"""Evaluation during training: the model is evaluated regularly, and the best one is kept.

A copy of the model is evaluated as by ``gancli evaluate``, and random states are restored afterwards, so that
evaluation changes nothing in the training. The first evaluation is before round one, so that what cannot be evaluated
is refused then and not hours later; the next ones follow after a number of training images, and at the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field, TypeAdapter

from gancli import checkpoint
from gancli.data import Dataset
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
"""Generated images by default: a fifth of those of ``gancli evaluate``."""

LARGEST = 16 << 20
"""Bytes of that file at most."""

USUAL = "fid"
"""A metric of images that is always computed."""


class Stopped(Exception):
    """The training was asked to stop during an evaluation."""


@dataclass(frozen=True)
class Settings:
    """What is evaluated, and when.

    Attributes:
        every: thousands of training images between two evaluations.
        best_by: the metric that the best model is chosen by; None for the first one of the report.
        images: how many to generate; None for 2,000, or as many as are held out.
        data_dir: where data sets are searched for first; not stored.
    """

    every: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    best_by: str | None = None
    images: Annotated[int, Field(gt=0, le=10**6)] | None = None
    data_dir: Path | None = field(default=None, compare=False)


def stored_settings(folder: Path) -> Settings | None:
    """The settings of a run's last evaluation; None where there was none.

    Raises:
        GancliError: a damaged file.
    """
    path = folder / FILE
    try:
        refuse_special(path)
        if path.stat().st_size > LARGEST:
            raise ValueError
        found = TypeAdapter(Settings).validate_json(path.read_bytes(), strict=True)
        return replace(found, data_dir=None)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise GancliError(
            f"{path} does not say how the run is evaluated", "delete it, and give the options again"
        ) from None


class Evaluator:
    """Evaluates the model of a training.

    Args:
        settings: None: never.

    Attributes:
        spent: seconds of evaluations in this process, which are not counted as training.
        rows: the run's evaluations so far, as ``metrics.jsonl`` has them.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings, self.spent = settings, 0.0
        self.rows: list[Mapping[str, Any]] = []
        self._first: tuple[Report, float] | None = None

    def clock(self) -> float:
        """Seconds, without those of evaluations."""
        return time.perf_counter() - self.spent

    @property
    def seconds(self) -> float:
        """Of all evaluations of the run."""
        return sum(row[EVALUATION]["seconds"] for row in self.rows)

    def restore(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take the evaluations among a run's rows, and forget others."""
        self.rows = [row for row in rows if EVALUATION in row]

    def prepare(self, folder: Path, trainer: Trainer, dataset: Dataset) -> None:
        """Evaluate a run that was not yet evaluated with these settings; :meth:`run_if_due` logs the result.

        Raises:
            UsageError: this model or this data cannot be evaluated so.
        """
        if self.settings is not None and self.settings != stored_settings(folder):
            self._first = self.try_out(trainer, dataset)

    def try_out(self, trainer: Trainer, dataset: Dataset) -> tuple[Report, float]:
        """Evaluate the present model, and check the settings; a report and the seconds that it took.

        Raises:
            UsageError: this model or this data cannot be evaluated so.
        """
        assert self.settings is not None
        try:
            report, seconds = self._evaluate(trainer, dataset, lambda: False)
        except GancliError as error:
            hint = "; or ".join(filter(None, [error.hint, "leave it out and train all the same"]))
            raise UsageError(f"`evaluate_every`: {error.message}", hint) from error
        names = [result.metric for result in report.results]
        if (by := self.settings.best_by) not in (None, *names):
            from gancli.metrics import METRICS

            known = {*names, *(METRICS if _makes_images(trainer) else ())}
            raise UsageError(f"`best_by={by}`: this model has no such metric", nearest(by or "", known))
        return report, seconds

    def run_if_due(
        self, folder: Path, trainer: Trainer, dataset: Dataset, finished: bool, stop: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """Evaluate the model if it is due, and keep it if it is the best.

        Args:
            folder: of the run.
            trainer: whose model; it is not changed.
            dataset: what it is trained on.
            finished: whether this is the last round: then the model file gets the report.
            stop: called meanwhile.

        Returns:
            What goes into the run's metrics; None when it is not due. For an evaluation that failed, its error: a
            training does not end for that.

        Raises:
            Stopped: ``stop`` returned true; nothing was kept.
        """
        if not self._due(trainer, finished):
            return None
        tensors, header = model_file(trainer, dataset)
        if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
            return None  # the training is about to find this out by itself
        try:
            (found, seconds), self._first = self._first or self._evaluate(trainer, dataset, stop), None
        except GancliError as error:
            return {"failed": error.message, "seconds": 0.0}
        folder.stat()  # one that was removed meanwhile is not made again
        report = found.to_dict()
        self._store(folder)
        results, asked = report["results"], self.settings and self.settings.best_by
        by = next((each for each in results if each["metric"] == asked), results[0])
        stored = (folder / catalogue.BEST_FILE).exists()
        best = _better(by, self._best(report["fingerprint"], by["metric"]) if stored else None)
        header[EVALUATION] = report
        if best:
            checkpoint.write(folder / catalogue.BEST_FILE, tensors, header, make=False)
        if finished:
            checkpoint.write(folder / catalogue.MODEL_FILE, tensors, header, make=False)
        keys = ("value", "floor", "baseline")
        return {
            "results": {each["metric"]: {k: each[k] for k in keys if each.get(k) is not None} for each in results},
            "fingerprint": report["fingerprint"],
            "by": by["metric"],
            "best": best,
            "seconds": round(seconds, 3),
        }

    def _due(self, trainer: Trainer, finished: bool) -> bool:
        if self.settings is None:
            return False
        if self._first is not None:
            return True
        last = self.rows[-1] if self.rows else {"round": -1, "images": 0}
        if finished and last["round"] != trainer.rounds:
            return True
        step = self.settings.every * 1000
        return trainer.batches.drawn // step > last["images"] // step

    def _evaluate(self, trainer: Trainer, dataset: Dataset, stop: Callable[[], bool]) -> tuple[Report, float]:
        """Evaluate a copy of the model; the time is added to ``spent``."""
        # Imported late: most trainings are not evaluated.
        from gancli.evaluation.evaluate import evaluate
        from gancli.metrics import METRICS

        assert self.settings is not None

        def check(_what: str, _done: int, _total: int) -> None:
            if stop():
                raise Stopped

        begun, device = time.perf_counter(), trainer.device
        metrics = [name for name in (self.settings.best_by, USUAL) if name in METRICS]
        metrics = list(dict.fromkeys(metrics)) if _makes_images(trainer) else []
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                count = self.settings.images or (None if _makes_images(trainer) else IMAGES)
                report = evaluate(
                    _copy(trainer, dataset),
                    None,
                    metrics,
                    count,
                    most=IMAGES,
                    data_dir=self.settings.data_dir,
                    progress=check,
                )
        finally:
            seconds = time.perf_counter() - begun
            self.spent += seconds
        return _titled(report, trainer.recipe.data.name, dataset.name), seconds

    def _best(self, fingerprint: str, metric: str) -> float | None:
        """The best value so far under the same protocol; None where there is none.

        From the rows and not from the file: a run that was killed and resumed has dropped rows, but not the file.
        """
        for row in reversed(self.rows):
            found = row[EVALUATION]
            if found.get("fingerprint") == fingerprint and found.get("best") and found["by"] == metric:
                return found["results"].get(metric, {}).get("value")
        return None

    def _store(self, folder: Path) -> None:
        """Store the settings in the run's folder."""
        if self.settings is not None and self.settings != stored_settings(folder):
            settings = asdict(replace(self.settings, data_dir=None))
            with atomic(folder / FILE, make=False) as temporary:
                temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _makes_images(trainer: Trainer) -> bool:
    """Whether it generates images from latents, which are evaluated by an extractor's features."""
    return trainer.objective.takes == "latent" and trainer.generator.range is not None


def _copy(trainer: Trainer, dataset: Dataset) -> Model:
    """A copy of the present model; its data have the name by which this machine finds them."""
    tensors, header = model_file(trainer, dataset)
    recipe = trainer.recipe
    header["recipe"] = recipe.to_dict()
    if trainer.objective.takes == "latent":
        header["networks"] = header["networks"][:1]  # evaluating an encoder takes longer than all the rest
    copies = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    # Not named after its folder: equal trainings leave equal files.
    return Model(Path(catalogue.MODEL_FILE), f"{recipe.model}/{dataset.name}", header, copies).to(trainer.device)


def _titled(report: Report, path: str, name: str) -> Report:
    """The report with the data set's title for its path, since reports are stored in models that are passed on."""
    warnings = tuple(warning.replace(path, name) for warning in report.warnings)
    return replace(report, protocol=replace(report.protocol, data=name), warnings=warnings)


def _better(result: Mapping[str, Any], before: float | None) -> bool:
    """Whether there is a value, and it is better than the best so far."""
    value = result["value"]
    if value is None or before is None:
        return value is not None
    return value < before if result["better"] == "lower" else value > before
