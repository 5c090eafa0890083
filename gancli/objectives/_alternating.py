"""How two sides alternate, and what every objective with a discriminator offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from gancli import registry
from gancli.architectures import Discriminator, MappingGenerator
from gancli.errors import UsageError
from gancli.recipe.schedules import Schedule
from gancli.recipe.sections import Augment, Regularization
from gancli.terms.augmentation import Augmentation
from gancli.terms.objective import Objective
from gancli.terms.players import Term
from gancli.terms.regularizers import Regularizer
from gancli.terms.step import Step

Side = Literal["discriminator", "generator"]
SIDES: list[Side] = ["discriminator", "generator"]


class Rest(BaseModel):
    """A period in which one side is not trained; both rounds belong to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    side: Side
    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]


class Alternating(Objective):
    """Two sides that alternate, with regularizers and augmentation.

    Args:
        networks: by name.
        steps: steps a round of each side.
        pretrain: rounds at the beginning in which only the discriminator is trained.
        rest: later periods in which one side is not trained.
        smoothing: real images are labelled 1 - smoothing.
        input_noise: standard deviation of the noise on every image that a discriminator sees.
        regularizers: further terms by name, each with ``weight`` (a number or a schedule), ``every`` and its own
            options.
        augment: of every image that a discriminator sees: ``name`` and the augmentation's options; ``probability`` may
            be a schedule.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        steps: dict[Side, Annotated[int, Field(ge=1, le=1000)]] = {},  # noqa: B006 (read, never written)
        pretrain: Annotated[int, Field(ge=0)] = 0,
        rest: list[Rest] = [],  # noqa: B006
        smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        input_noise: Annotated[float, Field(ge=0, le=10)] = 0.0,
        regularizers: dict[str, Regularization] = {},  # noqa: B006
        augment: Augment | None = None,
    ) -> None:
        super().__init__(networks)
        self.steps, self.pretrain, self.smoothing = steps, pretrain, smoothing
        self.rest = [Rest.model_validate(period) for period in rest]
        self._weights = {name: Regularization.model_validate(values) for name, values in regularizers.items()}
        self._regularizers: dict[str, Regularizer] = {
            name: registry.get("regularizer", name)(**values.options) for name, values in self._weights.items()
        }
        self.regularizers = nn.ModuleDict(self._regularizers)
        for name, one in self._regularizers.items():
            if one.mapping and not isinstance(networks.get("generator"), MappingGenerator):
                _refuse(name, "this generator has no mapping network")
            if one.conditional and not (self.labelled and getattr(networks["discriminator"], "conditional", False)):
                _refuse(name, "it needs a discriminator that is conditioned on the class, as objective 'cgan' has")
        _check_decoders(networks, self._regularizers, self._weights)
        self.second_order = tuple({name for one in self._regularizers.values() for name in one.second_order})
        self.augmentation: Augmentation | None
        self.augmentation, strength = _augmentation(
            augment, getattr(networks.get("generator"), "range", None) or (-1.0, 1.0)
        )
        self.step_options = replace(
            self.step_options, input_noise=input_noise, augmentation=self.augmentation, strength=strength
        )

    def regularizers_of(
        self, player: Side, steps: Callable[[Step], Sequence[Step]] = lambda step: [step]
    ) -> list[Term]:
        """A player's regularizers as terms.

        Args:
            player: whose.
            steps: what they are computed on and added up over, where there are several discriminators.
        """

        def term(name: str, one: Regularizer) -> Term:
            weighted = self._weights[name]
            total = lambda step: reduce(add, map(one, steps(step)))  # noqa: E731
            return Term(name, total, weighted.weight, weighted.every, one.image_gradients)

        return [term(name, one) for name, one in self._regularizers.items() if one.player == player]

    def regularizers_take_real(self, player: Side) -> bool:
        """Whether a regularizer of this player needs real images."""
        return any(one.real for one in self._regularizers.values() if one.player == player)

    def observe(self, step: Step) -> None:
        """Show the augmentation's controller the logits of real images."""
        if self.augmentation is not None:
            self.augmentation.observe(step.real_score.logits.detach())

    def adjust_augmentation(self, step: Step) -> None:
        """Have the augmentation's controller adjust its probability after an update of the discriminator."""
        if self.augmentation is not None:
            self.augmentation.adjust(step.random.batch, step.world.mean)

    @property
    def alternates_evenly(self) -> bool:
        """Whether each side takes one step in every round, so that one may use what the other has computed."""
        return not (self.pretrain or self.rest) and all(steps == 1 for steps in self.steps.values())

    def steps_of(self, side: Side) -> int | Callable[[int], int]:
        """Steps a round: a number, or where the side rests at times, the number for each round."""
        steps, rests = self.steps.get(side, 1), self._rests(side)
        return (lambda number: 0 if any(number in period for period in rests) else steps) if rests else steps

    def rounds_played(self, side: Side, before: int) -> int:
        """Rounds before that one in which a side was trained."""
        rested = (range(period.start, min(period.stop, before)) for period in self._rests(side))
        return before - len(set().union(*rested))

    def _rests(self, side: Side) -> list[range]:
        """The rounds in which a side is not trained."""
        rests = [range(period.first, period.last + 1) for period in self.rest if period.side == side]
        return [*rests, range(self.pretrain)] if side == "generator" and self.pretrain else rests


def _refuse(regularizer: str, because: str) -> None:
    raise UsageError(f"objective.regularizers.{regularizer}: {because}", "leave it out")


def _check_decoders(
    networks: Mapping[str, nn.Module],
    regularizers: Mapping[str, Regularizer],
    weights: Mapping[str, Regularization],
) -> None:
    """Make sure that decoders of discriminators are trained, and are there where they are to be.

    Raises:
        UsageError: one without the other, or decoders that would be left out in some rounds.
    """
    found = {name: getattr(one, "decoders", None) for name, one in networks.items() if isinstance(one, Discriminator)}
    without = [name for name, decoders in found.items() if decoders is None]
    training = [name for name, one in regularizers.items() if one.decoders]
    for name in training:
        if without:
            raise UsageError(
                f"objective.regularizers.{name}: networks.{without[0]} has no decoders to train",
                f"add `networks.{without[0]}.decoders=true`, which the architecture fastgan has, or leave it out",
            )
        if weights[name].every > 1:
            raise UsageError(
                f"objective.regularizers.{name}.every = {weights[name].every}: decoders are trained in every round",
                "leave it out",
            )
    idle = [name for name in found if name not in without]
    if idle and not training:
        raise UsageError(
            f"networks.{idle[0]}.decoders = true: nothing trains them",
            "add `objective.regularizers.reconstruction.weight=1`, or leave them out",
        )


def _augmentation(section: Any, limits: Any) -> tuple[Augmentation | None, Schedule | None]:
    """The augmentation of a recipe's section for pixels in a range, and its strength where that is scheduled."""
    if section is None:
        return None, None
    section = Augment.model_validate(section)
    make = registry.get("augmentation", section.name)
    options = dict(registry.options(make).model_validate(section.options))
    strength = options.get("probability")
    if isinstance(strength, Schedule):
        return make(limits, **options | {"probability": strength.start}), strength
    return make(limits, **options), None
