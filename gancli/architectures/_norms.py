"""Norms over channels, of all images or of each class."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.latents import LatentSpec

Norm = Literal["batch", "instance", "none"]


def normalisation(norm: Norm, features: int, *, flat: bool = False) -> list[nn.Module]:
    """The normalisation of that name over channels, or over features (N, features) where ``flat``."""
    if norm == "none":
        return []
    if norm == "instance":
        return [nn.InstanceNorm2d(features)]
    return [nn.BatchNorm1d(features) if flat else nn.BatchNorm2d(features)]


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scales and shifts are those of the class (Dumoulin et al. 2017, "A learned representation for
    artistic style", section 2; de Vries et al. 2017).

    Args:
        features: channels.
        classes: how many.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.scale = nn.Parameter(torch.ones(classes, features))
        self.shift = nn.Parameter(torch.zeros(classes, features))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, features, h, w), with weights of the classes y (N, classes), which are one-hot or between classes."""
        scale, shift = of_classes(y, self.scale, self.shift)
        return torch.addcmul(shift, self.norm(x), scale)


class ClassModulation(nn.Module):
    """Changes the scales and shifts of a norm by those of the class, which begin at 0 (de Vries et al. 2017,
    "Modulating early visual processing by language", section 3.2); without them, it is the norm of all classes.

    Args:
        features: channels.
        classes: how many.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.scale, self.shift = (nn.Parameter(torch.zeros(classes, features)) for _ in range(2))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Normalised (N, features, h, w), with weights of the classes y (N, classes), to the same."""
        scale, shift = of_classes(y, self.scale, self.shift)
        return torch.addcmul(shift, x, 1 + scale)


def of_classes(y: Tensor, *tensors: Tensor) -> list[Tensor]:
    """Rows (classes, features) as (N, features, 1, 1) for weights of the classes y (N, classes), one-hot or between."""
    return [(y.to(each.dtype) @ each)[:, :, None, None] for each in tensors]


def classes_of_norms(latent: LatentSpec, conditional: bool) -> int:
    """How many classes choose scales and shifts of batch norm; 0 where it is not conditional.

    Raises:
        UsageError: it is conditional, and the generator takes no classes.
    """
    if conditional and not latent.classes:
        raise UsageError(
            "conditional batch norm needs classes, and the generator takes none", "as in `latent.classes=data`"
        )
    return latent.classes if conditional else 0
