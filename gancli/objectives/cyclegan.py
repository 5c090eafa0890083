"""Translation both ways between two sets of images without pairs (Zhu, Park, Isola, Efros 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.objectives._alternating import Alternating
from gancli.objectives._pool import ImagePool
from gancli.terms.batch import Batch
from gancli.terms.losses import LeastSquares
from gancli.terms.players import Player, Term
from gancli.terms.step import Step

Weight = Annotated[float, Field(ge=0, le=1000)]


class CycleGan(Alternating):
    """Two generators, two discriminators, two players (section 3).

    ``generator`` makes images from sources and ``back`` sources from images; ``discriminator`` scores images,
    ``discriminator_source`` sources. A round trip must reproduce its input (equation 2): without pairs, that alone says
    which image belongs to which source.

    The discriminators score the fakes of the generators' step. Where the two sides do not alternate evenly, each step
    of the discriminators takes real images and makes fakes of its own.

    Args:
        networks: the four.
        cycle: weight of the L1 distance after a round trip; lambda of equation 3, where it is 10.
        identity: weight of the L1 distance between an image and what ``generator`` makes of it as if it were a source,
            and the same for ``back``, which preserves colours (section 5.2; half of ``cycle`` there).
        pool: fakes of earlier rounds from which the discriminators see half of theirs; 50 in section 4, 0 for none.
        options: those of :class:`Alternating`; both generators are one side, both discriminators the other.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {
        "generator": "generator",
        "back": "generator",
        "discriminator": "discriminator",
        "discriminator_source": "discriminator",
    }
    exported = ("generator", "back")
    takes = "source"

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        cycle: Weight = 10.0,
        identity: Weight = 5.0,
        pool: Annotated[int, Field(ge=0, le=10_000)] = 50,
        **options: Any,
    ) -> None:
        super().__init__(networks, **options)
        self.generator, self.back = networks["generator"], networks["back"]
        self.discriminator, self.discriminator_source = networks["discriminator"], networks["discriminator_source"]
        self.cycle, self.identity = cycle, identity
        # The paper's losses are twice these: it halves the discriminators' (section 7.1) and not the generators'.
        self.loss = LeastSquares(self.smoothing)
        shape = getattr(self.generator, "shape", (0, 0, 0))
        self.pool, self.pool_source = ImagePool(pool, shape), ImagePool(pool, shape)

    @property
    def players(self) -> Sequence[Player]:
        """Generators first: the discriminators score the fakes of the same round, with the same real images."""
        generator_terms = [
            Term("generator", lambda step: self.loss.g(None, self._logits(step)), 2.0),
            Term("back", self._back_loss, 2.0),
            Term("cycle", self._cycle, self.cycle),
            Term("identity", self._identity, self.identity),
        ]
        sides = {"discriminator": 0, "discriminator_source": 1}
        discriminator_terms = [
            Term(name, lambda step, side=side: self._discriminator_loss(self._sides(step)[side]))
            for name, side in sides.items()
        ]
        return [
            Player(
                "generator",
                ("generator", "back"),
                [*(term for term in generator_terms if term.weight), *self.regularizers_of("generator")],
                self.steps_of("generator"),
                figures=lambda step: self.loss.generator_figures(self._logits(step).detach()),
            ),
            Player(
                "discriminator",
                tuple(sides),
                [*discriminator_terms, *self.regularizers_of("discriminator", self._sides)],
                self.steps_of("discriminator"),
                real=not self.alternates_evenly,
                figures=lambda step: self.loss.figures(*(s.logits.detach() for s in self._sides(step)[0].scores)),
                after=self.adjust_augmentation,
            ),
        ]

    def _logits(self, step: Step) -> Tensor:
        return step.once("logits", lambda: step.score(self._fakes(step)[0]).logits)

    def _back_loss(self, step: Step) -> Tensor:
        return self.loss.g(None, step.score(self._fakes(step)[1], network="discriminator_source").logits)

    def _cycle(self, step: Step) -> Tensor:
        image, source = self._fakes(step)
        return _l1(self.back(source=image), step.source) + _l1(self.generator(source=source), step.real)

    def _identity(self, step: Step) -> Tensor:
        images, sources = step.real, step.source
        return _l1(self.generator(source=images), images) + _l1(self.back(source=sources), sources)

    def _discriminator_loss(self, side: Step) -> Tensor:
        self.observe(side)
        return self.loss.d(side.real_score.logits, side.fake_score.logits)

    def _fakes(self, step: Step) -> tuple[Tensor, Tensor]:
        """Images made from sources and sources made from images, which later players of the round use as well."""

        def make() -> tuple[Tensor, Tensor]:
            made = self.generator(source=step.source), self.back(source=step.real)
            step.shared |= {"batch": step.data, "fakes": tuple(fake.detach() for fake in made)}
            return made

        return step.once("fakes", make)

    def _sides(self, step: Step) -> list[Step]:
        """The discriminators' step seen by either of them: images, and sources."""

        def make() -> list[Step]:
            if step.batch is not None:
                with torch.no_grad():
                    self._fakes(step)
            rounds = self.rounds_played("discriminator", step.round)
            image, source = step.shared["fakes"]
            image, source = (
                self.pool.exchange_in(step, image, rounds),
                self.pool_source.exchange_in(step, source, rounds),
            )
            return [
                step.side("discriminator", step.real, image),
                step.side("discriminator_source", step.source, source),
            ]

        return step.once("sides", make)

    def preview(
        self, exported: Mapping[str, nn.Module], inputs: dict[str, Tensor], real: Callable[[], Batch]
    ) -> Tensor:
        """Source, its translation, and that translated back, in turn: three pictures for each real source."""
        source = real().source
        assert source is not None
        made = exported["generator"](source=source)
        return torch.stack([source, made, exported["back"](source=made)], 1).flatten(0, 1)


def _l1(made: Tensor, target: Tensor) -> Tensor:
    return (made.float() - target.float()).abs().mean()


OBJECTIVE = CycleGan
