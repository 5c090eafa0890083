"""Last layers of discriminators besides the logit of real or fake, and those of encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from gancli.architectures._base import Spec
from gancli.errors import UsageError

HeadNames = list[Literal["class", "codes"]]
"""What a discriminator may tell of an image besides real or fake."""

Code = Literal["plain", "whitened", "gaussian"]
"""What an encoder gives: codes (N, dim), or whitened codes, or means and log variances (N, 2 dim)."""


class Heads(nn.Module):
    """Linear heads on a discriminator's last features.

    With ``hidden``, they share a layer of their own, as Q does in InfoGAN (Chen et al. 2016, appendix C.1).

    Args:
        spec: how many classes and codes there are.
        names: "class" gives logits (N, classes), "codes" values (N, codes).
        features: of the discriminator's last layer.
        hidden: features of the shared layer; 0 for none.

    Raises:
        UsageError: a head for what the generator does not take.
    """

    def __init__(self, spec: Spec, names: HeadNames, features: int, hidden: int) -> None:
        super().__init__()
        sizes = {"class": spec.latent.classes, "codes": spec.latent.codes}
        for name in names:
            if not sizes[name]:
                kind = "classes" if name == "class" else name
                raise UsageError(
                    f"a discriminator cannot have the head '{name}': the generator takes no {kind}",
                    f"as in `latent.{kind}=2`",
                )
        shared: list[nn.Module] = []
        if hidden:
            shared = [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2)]
        self.shared = nn.Sequential(*shared)
        self.last = nn.ModuleList(nn.Linear(hidden or features, sizes[name]) for name in names)

    def forward(self, features: Tensor) -> list[Tensor]:
        """(N, features) to the heads' outputs, in the order of their names."""
        shared = self.shared(features)
        return [last(shared) for last in self.last]


def classes_for(spec: Spec) -> int:
    """The number of classes, for a class-conditional discriminator.

    Raises:
        UsageError: there are none.
    """
    if not spec.latent.classes:
        raise UsageError(
            "a discriminator cannot be class-conditional: there are no classes", "as in `latent.classes=data`"
        )
    return spec.latent.classes


class Projection(nn.Linear):
    """The dot product of an image's features and its class's vector, to be added to the logit (Miyato and Koyama 2018,
    "cGANs with projection discriminator", equation 3)."""

    def __init__(self, spec: Spec, features: int) -> None:
        super().__init__(features, classes_for(spec), bias=False)

    def of_class(self, features: Tensor, y: Tensor) -> Tensor:
        """(N, features), with classes y (N,), to (N, 1)."""
        return self(features).gather(1, y[:, None])


class Whitening(nn.Module):
    """Codes (N, dim) moved, turned and scaled until they have mean 0 and covariance I, as latents from N(0, 1) have.

    A Gaussian fitted to an autoencoder's codes, without which its decoder could not be sampled (Ghosh et al. 2020,
    "From variational to deterministic autoencoders", section 4): by running averages and without a gradient, so that it
    changes nothing of what is learned.

    Args:
        dim: dimensions of a code.
        momentum: share of each batch in the averages.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self, dim: int, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum
        self.over_all: Callable[[Tensor], Tensor] = lambda mean: mean  # of the batches of several processes
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("covariance", torch.eye(dim))

    def forward(self, codes: Tensor) -> Tensor:
        """(N, dim) to (N, dim)."""
        with torch.autocast(codes.device.type, enabled=False):
            codes = codes.float()
            if self.training:
                self._follow(codes.detach())
            # A code that hardly varies is left small rather than blown up.
            ridge = torch.eye(len(self.mean), device=codes.device) * (1e-4 * self.covariance.diagonal().mean())
            factor = torch.linalg.cholesky_ex(self.covariance + ridge).L
            return torch.linalg.solve_triangular(factor, (codes - self.mean).T, upper=False).T

    def _follow(self, codes: Tensor) -> None:
        self.mean.lerp_(self.over_all(codes.mean(0)), self.momentum)
        centred = codes - self.mean
        self.covariance.lerp_(self.over_all(centred.T @ centred / len(codes)), self.momentum)


def encoder_end(features: int, dim: int, code: Code) -> list[nn.Module]:
    """The last layers of an encoder, from (N, features) to what :data:`Code` names."""
    last = nn.Linear(features, 2 * dim if code == "gaussian" else dim)
    return [last, Whitening(dim)] if code == "whitened" else [last]
