"""A generator against a discriminator (Goodfellow et al. 2014, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from gancli import registry
from gancli.errors import UsageError, nearest
from gancli.objectives.base import Loss, Objective, Outcome, Player, Turn
from gancli.recipe.validation_errors import dotted, shown

Inputs = dict[str, Tensor]
Side = Literal["discriminator", "generator"]
SIDES = ["discriminator", "generator"]


class Penalty(BaseModel):
    """A penalty on the discriminator.

    With an interval above 1 it is computed only in every so many rounds and weighted up, so that its mean is
    unchanged (Karras et al. 2020, section 3.1).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    weight: Annotated[float, Field(gt=0)]
    interval: Annotated[int, Field(ge=1)] = 1


class Rest(BaseModel):
    """A period in which one side stands still and only the other plays; both rounds belong to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    side: Side
    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]


class Procedure(Objective):
    """How the two sides take turns and what keeps the discriminator from being too sure, whatever they play for.

    Args:
        steps: steps a round of each side.
        pretrain: rounds at the beginning in which only the discriminator plays.
        rest: later periods in which one side stands still.
        smoothing: real images are labelled 1 - smoothing.
        input_noise: standard deviation of the noise on every image that the discriminator sees.
    """

    def __init__(
        self,
        *,
        steps: dict[Side, Annotated[int, Field(ge=1, le=1000)]] = {},  # noqa: B006 (read, never written)
        pretrain: Annotated[int, Field(ge=0)] = 0,
        rest: list[Rest] = [],  # noqa: B006
        smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        input_noise: Annotated[float, Field(ge=0, le=10)] = 0.0,
    ) -> None:
        super().__init__()
        self.steps, self.pretrain = steps, pretrain
        self.rest = [Rest.model_validate(period) for period in rest]
        self.smoothing, self.input_noise = smoothing, input_noise

    @property
    def in_step(self) -> bool:
        """Whether each side takes one step in every round, so that one may go on with what the other has made."""
        return not (self.pretrain or self.rest) and all(steps == 1 for steps in self.steps.values())

    def steps_of(self, side: Side) -> int | Callable[[int], int]:
        """Steps a round: a number, or where the side stands still at times, the number for each round."""
        steps, still = self.steps.get(side, 1), self._still(side)
        return (lambda number: 0 if any(number in period for period in still) else steps) if still else steps

    def rounds_played(self, side: Side, before: int) -> int:
        """Rounds before that one in which a side has played."""
        rested = (range(period.start, min(period.stop, before)) for period in self._still(side))
        return before - len(set().union(*rested))

    def noisy(self, images: Tensor, turn: Turn) -> Tensor:
        """Images as a discriminator sees them."""
        return images + self.input_noise * turn.normal_like(images) if self.input_noise else images

    def _still(self, side: Side) -> list[range]:
        """The rounds in which a side stands still."""
        still = [range(period.first, period.last + 1) for period in self.rest if period.side == side]
        return [*still, range(self.pretrain)] if side == "generator" and self.pretrain else still


class Adversarial(Procedure):
    """Two players and one loss.

    A variant whose discriminator looks at more than the image, or says more than one logit, overrides the hooks at
    the end of this class.

    Args:
        networks: ``generator`` and ``discriminator``.
        loss: non-saturating, minimax, least-squares, wasserstein or hinge.
        order: who plays first in a round.
        reuse_fake: both sides judge the same fakes, made once a round; otherwise each step makes fresh ones.
        joint: the discriminator sees real and fake images as one batch, and its loss is the mean over both. One that
            judges each image by itself sees them at once anyway, since that is faster and gives the same.
        still_generator: the discriminator's fakes are made by the generator in evaluation mode.
        clip: after each of its steps every parameter of the discriminator is clipped to [-clip, clip]; 0 for none.
        penalties: on the discriminator, by name.
        options: those of :class:`Procedure`.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {"generator": "generator", "discriminator": "discriminator"}

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        loss: str = "non-saturating",
        order: list[Side] = ["discriminator", "generator"],  # noqa: B006 (read, never written)
        reuse_fake: bool = False,
        joint: bool = False,
        still_generator: bool = False,
        clip: Annotated[float, Field(ge=0)] = 0.0,
        penalties: dict[str, Penalty] = {},  # noqa: B006
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if sorted(order) != ["discriminator", "generator"]:
            raise UsageError(
                f"objective.order = {order}: each side plays once", "as in order = ['discriminator', 'generator']"
            )
        self.generator, self.discriminator = networks["generator"], networks["discriminator"]
        self.loss: Loss = registry.get("loss", loss)(self.smoothing)
        self.order, self.clip = order, clip
        self.reuse_fake, self.joint, self.still_generator = reuse_fake, joint, still_generator
        self.penalties = [
            (name, registry.get("term", name), Penalty.model_validate(penalty)) for name, penalty in penalties.items()
        ]

    @staticmethod
    def faults(options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """What the types of a recipe's options do not tell: unknown names, and optimizers of nobody."""
        loss = options.get("loss", "non-saturating")
        names = [("loss", f"objective.loss = {shown(loss)}", loss)]
        names += [("term", f"objective.penalties.{dotted([name])}", name) for name in options.get("penalties", {})]
        for kind, where, name in names:
            try:
                registry.get(kind, name)
            except UsageError as error:
                yield f"{where}: {error.message}; {error.hint}"
        if loss in ("wasserstein", "hinge") and options.get("smoothing"):
            yield f"objective.smoothing = {options['smoothing']}: '{loss}' has no labels to smooth, leave it out"
        if options.get("reuse_fake") and options.get("still_generator"):
            yield "objective.still_generator = true: fakes that are used twice are made in training mode, choose one"
        if sorted(order := options.get("order", SIDES)) != sorted(SIDES):
            yield f"objective.order = {shown(order)}: each side plays once, as in {SIDES}"
        given = table.get("optimizer")
        if isinstance(given, Mapping):
            yield from (f"optimizer.{side}: missing" for side in SIDES if side not in given)
            idle = (name for name in given if name not in SIDES)
            for name in idle:
                yield f"optimizer.{dotted([name])}: belongs to no player, {nearest(name[:64], SIDES)}"

    @property
    def players(self) -> Sequence[Player]:
        """The two sides in the recipe's order."""
        after = self._clamp if self.clip else None
        judge = Player(
            "discriminator", ("discriminator",), self.judge, steps=self.steps_of("discriminator"), after=after
        )
        deceive = Player(
            "generator", ("generator",), self.deceive, steps=self.steps_of("generator"), real=self.generator_sees_data
        )
        return [{"discriminator": judge, "generator": deceive}[side] for side in self.order]

    def _clamp(self) -> None:
        with torch.no_grad():
            for parameter in self.discriminator.parameters():
                parameter.clamp_(-self.clip, self.clip)

    def begin(self, turn: Turn) -> None:
        """With ``reuse_fake``, make the round's fakes while the generator still takes gradients."""
        if self.reuse_fake:
            inputs = self.inputs(turn)
            turn.kept = inputs, self.generator(**inputs)

    def pattern(self, number: int) -> Hashable:
        """Which penalties are computed."""
        return tuple(number % how.interval == 0 for _, _, how in self.penalties)

    def judge(self, turn: Turn) -> Outcome:
        """The discriminator's step."""
        if turn.kept is not None:
            inputs, fake = turn.kept[0], turn.kept[1].detach()
        else:
            with torch.no_grad(), self._stillness():
                inputs = self.inputs(turn)
                fake = self.generator(**inputs)
        seen, about_real, about_fake = turn.images, self.about_real(turn), self.about_fake(inputs)
        if self.joint or getattr(self.discriminator, "batch_independent", False):
            about = {name: torch.cat([value, about_fake[name]]) for name, value in about_real.items()}
            both = self._look(turn, torch.cat([seen, fake]), about)
            real_said, fake_said = _halves(both, len(seen))
        else:
            real_said, fake_said = self._look(turn, seen, about_real), self._look(turn, fake, about_fake)
        real, false = self.logits(real_said), self.logits(fake_said)
        loss = self.loss.d(real, false) * (0.5 if self.joint else 1.0)
        losses = {"discriminator": loss}
        for name, penalty, how in self.penalties:
            if turn.round % how.interval == 0:
                value = penalty(lambda x: self.logits(self.discriminator(x, **about_real)), seen, fake, turn)
                losses[name] = value * (how.weight * how.interval)
        losses |= self.discriminator_terms(turn, real_said, fake_said, inputs)
        figures = self.loss.shown(real.detach(), false.detach())
        return Outcome(losses, {**figures, "score/discriminator": -loss.detach()})

    def deceive(self, turn: Turn) -> Outcome:
        """The generator's step."""
        # A second step of the round must not go back through a graph that is spent: it makes fakes of its own.
        if turn.kept is not None and turn.kept[1].requires_grad:
            inputs, fake = turn.kept
        else:
            inputs = self.inputs(turn)
            fake = self.generator(**inputs)
        if self.reuse_fake:
            turn.kept = inputs, fake.detach()
        said = self._look(turn, fake, self.about_fake(inputs))
        logits = self.logits(said)
        losses = {"generator": self.loss.g(logits), **self.generator_terms(turn, fake, said, inputs)}
        return Outcome(losses, self.loss.deceived(logits.detach()))

    def _look(self, turn: Turn, images: Tensor, about: Inputs) -> Any:
        return self.discriminator(self.noisy(images, turn), **about)

    @contextmanager
    def _stillness(self) -> Generator[None]:
        """The generator in evaluation mode, if the recipe wants the discriminator's fakes made so."""
        self.generator.train(not self.still_generator)
        try:
            yield
        finally:
            self.generator.train()

    # What a variant may change.

    generator_sees_data: ClassVar[bool] = False
    """Whether each step of the generator takes a batch of real data."""

    def inputs(self, turn: Turn) -> Inputs:
        """What the generator is called with."""
        return turn.draw()

    def about_real(self, turn: Turn) -> Inputs:
        """What the discriminator is told about real images, as keyword arguments."""
        return {}

    def about_fake(self, inputs: Inputs) -> Inputs:
        """What the discriminator is told about fakes that were made from these inputs."""
        return {}

    def logits(self, said: Any) -> Tensor:
        """The real-or-fake logits in what the discriminator returned."""
        return said.float()

    def discriminator_terms(self, turn: Turn, real_said: Any, fake_said: Any, inputs: Inputs) -> dict[str, Tensor]:
        """Further losses of the discriminator's step, by name."""
        return {}

    def generator_terms(self, turn: Turn, fake: Tensor, said: Any, inputs: Inputs) -> dict[str, Tensor]:
        """Further losses of the generator's step, by name."""
        return {}


def _halves(said: Any, count: int) -> tuple[Any, Any]:
    """What a discriminator said of real and fake images as one batch, apart again; tuples part by part."""
    if isinstance(said, Tensor):
        return said[:count], said[count:]
    parts = [_halves(part, count) for part in said]
    return tuple(real for real, _ in parts), tuple(fake for _, fake in parts)


OBJECTIVE = Adversarial
