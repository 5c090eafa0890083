"""The discriminator also classifies (Odena, Olah, Shlens 2017, "Conditional image synthesis with ACGANs")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.objectives.adversarial import Adversarial
from gancli.terms.players import Term
from gancli.terms.step import Score, Step


class AuxiliaryClassifier(Adversarial):
    """D maximises L_S + L_C, G maximises L_C - L_S (section 3): L_S is the source, L_C the class.

    Args:
        networks: ``generator``, and ``discriminator`` with the head "class".
        class_weight: of the class loss; the paper's is 1.
        options: those of :class:`Adversarial`.
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
        if "class" not in self.discriminator.heads:
            raise UsageError(
                "objective 'acgan' needs a discriminator with a class head",
                'as in `networks.discriminator.heads=["class"]`',
            )

    def discriminator_terms(self) -> list[Term]:
        """-L_C = -E[log P(C = c | x_real)] - E[log P(C = c | x_fake)] (equation 3) besides."""
        return [*super().discriminator_terms(), Term("class", self._class_loss, self.class_weight)]

    def generator_terms(self) -> list[Term]:
        """The part of -L_C that depends on the generator besides."""
        fake = Term("class/fake", lambda step: _entropy(step.fake_score, step.latents["y"]), self.class_weight)
        return [*super().generator_terms(), fake]

    def _class_loss(self, step: Step) -> Tensor:
        return _entropy(step.real_score, step.labels) + _entropy(step.fake_score, step.latents["y"])


def _entropy(score: Score, classes: Tensor) -> Tensor:
    return F.cross_entropy(score.heads["class"], classes)


OBJECTIVE = AuxiliaryClassifier
