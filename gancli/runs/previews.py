"""What a training shows of itself as it goes: the same seeds, and the same real data, again and again."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from gancli.data import Dataset
from gancli.model import to_uint8
from gancli.rendering.numbers import Plot
from gancli.runs.image_stats import compare
from gancli.terms.step import Batch
from gancli.training.batches import batches_of
from gancli.training.loop import Trainer

FRAMES = 60
"""Sample grids over a run: dense at the start, where pictures change fastest."""


class Preview:
    """The fixed seeds of a run and what its networks make of them.

    Args:
        trainer: whose networks.
        dataset: what it is trained on.

    Attributes:
        before: the samples that the last figures were taken of.
    """

    def __init__(self, trainer: Trainer, dataset: Dataset) -> None:
        self.trainer, self.dataset = trainer, dataset
        self.count = trainer.settings.samples
        self.before: Tensor | None = None

    @cached_property
    def real(self) -> Batch:
        """As many real items as there are seeds (two at least), always the same ones, on the device."""
        recipe = self.trainer.recipe.with_values(training={"batch": max(2, self.count)})
        return batches_of(self.dataset, recipe, self.trainer.device, self.trainer.generator.range).next()

    @cached_property
    def _inputs(self) -> dict[str, Tensor]:
        return self.trainer.spec.latent.from_seeds(range(self.count))

    @cached_property
    def _shown(self) -> tuple[dict[str, Tensor], int | None]:
        return self.trainer.spec.latent.by_class(self.count)

    @property
    def columns(self) -> int | None:
        """Columns of the grid: the recipe's, else what gives every class a row; None for a square."""
        return self.trainer.settings.columns or self._shown[1]

    def outputs(self) -> Tensor:
        """The objective's pictures, (M, C, H, W) in the generator's range."""
        return self.trainer.preview(self._shown[0], lambda: self.real)

    def images(self) -> Tensor:
        """The same as uint8 (M, C, H, W) on the CPU; of numbers, one plot."""
        limits = self.trainer.generator.range
        if limits is None:
            return self._plot.picture(self.outputs(), f"round {self.trainer.rounds:,}")[None]
        return to_uint8(self.outputs(), limits)

    @cached_property
    def _plot(self) -> Plot:
        assert self.dataset.formula is not None
        return Plot(self.dataset.formula)

    def figures(self) -> dict[str, float]:
        """How the fixed seeds compare with the data, see :func:`gancli.runs.image_stats.compare`.

        Nothing where the network makes its images from others.
        """
        if self.trainer.objective.takes != "latent":
            return {}
        samples, before = self.trainer.sample(self._inputs).cpu(), self.before
        self.before = samples
        return compare(samples, self.real.images, before)
