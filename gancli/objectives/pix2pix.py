"""Pairs x -> y by a conditional GAN (Isola, Zhu, Zhou, Efros 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.objectives.adversarial import Adversarial
from gancli.terms.batch import Batch
from gancli.terms.players import Term
from gancli.terms.step import Step


class Pix2Pix(Adversarial):
    """The generator translates a source; the discriminator sees both and decides whether the pair is real.

    Equation 4: the generator minimises ``adversarial`` times its loss against the discriminator plus ``l1`` times the
    mean absolute difference to the true image (equation 3). Where most of an image is right already, as around a hole,
    the absolute difference is smallest for the source itself (a median); the squared one (``l2``; Pathak et al. 2016,
    equation 1) is smallest for the mean.

    Args:
        networks: ``generator``, called with ``source``, and ``discriminator``, called with image and ``source``.
        l1: weight of the mean absolute difference; lambda in the paper, 100 there.
        l2: weight of the mean squared difference, of pixels in the generator's range; none in the paper.
        adversarial: weight of the generator's loss; 1 in the paper. A smaller one gives blurrier images that are nearer
            to the truth on average.
        options: those of :class:`Adversarial`.
    """

    takes = "source"

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        l1: Annotated[float, Field(ge=0, le=10_000)] = 100.0,
        l2: Annotated[float, Field(ge=0, le=10_000)] = 0.0,
        adversarial: Annotated[float, Field(ge=0, le=100)] = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(networks, **options)
        self.l1, self.l2, self.generator_weight = l1, l2, adversarial

    def generator_terms(self) -> list[Term]:
        """lambda E[|y - G(x)|] (equations 3 and 4) and E[(y - G(x))^2] besides, each where its weight is above 0."""
        terms = [Term("l1", lambda step: _off(step).abs().mean(), self.l1)]
        terms.append(Term("l2", lambda step: _off(step).square().mean(), self.l2))
        return [*super().generator_terms(), *(term for term in terms if term.weight)]

    def preview(
        self, exported: Mapping[str, nn.Module], inputs: dict[str, Tensor], real: Callable[[], Batch]
    ) -> Tensor:
        """Source, result and true image in turn: three pictures for each pair."""
        batch = real()
        assert batch.source is not None
        made = exported["generator"](source=batch.source)
        return torch.stack([batch.source, made, batch.images], 1).flatten(0, 1)


def _off(step: Step) -> Tensor:
    return step.fake.float() - step.real


OBJECTIVE = Pix2Pix
