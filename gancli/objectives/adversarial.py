"""A generator against a discriminator (Goodfellow et al. 2014, algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from gancli import registry
from gancli.errors import UsageError, nearest
from gancli.faults import dotted, shown
from gancli.objectives.base import Loss, Objective, Outcome, Player, Turn

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


class Adversarial(Objective):
    """Two players and one loss.

    Args:
        networks: ``generator`` and ``discriminator``.
        loss: non-saturating, minimax or least-squares.
        order: who plays first in a round.
        steps: steps a round of each side.
        reuse_fake: both sides judge the same fakes, made once a round; otherwise each step makes fresh ones.
        penalties: on the discriminator, by name.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {"generator": "generator", "discriminator": "discriminator"}

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        loss: str = "non-saturating",
        order: list[Side] = ["discriminator", "generator"],  # noqa: B006 (read, never written)
        steps: dict[Side, Annotated[int, Field(ge=1, le=1000)]] = {},  # noqa: B006
        reuse_fake: bool = False,
        penalties: dict[str, Penalty] = {},  # noqa: B006
    ) -> None:
        super().__init__()
        if sorted(order) != ["discriminator", "generator"]:
            raise UsageError(
                f"objective.order = {order}: each side plays once", "as in order = ['discriminator', 'generator']"
            )
        self.generator, self.discriminator = networks["generator"], networks["discriminator"]
        self.loss: Loss = registry.get("loss", loss)()
        self.order, self.steps, self.reuse_fake = order, steps, reuse_fake
        self.penalties = [
            (name, registry.get("term", name), Penalty.model_validate(penalty)) for name, penalty in penalties.items()
        ]
        self._fake: Tensor | None = None

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
        sides = {
            "discriminator": Player(
                "discriminator", ("discriminator",), self.judge, steps=self.steps.get("discriminator", 1)
            ),
            "generator": Player(
                "generator", ("generator",), self.deceive, steps=self.steps.get("generator", 1), real=False
            ),
        }
        return [sides[side] for side in self.order]

    def begin(self, turn: Turn) -> None:
        """With ``reuse_fake``, make the round's fakes while the generator still takes gradients."""
        self._fake = self.generator(**turn.draw()) if self.reuse_fake else None

    def judge(self, turn: Turn) -> Outcome:
        """The discriminator's step."""
        if self._fake is not None:
            fake = self._fake.detach()
        else:
            with torch.no_grad():
                fake = self.generator(**turn.draw())
        real_logits, fake_logits = self.discriminator(turn.images).float(), self.discriminator(fake).float()
        losses = {"discriminator": self.loss.d(real_logits, fake_logits)}
        for name, penalty, how in self.penalties:
            if turn.round % how.interval == 0:
                losses[name] = penalty(self.discriminator, turn.images, fake) * (how.weight * how.interval)
        shown = {
            "probability/real": self.loss.probability(real_logits.detach()).mean(),
            "probability/fake": self.loss.probability(fake_logits.detach()).mean(),
        }
        return Outcome(losses, shown)

    def deceive(self, turn: Turn) -> Outcome:
        """The generator's step."""
        # A second step of the round must not go back through a graph that is spent: it makes fakes of its own.
        fresh = self._fake is None or not self._fake.requires_grad
        fake = self.generator(**turn.draw()) if fresh else self._fake
        self._fake = fake.detach() if self.reuse_fake else None
        return Outcome({"generator": self.loss.g(self.discriminator(fake).float())})


OBJECTIVE = Adversarial
