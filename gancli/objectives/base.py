"""The parts of an objective: losses, penalties, players. No optimizer and no ``.backward()`` here.

Logits are unbounded and a higher one means "more real", everywhere.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Loss(Protocol):
    """Two pure functions of logits of any shape; both give a scalar to be made small."""

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss."""
        ...

    def g(self, fake: Tensor) -> Tensor:
        """The generator's loss."""
        ...

    def probability(self, logits: Tensor) -> Tensor:
        """How real the discriminator holds an image, 0 to 1."""
        ...


class NonSaturating:
    """Cross entropy; the generator maximises log D(G(z)) (Goodfellow et al. 2014, section 3)."""

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E[log D(x)] - E[log(1 - D(G(z)))] with D = sigmoid(logit), in its stable form."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def g(self, fake: Tensor) -> Tensor:
        """-E[log D(G(z))]."""
        return F.softplus(-fake).mean()

    def probability(self, logits: Tensor) -> Tensor:
        """D(x)."""
        return logits.sigmoid()


class Minimax(NonSaturating):
    """The game as first written (Goodfellow et al. 2014, equation 1): its gradient dies when D is sure."""

    def g(self, fake: Tensor) -> Tensor:
        """E[log(1 - D(G(z)))]."""
        return -F.softplus(fake).mean()


class LeastSquares:
    """Least squares with targets 1 and 0 (Mao et al. 2017, equation 9: a = 0, b = c = 1)."""

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[(D(x) - 1)^2] / 2 + E[D(G(z))^2] / 2."""
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())

    def g(self, fake: Tensor) -> Tensor:
        """E[(D(G(z)) - 1)^2] / 2."""
        return 0.5 * (fake - 1).square().mean()

    def probability(self, logits: Tensor) -> Tensor:
        """The targets are 0 and 1 themselves."""
        return logits.clamp(0, 1)


LOSSES: dict[str, Callable[[], Loss]] = {
    "non-saturating": NonSaturating,
    "minimax": Minimax,
    "least-squares": LeastSquares,
}


def r1(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """E[|grad D(x)|^2] / 2 on real images (Mescheder et al. 2018, equation 9)."""
    with torch.enable_grad():
        x = real.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return 0.5 * slope.square().flatten(1).sum(1).mean()


# A term: discriminator, real and fake images to a scalar.
TERMS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {"r1": r1}


@dataclass(frozen=True)
class Batch:
    """Real data.

    Attributes:
        images: (N, C, H, W) in the generator's range.
        labels: int64 (N,); None for data without classes.
    """

    images: Tensor
    labels: Tensor | None = None


@dataclass
class Turn:
    """What a player's step works on.

    Attributes:
        draw: fresh generator inputs for one batch, each call anew.
        batch: real data; None for a player that asks for none.
        round: rounds finished before this one.
    """

    draw: Callable[[], dict[str, Tensor]]
    batch: Batch | None = None
    round: int = 0

    @property
    def images(self) -> Tensor:
        """The real images of a player that asked for them."""
        if self.batch is None:
            raise RuntimeError("this player did not ask for real images")
        return self.batch.images


@dataclass
class Outcome:
    """What a step computed: named scalar losses, whose sum is minimised, and named scalars that are only shown."""

    losses: dict[str, Tensor]
    shown: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Player:
    """One side of the game.

    Attributes:
        name: also names its section under ``optimizer``.
        networks: the networks that it trains; all others are frozen during its step.
        play: one step's losses.
        steps: steps a round, or the number for each round (pre-training, a side that rests).
        real: whether each step takes a fresh batch of real images.
        after: called after each step, for example to clip weights.
    """

    name: str
    networks: tuple[str, ...]
    play: Callable[[Turn], Outcome]
    steps: int | Callable[[int], int] = 1
    real: bool = True
    after: Callable[[], None] | None = None

    def steps_in(self, number: int) -> int:
        """Steps in the round of that number."""
        return self.steps if isinstance(self.steps, int) else self.steps(number)


class Objective(nn.Module):
    """The list of players. A module, so that terms with state are saved with it.

    A subclass takes the networks by name first and its recipe options as keyword-only parameters.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {}
    """Names that the recipe's ``networks`` must hold, and the role that each plays in its architecture."""

    published: str = "generator"
    """The network that turns inputs into images; it is averaged, and it is what samples are drawn from."""

    also_published: tuple[str, ...] = ()
    """Other networks that inference needs, such as an encoder."""

    @property
    @abstractmethod
    def players(self) -> Sequence[Player]:
        """In the order in which they play."""

    def begin(self, turn: Turn) -> None:
        """Called once a round, before any network is frozen."""
