"""A generator against a discriminator (Goodfellow et al. 2014, algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli import registry
from gancli.architectures import Discriminator
from gancli.errors import UsageError, nearest
from gancli.objectives._alternating import SIDES, Alternating, Side
from gancli.recipe.schedules import MAY_BE_SCHEDULED, Number, Schedule, value_at
from gancli.recipe.validation_errors import dotted, shown
from gancli.terms.losses import Loss
from gancli.terms.players import Player, Term
from gancli.terms.step import Step

TopK = Annotated[float, Field(gt=0, le=1), *MAY_BE_SCHEDULED]


class Adversarial(Alternating):
    """Two players and one loss.

    A variant adds terms to either player by :meth:`discriminator_terms` and :meth:`generator_terms`.

    Args:
        networks: ``generator`` and ``discriminator``.
        loss: one of :data:`gancli.terms.losses.LOSSES`, or of a plug-in.
        order: who plays first in a round.
        reuse_fake: both players score the same fakes, made once a round; otherwise each step makes fresh ones.
        joint: the discriminator sees real and fake images as one batch, and its loss is the mean over both. One that
            treats each image by itself sees them at once anyway, since that is faster and gives the same.
        still_generator: the discriminator's fakes are made by the generator in evaluation mode.
        style_mixing: share of the fakes that are mixed from two latents: the first rows of w from one, the others from
            the other (Karras et al. 2019, "A style-based generator architecture", section 3.1).
        top_k: share of the fakes, those that look most real, that the generator learns from; a number or a schedule
            (Sinha et al. 2020, "Top-k training of GANs", algorithm 1).
        clip: after each of its updates every parameter of the discriminator is clipped to [-clip, clip]; 0 for none.
        options: those of :class:`Alternating`.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {"generator": "generator", "discriminator": "discriminator"}

    generator_weight: float = 1.0
    """Of the generator's adversarial loss."""

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        loss: str = "non-saturating",
        order: list[Side] = SIDES,
        reuse_fake: bool = False,
        joint: bool = False,
        still_generator: bool = False,
        style_mixing: Annotated[float, Field(ge=0, le=1)] = 0.0,
        top_k: TopK = 1.0,
        clip: Annotated[float, Field(ge=0)] = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(networks, **options)
        self.generator = networks["generator"]
        self.discriminator = cast(Discriminator, networks["discriminator"])
        self.loss: Loss = registry.get("loss", loss)(self.smoothing)
        self.order, self.clip, self.joint = order, clip, joint
        self.top_k: Number = Schedule.model_validate(top_k) if isinstance(top_k, Mapping) else top_k
        pairs = self.labelled and self.loss.relativistic
        if pairs and reuse_fake:
            raise UsageError(
                f"objective.reuse_fake = true: '{loss}' compares fakes with images of their classes, which each step "
                "draws anew",
                "leave it out",
            )
        if style_mixing and getattr(self.generator, "layers", 1) == 1:
            raise UsageError(
                f"objective.style_mixing = {style_mixing:g}: this generator has no rows of w to mix", "leave it out"
            )
        self.step_options = replace(
            self.step_options,
            joint=joint,
            reuse_fake=reuse_fake,
            still_generator=still_generator,
            style_mixing=style_mixing,
            pair_classes=pairs,
        )

    @staticmethod
    def validation_errors(options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """What the types of options do not tell: an unknown loss, options that exclude each other, and optimizers of
        no player."""
        loss = options.get("loss", "non-saturating")
        try:
            smooths = registry.get("loss", loss).smooths
            if options.get("smoothing") and not smooths:
                yield f"objective.smoothing = {options['smoothing']}: '{loss}' has no labels to smooth, leave it out"
        except UsageError as error:
            yield f"objective.loss = {shown(loss)}: {error.message}; {error.hint}"
        if options.get("reuse_fake") and options.get("still_generator"):
            yield "objective.still_generator = true: fakes that are used twice are made in training mode, choose one"
        if sorted(order := options.get("order", SIDES)) != sorted(SIDES):
            yield f"objective.order = {shown(order)}: each side plays once, as in {SIDES}"
        optimizer = table.get("optimizer")
        if isinstance(optimizer, Mapping):
            yield from (f"optimizer.{side}: missing" for side in SIDES if side not in optimizer)
            idle = (name for name in optimizer if name not in SIDES)
            for name in idle:
                yield f"optimizer.{dotted([name])}: belongs to no player, {nearest(name[:64], SIDES)}"

    @property
    def players(self) -> Sequence[Player]:
        """The two sides in the recipe's order."""
        generator_terms = [*self.generator_terms(), *self.regularizers_of("generator")]
        sees_data = self.takes == "source" or self.loss.relativistic or self.regularizers_take_real("generator")
        players: dict[Side, Player] = {
            "discriminator": Player(
                "discriminator",
                ("discriminator",),
                self.discriminator_terms(),
                steps=self.steps_of("discriminator"),
                figures=self._discriminator_figures,
                after=self._after_discriminator,
            ),
            "generator": Player(
                "generator",
                ("generator",),
                generator_terms,
                steps=self.steps_of("generator"),
                real=sees_data,
                figures=lambda step: self.loss.generator_figures(step.fake_score.logits.detach()),
            ),
        }
        return [players[side] for side in self.order]

    def discriminator_terms(self) -> list[Term]:
        """The summands of the discriminator's loss."""
        return [Term("discriminator", self._discriminator_loss), *self.regularizers_of("discriminator")]

    def generator_terms(self) -> list[Term]:
        """The summands of the generator's loss, without regularizers."""
        return [Term("generator", self._generator_loss, self.generator_weight)]

    def _discriminator_loss(self, step: Step) -> Tensor:
        real, fake = (self._compared(step, score.logits) for score in step.scores)
        self.observe(step)
        return self.loss.d(real, fake) * (0.5 if self.joint else 1.0)

    def _generator_loss(self, step: Step) -> Tensor:
        compare = self._compared if self.top_k == 1 else lambda step, logits: step.gather(logits)
        if self.loss.relativistic:
            real, fake = (compare(step, score.logits) for score in step.scores)
        else:
            real, fake = None, compare(step, step.fake_score.logits)
        if self.top_k == 1:
            return self.loss.g(real, fake)
        kept = math.ceil(value_at(self.top_k, step.progress) * len(fake))
        best = fake.flatten(1).mean(1).topk(kept).indices
        return self.loss.g(real if real is None else real[best], fake[best])

    def _compared(self, step: Step, logits: Tensor) -> Tensor:
        return step.gather(logits) if self.loss.whole_batch else logits

    def _discriminator_figures(self, step: Step) -> dict[str, Tensor]:
        real, fake = (score.logits.detach() for score in step.scores)
        return {**self.loss.figures(real, fake), "score/discriminator": -step.losses["discriminator"].detach()}

    def _after_discriminator(self, step: Step) -> None:
        self.adjust_augmentation(step)
        if self.clip:
            with torch.no_grad():
                for parameter in self.discriminator.parameters():
                    if parameter.requires_grad:
                        parameter.clamp_(-self.clip, self.clip)

    def begin(self, step: Step) -> None:
        """With ``reuse_fake``, make the round's fakes while the generator still takes gradients."""
        if self.step_options.reuse_fake:
            step.trained = ("generator",)
            step.shared |= {"latents": step.latents, "fake": step.fake} | (
                {} if self.takes == "source" else {"w": step.w}
            )


OBJECTIVE = Adversarial
