"""Terms and the players that minimise them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from gancli.recipe.schedules import Number, value_at
from gancli.terms.step import Step


@dataclass(frozen=True)
class Term:
    """One summand of a player's loss.

    Attributes:
        name: under which its value is logged, as ``loss/NAME``.
        fn: computes it, a scalar.
        weight: a number or a schedule.
        every: it is computed in every so many rounds and weighted up, so that its mean is unchanged (Karras et al.
            2020, section 3.1).
        image_gradients: whether it needs gradients with respect to real and fake images.
    """

    name: str
    fn: Callable[[Step], Tensor]
    weight: Number = 1.0
    every: int = 1
    image_gradients: bool = False

    def due(self, number: int) -> bool:
        """Whether it is computed in the round of that number."""
        return number % self.every == 0

    def value(self, step: Step) -> Tensor:
        """Its weighted value."""
        value, factor = self.fn(step), value_at(self.weight, step.progress) * self.every
        return value if factor == 1 else value * factor


def no_figures(step: Step) -> dict[str, Tensor]:
    """Nothing to log besides the losses."""
    return {}


@dataclass(frozen=True)
class Player:
    """One side of the game.

    Attributes:
        name: also names its section under ``optimizer``.
        networks: names of the networks that it trains; all others are frozen during its step.
        terms: whose sum it minimises.
        steps: steps a round, or the number for each round.
        real: whether each step takes a fresh batch of real data.
        figures: scalars for the log besides the losses.
        after: called after each of its updates, for example to clip weights.
    """

    name: str
    networks: tuple[str, ...]
    terms: Sequence[Term]
    steps: int | Callable[[int], int] = 1
    real: bool = True
    figures: Callable[[Step], dict[str, Tensor]] = no_figures
    after: Callable[[Step], None] | None = None

    def steps_in(self, number: int) -> int:
        """Steps in the round of that number."""
        return self.steps if isinstance(self.steps, int) else self.steps(number)

    def due(self, number: int) -> list[Term]:
        """The terms of the round of that number."""
        return [term for term in self.terms if term.due(number)]

    def play(self, step: Step) -> dict[str, Tensor]:
        """The losses of a step, by name."""
        terms = self.due(step.round)
        step.trained, step.image_gradients = self.networks, any(term.image_gradients for term in terms)
        for term in terms:
            step.losses[term.name] = term.value(step)
        return step.losses
