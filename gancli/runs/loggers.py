"""What a training reports, written for other tools as well: an adapter over the rows of ``metrics.jsonl``.

The training loop knows none of them: they are reporters beside the display.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.errors import UsageError
from gancli.runs.folder import METRICS_FILE, SAMPLES
from gancli.runs.metrics_log import metrics_of, read_metrics

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.recipe import Recipe
    from gancli.runs.run import Reporter


FOLDER, WANDB_FOLDER = "tensorboard", "wandb"
"""Of the event files, and of offline runs, in a run's folder."""


class Several:
    """Reports everything to several reporters in turn."""

    def __init__(self, *reporters: Reporter) -> None:
        self.reporters = reporters

    def row(self, values: dict[str, Any]) -> None:
        """See :class:`gancli.runs.run.Reporter`, like the others."""
        for one in self.reporters:
            one.row(values)

    def pictures(self, images: Tensor) -> None:
        """Current samples."""
        for one in self.reporters:
            one.pictures(images)

    def replanned(self, rounds: int) -> None:
        """Another number of rounds."""
        for one in self.reporters:
            one.replanned(rounds)


class TensorBoard:
    """Event files of TensorBoard: scalars by round, sample grids, the recipe.

    A training that is resumed starts an event file that takes back what an earlier process logged after the state that
    it continues from. The first process of a run that had no event files logs the rows that are there already.

    Args:
        folder: the run's.
        recipe: its recipe.
        done: rounds that are done.
    """

    def __init__(self, folder: Path, recipe: Recipe, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        there = folder / FOLDER
        again = any(there.glob("events.*")) if there.is_dir() else False
        self._writer = SummaryWriter(str(there), purge_step=done + 1 if again else None)
        self._samples: Tensor | None = None
        if not again:
            text = json.dumps(recipe.to_dict(), indent=2)
            self._writer.add_text("recipe", f"```json\n{text}\n```", 0)
            for row in read_metrics(folder / METRICS_FILE):
                self.row(row)

    def row(self, values: Mapping[str, Any]) -> None:
        """Every metric of a row, and the samples of its round; of an evaluation, every result."""
        for name, value in metrics_of(values).items():
            self._writer.add_scalar(name, value, values["round"])
        if self._samples is not None:
            self._writer.add_image("samples", self._samples, values["round"])
            self._samples = None

    def pictures(self, images: Tensor) -> None:
        """Keep a grid of samples for the next row."""
        from gancli.rendering.images import arrange

        self._samples = arrange(images)

    def replanned(self, rounds: int) -> None:
        """Nothing: it shows no end."""

    def close(self) -> None:
        """Write what is waiting."""
        self._writer.close()


class WandB:
    """An offline run of Weights & Biases in a run's folder: metrics by round, sample grids, the recipe.

    Nothing is sent anywhere; ``wandb sync`` uploads it. Such a run cannot take back what was logged after the state
    that a training continues from, so every process begins it anew with the rows and sample grids that are there.

    Args:
        folder: the run's.
        recipe: its recipe.
        done: rounds that are done.
    """

    def __init__(self, folder: Path, recipe: Recipe, done: int) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would send its own errors to its makers
        import wandb

        shutil.rmtree(folder / WANDB_FOLDER, ignore_errors=True)
        self._run = wandb.init(
            project="gancli",
            name=folder.resolve().name,
            config=recipe.to_dict(),
            dir=str(folder),
            mode="offline",
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                save_code=False,
                x_disable_meta=True,  # of the machine
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        self._image, self._samples = wandb.Image, {}
        grids = {int(path.stem): path for path in (folder / SAMPLES).glob("*.png") if path.stem.isdigit()}
        for row in read_metrics(folder / METRICS_FILE):
            if (picture := grids.pop(row["round"], None)) is not None:
                self._samples = {"samples": self._image(str(picture))}
            self.row(row)

    def row(self, values: Mapping[str, Any]) -> None:
        """Every metric of a row, and the samples of its round; of an evaluation, every result."""
        self._run.log(metrics_of(values) | self._samples, step=values["round"])
        self._samples = {}

    def pictures(self, images: Tensor) -> None:
        """Keep a grid of samples for the next row."""
        from gancli.rendering.images import arrange, to_pil

        self._samples = {"samples": self._image(to_pil(arrange(images)))}

    def replanned(self, rounds: int) -> None:
        """Nothing: it shows no end."""

    def close(self) -> None:
        """Write what is waiting."""
        self._run.finish()


KINDS = {"tensorboard": TensorBoard, "wandb": WandB}


def check(names: Sequence[str]) -> None:
    """Make sure that these loggers are known and installed, before any work.

    Raises:
        UsageError: one is not.
    """
    from importlib.util import find_spec

    for name in names:
        if name not in KINDS:
            raise UsageError(f"there is no logger '{name}'", f"known: {', '.join(KINDS)}")
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # a folder of that name is no package
            raise UsageError(f"logging to {name} needs the package {name}", f"pip install 'gancli[{name}]'")


@contextmanager
def logging(names: Sequence[str], folder: Path, recipe: Recipe, done: int, display: Reporter) -> Generator[Reporter]:
    """A reporter that reports to the display and to the loggers of these names."""
    loggers = [KINDS[name](folder, recipe, done) for name in dict.fromkeys(names)]
    try:
        yield Several(display, *loggers)
    finally:
        for logger in loggers:
            logger.close()
