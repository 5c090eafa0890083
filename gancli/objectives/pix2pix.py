"""Pairs x -> y by a conditional GAN (Isola, Zhu, Zhou, Efros 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.objectives.adversarial import Adversarial, Inputs
from gancli.objectives.base import Batch, Outcome, Turn


class Pix2Pix(Adversarial):
    """The generator makes the image of a source; the discriminator sees both and judges whether they belong together.

    Equation 4: the generator minimises ``adversarial`` times its loss against the discriminator plus ``l1`` times the
    mean absolute difference to the true image (equation 3). Where most of an image is right already, as around a hole,
    the median that the absolute difference asks for is to leave all as it is; the squared one (``l2``; Pathak et al.
    2016, equation 1) asks for the mean.

    Args:
        networks: ``generator``, called with ``source``, and ``discriminator``, called with image and ``source``.
        l1: weight of the mean absolute difference; lambda in the paper, 100 there.
        l2: weight of the mean squared difference, of pixels in the generator's range; none in the paper.
        adversarial: weight of the generator's loss; 1 in the paper. A smaller one trusts the difference more, which
            gives blurrier images that are nearer to the truth on average.
        options: those of :class:`Adversarial`.
    """

    takes = "source"
    generator_sees_data = True

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
        self.l1, self.l2, self.adversarial = l1, l2, adversarial

    def inputs(self, turn: Turn) -> Inputs:
        """The sources of the batch."""
        return {"source": turn.source}

    def about_real(self, turn: Turn) -> Inputs:
        """The sources of the real images."""
        return {"source": turn.source}

    def about_fake(self, inputs: Inputs) -> Inputs:
        """The sources that the fakes were made from."""
        return inputs

    def generator_terms(self, turn: Turn, fake: Tensor, said: Any, inputs: Inputs) -> dict[str, Tensor]:
        """lambda E[|y - G(x)|] (equations 3 and 4), and E[(y - G(x))^2] in its place or beside it."""
        off = fake.float() - turn.images
        terms = {"l1": (self.l1, off.abs), "l2": (self.l2, off.square)}
        return {name: weight * differences().mean() for name, (weight, differences) in terms.items() if weight}

    def deceive(self, turn: Turn) -> Outcome:
        """The generator's step, its adversarial loss weighted."""
        outcome = super().deceive(turn)
        outcome.losses["generator"] = self.adversarial * outcome.losses["generator"]
        return outcome

    def preview(self, published: nn.Module, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """Source, result and true image in turn: three pictures for each pair."""
        batch = real()
        assert batch.source is not None
        return torch.stack([batch.source, published(source=batch.source), batch.images], 1).flatten(0, 1)


OBJECTIVE = Pix2Pix
