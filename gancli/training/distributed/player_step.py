"""A player's step, alone or shared by several processes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gancli.terms.players import Player
from gancli.terms.step import Step

_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")  # PyTorch renamed it
    if name in inspect.signature(DistributedDataParallel.__init__).parameters
)


class PlayerStep(nn.Module):
    """A player's step as a forward pass, with the networks that it trains."""

    def __init__(self, player: Player, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks, self.player = nn.ModuleList(networks), player

    def forward(self, step: Step) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See :func:`play`."""
        return play(self.player, step)


def play(player: Player, step: Step) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Losses and figures of a player's step, by name."""
    losses = player.play(step)
    return losses, player.figures(step)


def distributed(player: Player, networks: Mapping[str, nn.Module]) -> DistributedDataParallel:
    """A player's step, after whose backward pass every process has the mean of all gradients."""
    step = PlayerStep(player, [networks[name] for name in player.networks])
    # Buffers need no broadcast: where layers have batch statistics, all processes compute the same.
    make: Any = DistributedDataParallel
    return make(step, **{_BUFFERS: False})
