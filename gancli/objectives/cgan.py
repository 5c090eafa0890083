"""A class-conditional GAN (Mirza and Osindero 2014, "Conditional generative adversarial nets")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from gancli.errors import UsageError
from gancli.objectives.adversarial import Adversarial


class Conditional(Adversarial):
    """min max E[log D(x|y)] + E[log(1 - D(G(z|y)))] (equation 2): a fake must look real as one of its class."""

    labelled: ClassVar[bool] = True

    def __init__(self, networks: Mapping[str, nn.Module], **options: Any) -> None:
        super().__init__(networks, **options)
        if not self.discriminator.conditional:
            raise UsageError("objective 'cgan' needs a discriminator that is conditioned on the class", self._advice())

    def _advice(self) -> str:
        """An option that this discriminator has, or a family that has it."""
        # One that is conditional unless told otherwise takes sources, not classes.
        switch = (type(self.discriminator).__init__.__kwdefaults__ or {}).get("conditional")
        if switch is False:
            return "as in `networks.discriminator.conditional=true`"
        return 'as in `networks.discriminator={architecture="dcgan",conditional=true}`'


OBJECTIVE = Conditional
