"""The parts of an objective: losses, penalties, players. No optimizer and no ``.backward()`` here.

Logits are unbounded and a higher one means "more real", everywhere.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.processes import ALONE, World


class Loss(Protocol):
    """Pure functions of logits of any shape. Made with ``smoothing``: real images are labelled 1 - smoothing."""

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, a scalar to be made small."""
        ...

    def g(self, fake: Tensor) -> Tensor:
        """The generator's loss, a scalar to be made small."""
        ...

    def shown(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What the logits say in figures that a person reads; scalars by name."""
        ...

    def deceived(self, fake: Tensor) -> dict[str, Tensor]:
        """How often fakes are taken for real in the generator's step; empty for a critic, which only compares."""
        ...


class NonSaturating:
    """Cross entropy; the generator maximises log D(G(z)) (Goodfellow et al. 2014, section 3).

    Args:
        smoothing: the label of real images is 1 - smoothing, of fakes 0 (Salimans et al. 2016, section 3.4).
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        self.smoothing = smoothing

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E[log D(x)] - E[log(1 - D(G(z)))] with D = sigmoid(logit), in its stable form."""
        # -(1 - s) log D(x) - s log(1 - D(x)) is softplus(-x) + s x.
        return (F.softplus(-real) + self.smoothing * real).mean() + F.softplus(fake).mean()

    def g(self, fake: Tensor) -> Tensor:
        """-E[log D(G(z))]."""
        return F.softplus(-fake).mean()

    def shown(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The mean D(x) and D(G(z)), and how often each falls on the right side of one half."""
        return _probabilities(real.sigmoid(), fake.sigmoid())

    def deceived(self, fake: Tensor) -> dict[str, Tensor]:
        """The share with D(G(z)) above one half."""
        return {"accuracy/adversarial": (fake > 0).float().mean()}


def _probabilities(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    right = (real > 0.5).float().mean() + (fake <= 0.5).float().mean()
    return {"probability/real": real.mean(), "probability/fake": fake.mean(), "accuracy/discriminator": right / 2}


class Minimax(NonSaturating):
    """The game as first written (Goodfellow et al. 2014, equation 1): its gradient dies when D is sure."""

    def g(self, fake: Tensor) -> Tensor:
        """E[log(1 - D(G(z)))]."""
        return -F.softplus(fake).mean()


class LeastSquares:
    """Least squares with targets 1 and 0 (Mao et al. 2017, equation 9: a = 0, b = c = 1).

    Args:
        smoothing: the target of real images is 1 - smoothing.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        self.target = 1 - smoothing

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[(D(x) - 1)^2] / 2 + E[D(G(z))^2] / 2."""
        return 0.5 * ((real - self.target).square().mean() + fake.square().mean())

    def g(self, fake: Tensor) -> Tensor:
        """E[(D(G(z)) - 1)^2] / 2."""
        return 0.5 * (fake - 1).square().mean()

    def shown(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The targets are 0 and 1 themselves, so that an output reads as a probability."""
        return _probabilities(real.clamp(0, 1), fake.clamp(0, 1))

    def deceived(self, fake: Tensor) -> dict[str, Tensor]:
        """The share with an output nearer to 1 than to 0."""
        return {"accuracy/adversarial": (fake > 0.5).float().mean()}


class Wasserstein:
    """The distance that a critic of bounded slope sees (Arjovsky et al. 2017, equation 2): no sigmoid, no logarithm."""

    def __init__(self, smoothing: float = 0.0) -> None:
        if smoothing:
            raise UsageError(f"objective.smoothing = {smoothing}: a critic has no labels to smooth", "leave it out")

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[f(G(z))] - E[f(x)]."""
        return fake.mean() - real.mean()

    def g(self, fake: Tensor) -> Tensor:
        """-E[f(G(z))]."""
        return -fake.mean()

    def shown(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The estimate of the distance, which falls as samples get better."""
        return {"distance/critic": real.mean() - fake.mean()}

    def deceived(self, fake: Tensor) -> dict[str, Tensor]:
        """Nothing: a critic's values mean something only against each other."""
        return {}


class Hinge(Wasserstein):
    """The hinge loss (Lim and Ye 2017, equation 2; Miyato et al. 2018, equation 16)."""

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def shown(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """How often a logit falls on the right side of zero."""
        return {"accuracy/discriminator": ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2}

    def deceived(self, fake: Tensor) -> dict[str, Tensor]:
        """The share with a logit above zero."""
        return {"accuracy/adversarial": (fake > 0).float().mean()}


LOSSES: dict[str, Callable[..., Loss]] = {
    "non-saturating": NonSaturating,
    "minimax": Minimax,
    "least-squares": LeastSquares,
    "wasserstein": Wasserstein,
    "hinge": Hinge,
}

Score = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) to logits, with whatever else the discriminator looks at held fixed."""


def r1(score: Score, real: Tensor, fake: Tensor, turn: Turn) -> Tensor:
    """E[|grad D(x)|^2] / 2 on real images (Mescheder et al. 2018, equation 9)."""
    return 0.5 * _slope(score, real).square().sum(1).mean()


def gradient_penalty(score: Score, real: Tensor, fake: Tensor, turn: Turn) -> Tensor:
    """E[(|grad D(x)| - 1)^2] between real and fake, one epsilon a sample (Gulrajani et al. 2017, equation 3)."""
    epsilon = turn.uniform((len(real), *[1] * (real.dim() - 1)))
    between = torch.lerp(fake.to(real.dtype), real, epsilon.to(real.dtype))
    return (_slope(score, between).norm(2, dim=1) - 1).square().mean()


def _slope(score: Score, x: Tensor) -> Tensor:
    """The gradient of the summed logits at each x, flat: (N, C * H * W)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return slope.to(x.dtype).flatten(1)


# A term: a discriminator's scores, real and fake images, and the turn that chance comes from, to a scalar.
TERMS: dict[str, Callable[[Score, Tensor, Tensor, Turn], Tensor]] = {"r1": r1, "gradient-penalty": gradient_penalty}


@dataclass(frozen=True)
class Batch:
    """Real data.

    Attributes:
        images: (N, C, H, W) in the generator's range.
        labels: int64 (N,); None for data without classes.
        source: what an image is to be made from, (N, C, H, W) in the same range; None where data has none.
    """

    images: Tensor
    labels: Tensor | None = None
    source: Tensor | None = None

    @property
    def columns(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Images, labels and sources, as a batch is made of them."""
        return self.images, self.labels, self.source

    def split(self, parts: int) -> list[Batch]:
        """The same rows as so many batches of the same size, one after the other."""
        if parts == 1:
            return [self]
        columns = [[None] * parts if value is None else value.chunk(parts) for value in self.columns]
        return [Batch(*row) for row in zip(*columns, strict=True)]

    def clone(self) -> Batch:
        """The same in memory of its own."""
        return Batch(self.images.clone(), *(v if v is None else v.clone() for v in (self.labels, self.source)))

    def copy_(self, other: Batch) -> None:
        """Take over another one's values, of the same shapes."""
        both = ([value for value in batch.columns if value is not None] for batch in (self, other))
        for mine, theirs in zip(*both, strict=True):
            mine.copy_(theirs)


Latents = dict[str, Tensor]
"""What a generator is called with, by name, each (N, …)."""


class Chance:
    """Random numbers for the rows of a batch that one process works on at one time.

    All are drawn for the whole batch, by a generator that stands alike in every process, and the rows are taken from
    them: so the numbers that belong to an image depend neither on the number of processes nor on the number of parts
    that a batch is worked on in.

    Args:
        latents: makes the latents of a whole batch.
        generator: of the other random numbers, on the device.
        batch: rows of the whole.
        rows: those that are worked on.

    Attributes:
        batch: rows of the whole.
        start: the first of those that are worked on.
    """

    def __init__(
        self, latents: Callable[[], Latents], generator: torch.Generator, batch: int, rows: slice = slice(None)
    ) -> None:
        self._latents, self._generator, self.batch, self._rows = latents, generator, batch, rows
        self.start, stop, _ = rows.indices(batch)
        self._count = stop - self.start

    def draw(self) -> Latents:
        """Latents of the rows, each call anew."""
        return {name: value[self._rows] for name, value in self._latents().items()}

    def normal(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """N(0, 1), of a shape whose first side is the number of rows or a multiple of it."""
        return self._of(torch.randn, shape, dtype)

    def uniform(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        """The same, evenly from 0 to 1."""
        return self._of(torch.rand, shape, dtype)

    def _of(self, draw: Callable[..., Tensor], shape: Sequence[int], dtype: torch.dtype | None) -> Tensor:
        # Several batches in one, as of real images and fakes, come one after the other in the whole as well.
        times, rest = shape[0] // self._count, shape[1:]
        generator = self._generator
        found = draw(times * self.batch, *rest, generator=generator, device=generator.device, dtype=dtype)
        if self._count == self.batch:
            return found
        return found.unflatten(0, (times, self.batch))[:, self._rows].flatten(0, 1)


@dataclass
class Turn:
    """What a player's step works on.

    Attributes:
        chance: where its random numbers come from.
        batch: real data; None for a player that asks for none.
        round: rounds finished before this one.
        kept: what players hand on to those who play after them in the round.
        world: the processes that share the batch.
        dice: a generator on the CPU that falls alike in every process, for what concerns the batch as a whole.
    """

    chance: Chance
    batch: Batch | None = None
    round: int = 0
    kept: Any = None
    world: World = ALONE
    dice: torch.Generator = field(default_factory=torch.Generator)

    def draw(self) -> Latents:
        """Fresh generator inputs for one batch, each call anew."""
        return self.chance.draw()

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers from 0 to 1, the first side being rows of the batch."""
        return self.chance.uniform(shape)

    def normal_like(self, values: Tensor) -> Tensor:
        """N(0, 1) in the shape and type of values whose first side is rows of the batch."""
        return self.chance.normal(values.shape, values.dtype)

    @property
    def images(self) -> Tensor:
        """The real images of a player that asked for them."""
        if self.batch is None:
            raise RuntimeError("this player did not ask for real images")
        return self.batch.images

    @property
    def labels(self) -> Tensor:
        """The classes of this step's batch, int64 (N,).

        Raises:
            UsageError: the data has none.
        """
        if self.batch is None or self.batch.labels is None:
            raise UsageError(
                "this model learns classes, and the data has none", "put the images into one folder a class"
            )
        return self.batch.labels

    @property
    def source(self) -> Tensor:
        """What the images of this step's batch are to be made from.

        Raises:
            UsageError: the data has no such thing.
        """
        if self.batch is None or self.batch.source is None:
            raise UsageError(
                "this model makes images from others, and the data has none to make them from",
                "name a way to make them, as in --set data.source=gray",
            )
        return self.batch.source


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

    published: ClassVar[str] = "generator"
    """The network that turns inputs into images; it is averaged, and it is what samples are drawn from."""

    also_published: ClassVar[tuple[str, ...]] = ()
    """Other networks that inference needs, such as an encoder."""

    takes: ClassVar[Literal["latent", "source"]] = "latent"
    """What the published network is called with: latents as a latent specification makes them, or ``source=images``."""

    labelled: ClassVar[bool] = False
    """Whether the classes that the generator is told are the labels of the data."""

    @property
    @abstractmethod
    def players(self) -> Sequence[Player]:
        """In the order in which they play."""

    def begin(self, turn: Turn) -> None:
        """Called once a round, before any network is frozen."""

    def pattern(self, number: int) -> Hashable | None:
        """What the course of the round of that number depends on besides tensors and the players' numbers of steps.

        Rounds of one pattern can be recorded once and played back: all that Python decides in them is the same, nothing
        but tensors changes, and those that outlive a round are changed in place. None, unless a subclass knows better:
        no round can. Who overrides a part of such a subclass, so that it asks for the round or falls dice, overrides
        this as well.
        """
        return None

    def preview(self, published: nn.Module, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """Pictures for a run's sample grid, (M, C, H, W) in the generator's range.

        Called with every network in evaluation mode and without gradients.

        Args:
            published: the network that is sampled: the average where the recipe has one.
            inputs: latents of the run's fixed seeds, on the device.
            real: the same real data at every call, as many items as there are seeds.
        """
        return published(**inputs)
