"""The discriminator also names the class (Odena, Olah, Shlens 2017, "Conditional image synthesis with ACGANs")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.objectives.adversarial import Adversarial, Inputs
from gancli.objectives.base import Turn


class AuxiliaryClassifier(Adversarial):
    """D maximises L_S + L_C, G maximises L_C - L_S (section 3): source right or wrong, class right for both.

    Args:
        class_weight: of the class loss; the paper's is 1.
    """

    labelled: ClassVar[bool] = True

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        class_weight: Annotated[float, Field(gt=0, le=100)] = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(networks, **options)
        self.class_weight = class_weight
        if getattr(self.discriminator, "heads", ()) != ("class",):
            raise UsageError(
                "objective 'acgan' needs a discriminator that reads the class",
                'as in --set networks.discriminator.heads=["class"]',
            )

    def logits(self, said: tuple[Tensor, Tensor]) -> Tensor:
        """Of (real or fake, class)."""
        return said[0].float()

    def discriminator_terms(self, turn: Turn, real_said: Any, fake_said: Any, inputs: Inputs) -> dict[str, Tensor]:
        """-L_C = -E[log P(C = c | x_real)] - E[log P(C = c | x_fake)] (equation 3)."""
        return {"class": self._class_loss(real_said, turn.labels) + self._class_loss(fake_said, inputs["y"])}

    def generator_terms(self, turn: Turn, fake: Tensor, said: Any, inputs: Inputs) -> dict[str, Tensor]:
        """The part of -L_C that depends on the generator."""
        return {"class/fake": self._class_loss(said, inputs["y"])}

    def _class_loss(self, said: tuple[Tensor, Tensor], classes: Tensor) -> Tensor:
        return self.class_weight * F.cross_entropy(said[1].float(), classes)


OBJECTIVE = AuxiliaryClassifier
