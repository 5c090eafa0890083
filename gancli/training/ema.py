"""The exponential moving average of the exported networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from gancli.recipe import Ema as Settings
from gancli.recipe.schedules import Progress, value_at


class Ema:
    """Averages of networks, batch norm's running statistics included: those of another network would not fit.

    Args:
        networks: by name, as they are trained.
        trained: whether they start from trained weights, which the first updates should not replace.

    Attributes:
        networks: the averages by name.
        updates: so far.
    """

    LEAST = 0.1
    """Shortest half-life of networks that start from trained weights, as a share of the recipe's. Without one, the
    first update would discard these weights. With the whole half-life at once (Karras et al. 2020b leave out the
    ramp-up when they transfer), a training of minutes would end with an average that is largely the old model."""

    def __init__(self, networks: Mapping[str, nn.Module], trained: bool = False) -> None:
        self.trained = trained
        self.networks = {name: deepcopy(network).requires_grad_(False) for name, network in networks.items()}
        self.updates = 0
        pairs = [pair for name, network in networks.items() for pair in _pairs(self.networks[name], network)]
        self._averages, self._currents = ([pair[i] for pair in pairs if pair[i].is_floating_point()] for i in (0, 1))
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, settings: Settings, progress: Progress, batch: int) -> None:
        """After Karras et al. (2020b, appendix B): a half-life in images, shorter at the start.

        Args:
            settings: the recipe's.
            progress: before this round.
            batch: images of this round.
        """
        half_life = value_at(settings.kimg, progress) * 1000
        if settings.rampup:
            least = self.LEAST * half_life if self.trained else 0.0
            half_life = min(half_life, max(least, progress.images * settings.rampup))
        weight = 1 - 0.5 ** (batch / max(half_life, 1e-8))
        if self.updates == 0 and not self.trained:
            torch._foreach_copy_(self._averages, self._currents)
        else:
            torch._foreach_lerp_(self._averages, self._currents, weight)
        for count, current in self._counters:
            count.copy_(current)
        self.updates += 1

    def begin_at(self, networks: Mapping[str, nn.Module]) -> None:
        """Make the averages equal to networks, before the first update."""
        for name, network in self.networks.items():
            network.load_state_dict(networks[name].state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Averages and the number of updates."""
        return {"updates": self.updates} | {name: network.state_dict() for name, network in self.networks.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self.updates = state["updates"]
        for name, network in self.networks.items():
            network.load_state_dict(state[name])


def _pairs(average: nn.Module, network: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Parameters and buffers of an average and of its network, side by side."""
    own, others = ([*module.parameters(), *module.buffers()] for module in (average, network))
    return zip(own, others, strict=True)
