"""Regularizers: terms of either player that any adversarial objective can take."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from gancli.terms.step import Step


class Regularizer(nn.Module):
    """A term with options and, where it needs one, state that is saved with the training.

    Options are keyword-only parameters of ``__init__``; weight and interval are the recipe's.
    """

    player: ClassVar[Literal["discriminator", "generator"]] = "discriminator"
    """Whose loss it is added to."""

    image_gradients: ClassVar[bool] = False
    """Whether it needs gradients with respect to real and fake images."""

    second_order: ClassVar[tuple[str, ...]] = ()
    """Networks that gradients of gradients are taken through; those are never compiled."""

    real: ClassVar[bool] = False
    """Whether it needs real images in a generator's step."""

    def forward(self, step: Step) -> Tensor:
        """Its value, a scalar."""
        raise NotImplementedError


class R1(Regularizer):
    """E[|grad D(x)|^2] / 2 on real images (Mescheder et al. 2018, equation 9)."""

    image_gradients = True
    second_order = ("discriminator",)

    def forward(self, step: Step) -> Tensor:
        """The gradient is with respect to images before augmentation, through the loss's forward pass."""
        return 0.5 * step.image_gradient(step.real, step.real_score).square().sum(1).mean()


class R2(Regularizer):
    """E[|grad D(G(z))|^2] / 2 on fakes (Mescheder et al. 2018, equation 10)."""

    image_gradients = True
    second_order = ("discriminator",)

    def forward(self, step: Step) -> Tensor:
        """As :class:`R1`."""
        return 0.5 * step.image_gradient(step.fake, step.fake_score).square().sum(1).mean()


class GradientPenalty(Regularizer):
    """E[(|grad D(x)| - 1)^2] between real and fake images, one epsilon a sample (Gulrajani et al. 2017, equation 3)."""

    second_order = ("discriminator",)

    def forward(self, step: Step) -> Tensor:
        """Takes a forward pass of its own."""
        real, fake = step.real.detach(), step.fake.detach()
        epsilon = step.random.uniform((len(real), *[1] * (real.dim() - 1)))
        between = torch.lerp(fake.to(real.dtype), real, epsilon.to(real.dtype)).requires_grad_()
        score = step.score(between, *step.conditions(fake=False))
        return (step.image_gradient(between, score).norm(2, dim=1) - 1).square().mean()


REGULARIZERS: dict[str, type[Regularizer]] = {"r1": R1, "r2": R2, "gradient-penalty": GradientPenalty}
