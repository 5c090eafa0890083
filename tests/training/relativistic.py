"""Relativistic losses, as a plug-in would add them."""

from torch import Tensor
from torch.nn import functional as F

from gancli.terms.losses import Loss


class Pairing(Loss):
    """Relativistic pairing: each fake against one real image (Jolicoeur-Martineau 2019, section 4.1)."""

    smooths, relativistic = False, True

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake - real).mean()

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        assert real is not None
        return F.softplus(real - fake).mean()


class Average(Pairing):
    """Relativistic average: each image against the mean of the others, over the whole batch (section 4.2)."""

    whole_batch = True

    def d(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()

    def g(self, real: Tensor | None, fake: Tensor) -> Tensor:
        assert real is not None
        return self.d(fake, real)
