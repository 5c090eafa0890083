"""Codes that must stay readable in the image, found without labels (Chen et al. 2016, "InfoGAN")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.objectives.adversarial import Adversarial, Inputs
from gancli.objectives.base import Turn

Weight = Annotated[float, Field(ge=0, le=100)]


class Informative(Adversarial):
    """min over G and Q, max over D: V(D, G) - lambda L_I(G, Q) (equation 6), Q being heads on D's features.

    L_I = E[log Q(c | G(z, c))] + H(c) (equation 5) bounds from below how much an image tells of the codes behind it.
    The entropy H(c) is constant and left out. Both sides make the loss small on fakes: the discriminator by reading
    better, the generator by writing more clearly.

    Args:
        class_weight: lambda of the categorical code.
        code_weight: lambda of the continuous codes.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        class_weight: Weight = 1.0,
        code_weight: Weight = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(networks, **options)
        self.class_weight, self.code_weight = class_weight, code_weight
        self.heads: tuple[str, ...] = tuple(getattr(self.discriminator, "heads", ()))
        if not self.heads:
            raise UsageError(
                "objective 'infogan' needs a discriminator that reads what the generator was told",
                'as in --set networks.discriminator.heads=["class","codes"]',
            )

    def logits(self, said: tuple[Tensor, ...]) -> Tensor:
        """Of (real or fake, what is read …)."""
        return said[0].float()

    def discriminator_terms(self, turn: Turn, real_said: Any, fake_said: Any, inputs: Inputs) -> dict[str, Tensor]:
        """How badly the discriminator reads the codes of fakes; real images have none."""
        return self._information(fake_said, inputs)

    def generator_terms(self, turn: Turn, fake: Tensor, said: Any, inputs: Inputs) -> dict[str, Tensor]:
        """How badly the generator's codes can be read."""
        return self._information(said, inputs)

    def _information(self, said: tuple[Tensor, ...], inputs: Inputs) -> dict[str, Tensor]:
        """-log Q(c | x) by kind of code, without constants."""
        losses = {}
        for name, read in zip(self.heads, said[1:], strict=True):
            if name == "class":
                losses["information/class"] = self.class_weight * F.cross_entropy(read.float(), inputs["y"])
            else:
                # A Gaussian of fixed width (section 6: "we treat the conditional as a factored Gaussian").
                distance = 0.5 * (read.float() - inputs["c"]).square().sum(1)
                losses["information/codes"] = self.code_weight * distance.mean()
        return losses


OBJECTIVE = Informative
