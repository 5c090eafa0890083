"""Translation both ways between two sets of images without pairs (Zhu, Park, Isola, Efros 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.objectives.adversarial import Procedure
from gancli.objectives.base import Batch, LeastSquares, Outcome, Player, Turn

Weight = Annotated[float, Field(ge=0, le=1000)]


class Pool(nn.Module):
    """Fakes of earlier rounds, shown to a discriminator half of the time (Shrivastava et al. 2017, section 2.3).

    A discriminator that sees only the latest fakes forgets what it has learned of older ones, and the generator may go
    back to them. The pool is part of a checkpoint.

    Args:
        size: fakes kept; 0 for none.
        shape: (C, H, W) of one.
    """

    kept: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(size, *shape))

    def exchange(self, fresh: Tensor, seen: int, dice: torch.Generator) -> Tensor:
        """Fakes to judge: each is a fresh one or, once the pool is full, as likely a kept one, which it replaces.

        Args:
            fresh: (N, C, H, W).
            seen: fakes that came before these.
            dice: decides, on the CPU.
        """
        size, count = len(self.kept), len(fresh)
        if size == 0:
            return fresh
        if seen < size:
            places = torch.arange(seen, min(seen + count, size))
            self.kept[places] = fresh[: len(places)].to(self.kept.dtype)
            return fresh
        few = min(count, size)  # one place serves one fake
        swapped = (torch.rand(few, generator=dice) < 0.5).nonzero().flatten()
        places = torch.randperm(size, generator=dice)[: len(swapped)]
        mixed = fresh.clone()
        mixed[swapped] = self.kept[places].to(fresh.dtype)
        self.kept[places] = fresh[swapped].to(self.kept.dtype)
        return mixed


class CycleGan(Procedure):
    """Two generators, two discriminators, two players (section 3).

    ``generator`` makes images from sources and ``back`` sources from images; ``discriminator`` tells images from made
    ones, ``discriminator_source`` sources from made ones. A source that goes there and back must come out as it was,
    and so must an image (equation 2): without pairs, that alone says which image belongs to which source.

    The discriminators judge what the generators have just made. Where the two sides do not step in turn, each step of
    the discriminators takes real images of its own and makes its own fakes.

    Args:
        networks: the four.
        cycle: weight of the L1 distance after a round trip; lambda of equation 3, where it is 10.
        identity: weight of the L1 distance between an image and what ``generator`` makes of it as if it were a source,
            and the same for ``back``, which keeps colours from wandering (section 5.2; half of ``cycle`` there).
        pool: fakes of earlier rounds from which the discriminators see half of theirs; 50 in section 4, 0 for none.
        options: those of :class:`Procedure`; both generators are one side, both discriminators the other.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {
        "generator": "generator",
        "back": "generator",
        "discriminator": "discriminator",
        "discriminator_source": "discriminator",
    }
    also_published = ("back",)
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
        super().__init__(**options)
        self.generator, self.back = networks["generator"], networks["back"]
        self.discriminator, self.discriminator_source = networks["discriminator"], networks["discriminator_source"]
        self.cycle, self.identity = cycle, identity
        # The paper's losses are twice these: it halves the discriminators' (section 7.1) and not the generators'.
        self.loss = LeastSquares(self.smoothing)
        shape = getattr(self.generator, "shape", (0, 0, 0))
        self.pool, self.pool_source = Pool(pool, shape), Pool(pool, shape)

    @property
    def players(self) -> Sequence[Player]:
        """Generators first: the discriminators judge what was made in the same round, on the same real images."""
        judges = ("discriminator", "discriminator_source")
        return [
            Player("generator", ("generator", "back"), self.translate, self.steps_of("generator")),
            Player("discriminator", judges, self.judge, self.steps_of("discriminator"), real=not self.in_step),
        ]

    def translate(self, turn: Turn) -> Outcome:
        """The generators' step: equation 3 with the identity term of section 5.2."""
        images, sources = turn.images, turn.source
        made, made_source = self.generator(source=sources), self.back(source=images)
        said = self.discriminator(self.noisy(made, turn)).float()
        said_source = self.discriminator_source(self.noisy(made_source, turn)).float()
        losses = {"generator": 2 * self.loss.g(said), "back": 2 * self.loss.g(said_source)}
        if self.cycle:
            trips = l1(self.back(source=made), sources) + l1(self.generator(source=made_source), images)
            losses["cycle"] = self.cycle * trips
        if self.identity:
            same = l1(self.generator(source=images), images) + l1(self.back(source=sources), sources)
            losses["identity"] = self.identity * same
        turn.kept = images, sources, made.detach(), made_source.detach()
        return Outcome(losses, self.loss.deceived(said.detach()))

    def judge(self, turn: Turn) -> Outcome:
        """The discriminators' step, each in its own set (equation 1)."""
        real, real_source, made, made_source = self._to_judge(turn)
        images = real, self._exchange(self.pool, made, turn)
        sources = real_source, self._exchange(self.pool_source, made_source, turn)
        logits = [self.discriminator(self.noisy(x, turn)).float() for x in images]
        others = [self.discriminator_source(self.noisy(x, turn)).float() for x in sources]
        losses = {"discriminator": self.loss.d(*logits), "discriminator_source": self.loss.d(*others)}
        return Outcome(losses, self.loss.shown(logits[0].detach(), logits[1].detach()))

    def _exchange(self, pool: Pool, made: Tensor, turn: Turn) -> Tensor:
        """Fakes to judge: all processes keep the same pool, and each judges its share of what comes out of it."""
        whole = turn.world.together(made)
        # Further steps of a round fill the same places of a pool again, parts of a batch the places after each other.
        before = turn.chance.start - turn.world.share(turn.chance.batch).start
        seen = self.rounds_played("discriminator", turn.round) * turn.chance.batch + turn.world.size * before
        return pool.exchange(whole, seen, turn.dice)[turn.world.share(len(whole))]

    def _to_judge(self, turn: Turn) -> tuple[Tensor, ...]:
        """Real images and sources, made images and sources: what the generators left, or all of the step's own."""
        if turn.batch is not None:
            with torch.no_grad():
                return turn.images, turn.source, self.generator(source=turn.source), self.back(source=turn.images)
        if turn.kept is None:
            raise RuntimeError("the generators play first")
        return turn.kept

    def preview(self, published: nn.Module, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """Source, what it becomes, and that taken back, in turn: three pictures for each real source."""
        source = real().source
        assert source is not None
        made = published(source=source)
        return torch.stack([source, made, self.back(source=made)], 1).flatten(0, 1)


def l1(made: Tensor, wanted: Tensor) -> Tensor:
    """The mean absolute difference."""
    return (made.float() - wanted.float()).abs().mean()


OBJECTIVE = CycleGan
