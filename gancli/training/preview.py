"""What a training shows of itself as it goes: the same seeds, and the same real data, again and again."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from gancli.data import Dataset
from gancli.model import to_uint8
from gancli.objectives.base import Batch
from gancli.training.feed import feed_of
from gancli.training.trainer import Trainer


class Preview:
    """The fixed seeds of a run and what its networks make of them.

    Args:
        trainer: whose networks.
        dataset: what it is trained on.
    """

    def __init__(self, trainer: Trainer, dataset: Dataset) -> None:
        self.trainer, self.dataset = trainer, dataset
        self.count = trainer.settings.samples

    @cached_property
    def real(self) -> Batch:
        """As many real items as there are seeds (two at least), always the same ones, on the device."""
        recipe = self.trainer.recipe.with_values(training={"batch": max(2, self.count)})
        return feed_of(self.dataset, recipe, self.trainer.device, self.trainer.generator.range).next()

    @cached_property
    def _inputs(self) -> dict[str, Tensor]:
        return self.trainer.spec.latent.from_seeds(range(self.count))

    def outputs(self) -> Tensor:
        """The objective's pictures, (M, C, H, W) in the generator's range."""
        return self.trainer.preview(self._inputs, lambda: self.real)

    def images(self) -> Tensor:
        """The same as uint8 (M, C, H, W) on the CPU."""
        return to_uint8(self.outputs(), self.trainer.generator.range)

    def diversity(self) -> float | None:
        """How far samples lie apart, as a share of how far real data do: about 1 when healthy, 0 when collapsed.

        The mean distance between two items of a batch. None where real items do not differ from each other, or
        where the network makes its images from others.
        """
        if self.trainer.objective.takes != "latent":
            return None
        apart = _spread(self.real.images)
        if apart < 1e-3:
            return None
        return _spread(self.trainer.sample(self._inputs)) / apart


def _spread(items: Tensor) -> float:
    """Mean distance between two different items."""
    flat = items.detach().float().flatten(1).cpu()
    return float(torch.pdist(flat).mean()) if len(flat) > 1 else 0.0
