"""Both sides are told the class (Mirza and Osindero 2014, "Conditional generative adversarial nets")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from gancli.errors import UsageError
from gancli.objectives.adversarial import Adversarial, Inputs
from gancli.objectives.base import Turn


class Conditional(Adversarial):
    """min max E[log D(x|y)] + E[log(1 - D(G(z|y)))] (equation 2): a fake must look real as one of its class."""

    labelled: ClassVar[bool] = True

    def __init__(self, networks: Mapping[str, nn.Module], **options: Any) -> None:
        super().__init__(networks, **options)
        if not getattr(self.discriminator, "conditional", False):
            raise UsageError(
                "objective 'cgan' needs a discriminator that is told the class",
                "as in --set networks.discriminator.conditional=true",
            )

    def about_real(self, turn: Turn) -> Inputs:
        """The labels of the batch."""
        return {"y": turn.labels}

    def about_fake(self, inputs: Inputs) -> Inputs:
        """The classes that the generator was asked for."""
        return {"y": inputs["y"]}


OBJECTIVE = Conditional
