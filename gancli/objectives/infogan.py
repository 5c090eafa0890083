"""Latent codes with maximal mutual information, found without labels (Chen et al. 2016, "InfoGAN")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.objectives.adversarial import Adversarial
from gancli.terms.players import Term
from gancli.terms.step import Step

Weight = Annotated[float, Field(ge=0, le=100)]


class InfoGan(Adversarial):
    """min over G and Q, max over D: V(D, G) - lambda L_I(G, Q) (equation 6), Q being heads on D's features.

    L_I = E[log Q(c | G(z, c))] + H(c) (equation 5) is a lower bound of the mutual information between an image and its
    codes. The entropy H(c) is constant and left out. Both players minimise -L_I on fakes.

    Args:
        networks: ``generator``, and ``discriminator`` with the heads "class", "codes" or both.
        class_weight: lambda of the categorical code.
        code_weight: lambda of the continuous codes.
        options: those of :class:`Adversarial`.
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
        terms = {
            "class": Term("information/class", _of_class, class_weight),
            "codes": Term("information/codes", _of_codes, code_weight),
        }
        self.information = [terms[head] for head in self.discriminator.heads if head in terms]
        if not self.information:
            raise UsageError(
                "objective 'infogan' needs a discriminator with heads for the generator's codes",
                'as in `networks.discriminator.heads=["class","codes"]`',
            )

    def discriminator_terms(self) -> list[Term]:
        """-L_I on fakes besides; real images have no codes."""
        return [*super().discriminator_terms(), *self.information]

    def generator_terms(self) -> list[Term]:
        """-L_I besides."""
        return [*super().generator_terms(), *self.information]


def _of_class(step: Step) -> Tensor:
    return F.cross_entropy(step.fake_score.heads["class"], step.latents["y"])


def _of_codes(step: Step) -> Tensor:
    """-log of a Gaussian of fixed width (section 6: "we treat the conditional as a factored Gaussian")."""
    return 0.5 * (step.fake_score.heads["codes"] - step.latents["c"]).square().sum(1).mean()


OBJECTIVE = InfoGan
