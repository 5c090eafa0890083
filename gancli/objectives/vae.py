"""The variational autoencoder (Kingma and Welling 2014, "Auto-encoding variational Bayes")."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from gancli.objectives.autoencoder import Autoencoder
from gancli.terms.players import Term
from gancli.terms.step import Step


def posterior(encoder: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log variances of q(z | x), each float32 (N, dim)."""
    mean, log_variance = encoder(images).float().chunk(2, 1)
    return mean, log_variance


def draw(mean: Tensor, log_variance: Tensor, step: Step) -> Tensor:
    """z = mean + sd * noise: a sample of q(z | x) through which gradients pass (section 2.4)."""
    return mean + (0.5 * log_variance).exp() * step.random.normal(mean.shape, mean.dtype)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z | x) || N(0, I)) in nats, (N,) (appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class Vae(Autoencoder):
    """Maximises the evidence lower bound (equations 8 and 10), with one sample of z for each image.

    All figures are nats per image: ``elbo`` = -(``loss/reconstruction`` + ``loss/kl``).
    """

    codes: ClassVar[int] = 2

    def terms(self) -> list[Term]:
        """Reconstruction and KL divergence."""
        return [*super().terms(), Term("kl", lambda step: divergence(*self._posterior(step)).mean())]

    def figures(self, step: Step) -> dict[str, Tensor]:
        """The evidence lower bound."""
        return {"elbo": -(step.losses["reconstruction"] + step.losses["kl"]).detach()}

    def encode(self, step: Step) -> Tensor:
        """A sample of q(z | x)."""
        return draw(*self._posterior(step), step)

    def _posterior(self, step: Step) -> tuple[Tensor, Tensor]:
        return step.once("posterior", lambda: posterior(self.encoder, step.real))


OBJECTIVE = Vae
