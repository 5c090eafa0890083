"""Adversarial losses: pure functions of logits.

Logits are unbounded, of any shape, and a higher one means "more real", everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from gancli.errors import UsageError


class Loss:
    """A loss of both players, to be minimised.

    Args:
        smoothing: one-sided label smoothing; real images have the label 1 - smoothing, fakes 0 (Salimans et al. 2016,
            section 3.4).

    Raises:
        UsageError: smoothing of a loss that has no labels.
    """

    smooths: ClassVar[bool] = True
    """Whether it has labels to smooth."""

    relativistic: ClassVar[bool] = False
    """Whether :meth:`g` uses the real images' logits; otherwise they are not computed in the generator's step."""

    whole_batch: ClassVar[bool] = False
    """Whether logits are compared across the batch: then those of all processes are gathered first."""

    def __init__(self, smoothing: float = 0.0) -> None:
        if smoothing and not self.smooths:
            raise UsageError(f"objective.smoothing = {smoothing}: this loss has no labels to smooth", "leave it out")
        self.smoothing = smoothing

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, a scalar."""
        raise NotImplementedError

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """The generator's loss, a scalar; ``real`` is None unless the loss is :attr:`relativistic`."""
        raise NotImplementedError

    def probability(self, logits: Tensor) -> Tensor | None:
        """D(x) in [0, 1]; None for a critic, whose outputs are no probabilities."""
        return logits.sigmoid()

    def figures(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Scalars for the log: mean D(x) and D(G(z)), and the share on the right side of one half."""
        on_real, on_fake = self.probability(real), self.probability(fake)
        if on_real is None or on_fake is None:
            return {"distance/critic": real.mean() - fake.mean()}
        right = (on_real > 0.5).float().mean() + (on_fake <= 0.5).float().mean()
        return {
            "probability/real": on_real.mean(),
            "probability/fake": on_fake.mean(),
            "accuracy/discriminator": right / 2,
        }

    def generator_figures(self, fake: Tensor) -> dict[str, Tensor]:
        """Scalars for the log of the generator's step: the share of fakes with D(G(z)) above one half."""
        probability = self.probability(fake)
        return {} if probability is None else {"accuracy/adversarial": (probability > 0.5).float().mean()}


class NonSaturating(Loss):
    """Cross entropy; the generator maximises log D(G(z)) (Goodfellow et al. 2014, section 3)."""

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E[log D(x)] - E[log(1 - D(G(z)))] with D = sigmoid(logit), in its stable form."""
        # -(1 - s) log D(x) - s log(1 - D(x)) is softplus(-x) + s x.
        return (F.softplus(-real) + self.smoothing * real).mean() + F.softplus(fake).mean()

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """-E[log D(G(z))]."""
        return F.softplus(-fake).mean()


class Minimax(NonSaturating):
    """The game as first written (Goodfellow et al. 2014, equation 1): its gradient vanishes when D is sure."""

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """E[log(1 - D(G(z)))]."""
        return -F.softplus(fake).mean()


class LeastSquares(Loss):
    """Least squares with targets 1 and 0 (Mao et al. 2017, equation 9: a = 0, b = c = 1)."""

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[(D(x) - 1)^2] / 2 + E[D(G(z))^2] / 2."""
        return 0.5 * ((real - (1 - self.smoothing)).square().mean() + fake.square().mean())

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """E[(D(G(z)) - 1)^2] / 2."""
        return 0.5 * (fake - 1).square().mean()

    def probability(self, logits: Tensor) -> Tensor | None:
        """The output itself: its targets are 0 and 1."""
        return logits.clamp(0, 1)


class Wasserstein(Loss):
    """The Wasserstein distance by a critic (Arjovsky et al. 2017, equation 2): no sigmoid, no logarithm."""

    smooths: ClassVar[bool] = False

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[f(G(z))] - E[f(x)]."""
        return fake.mean() - real.mean()

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """-E[f(G(z))]."""
        return -fake.mean()

    def probability(self, logits: Tensor) -> Tensor | None:
        """None."""
        return None


class Hinge(Loss):
    """The hinge loss (Lim and Ye 2017, equation 2; Miyato et al. 2018, equation 16)."""

    smooths: ClassVar[bool] = False

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """-E[D(G(z))]."""
        return -fake.mean()

    def figures(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The share of logits on the right side of zero."""
        return {"accuracy/discriminator": ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2}

    def generator_figures(self, fake: Tensor) -> dict[str, Tensor]:
        """The share of fakes with a logit above zero."""
        return {"accuracy/adversarial": (fake > 0).float().mean()}


class Relativistic(Loss):
    """Each fake is compared with one real image, of the same class where there are classes (Jolicoeur-Martineau 2019,
    "The relativistic discriminator: a key element missing from standard GAN", section 4.1, in the pairing form of
    Huang et al. 2024, equation 2): D learns that it is less real, G that it is more."""

    smooths: ClassVar[bool] = False
    relativistic: ClassVar[bool] = True

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[softplus(D(G(z)) - D(x))]."""
        return F.softplus(fake - real).mean()

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """E[softplus(D(x) - D(G(z)))]."""
        assert real is not None
        return self.d(fake, real)

    def probability(self, logits: Tensor) -> Tensor | None:
        """None: a logit says nothing by itself."""
        return None


class RelativisticAverage(Relativistic):
    """Each image is compared with the mean of the others, over the whole batch (the same, section 4.2)."""

    whole_batch: ClassVar[bool] = True

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[softplus(mean D(G(z)) - D(x))] + E[softplus(D(G(z)) - mean D(x))]."""
        return F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()


LOSSES: dict[str, Callable[..., Loss]] = {
    "non-saturating": NonSaturating,
    "minimax": Minimax,
    "least-squares": LeastSquares,
    "wasserstein": Wasserstein,
    "hinge": Hinge,
    "relativistic": Relativistic,
    "relativistic-average": RelativisticAverage,
}
