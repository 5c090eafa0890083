"""The variational autoencoder (Kingma and Welling 2014, "Auto-encoding variational Bayes")."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from gancli.objectives.autoencoder import Autoencoder
from gancli.objectives.base import Outcome, Turn


def posterior(encoder: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log variances of q(z | x), each float32 (N, dim)."""
    mean, log_variance = encoder(images).float().chunk(2, 1)
    return mean, log_variance


def draw(mean: Tensor, log_variance: Tensor, turn: Turn) -> Tensor:
    """z = mean + sd * noise: a sample of q(z | x) through which gradients pass (section 2.4)."""
    return mean + (0.5 * log_variance).exp() * turn.normal_like(mean)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z | x) || N(0, I)) in nats, (N,) (appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class Vae(Autoencoder):
    """Makes the evidence lower bound large (equations 8 and 10), with one sample of z for each image.

    All figures are nats per image: ``elbo`` = -(``loss/reconstruction`` + ``loss/kl``).
    """

    codes: ClassVar[int] = 2

    def play(self, turn: Turn) -> Outcome:
        """A step of both networks."""
        mean, log_variance = posterior(self.encoder, turn.images)
        reconstruction = self.surprise(draw(mean, log_variance, turn), turn.images)
        kl = divergence(mean, log_variance).mean()
        return Outcome({"reconstruction": reconstruction, "kl": kl}, {"elbo": -(reconstruction + kl).detach()})


OBJECTIVE = Vae
