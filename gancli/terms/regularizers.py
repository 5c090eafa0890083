"""Regularizers: terms of either player that any adversarial objective can take."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from gancli.terms.augmentation.diffaugment import DiffAugment, Policy
from gancli.terms.step import Score, Step


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

    conditional: ClassVar[bool] = False
    """Whether it needs a discriminator that is conditioned on the class."""

    mapping: ClassVar[bool] = False
    """Whether it needs a generator with a mapping network."""

    decoders: ClassVar[bool] = False
    """Whether it needs a discriminator with decoders."""

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
        return _from_one(step, torch.lerp(fake.to(real.dtype), real, epsilon.to(real.dtype)))


class Dragan(Regularizer):
    """E[(|grad D(x + d)| - 1)^2] around real x, d of N(0, std^2) (Kodali et al. 2017, "On convergence and stability
    of GANs", algorithm 1).

    Args:
        std: of the noise, in the units of pixel values.
    """

    second_order = ("discriminator",)

    def __init__(self, *, std: Annotated[float, Field(gt=0, le=10)] = 0.5) -> None:
        super().__init__()
        self.std = std

    def forward(self, step: Step) -> Tensor:
        """Takes a forward pass of its own."""
        real = step.real.detach()
        return _from_one(step, real + self.std * step.random.normal(real.shape, real.dtype))


def _from_one(step: Step, images: Tensor) -> Tensor:
    """E[(|grad D(x)| - 1)^2] at images with the labels of the real ones."""
    images.requires_grad_()
    score = step.score(images, *step.conditions(fake=False))
    return (step.image_gradient(images, score).norm(2, dim=1) - 1).square().mean()


class Following(Regularizer):
    """A regularizer with running means of the whole batch, saved with the training.

    Args:
        decay: of the running means, in updates that compute it; they begin with the first values.
    """

    means: ClassVar[tuple[str, ...]]
    """Their names."""

    updates: Tensor

    def __init__(self, *, decay: Annotated[float, Field(ge=0, lt=1)] = 0.99) -> None:
        super().__init__()
        self.decay = decay
        for name in (*self.means, "updates"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def follow(self, step: Step, **values: Tensor) -> None:
        """Move each running mean toward the mean of its values (N, ...)."""
        rate = torch.where(self.updates == 0, 1.0, 1 - self.decay)
        for name, value in values.items():
            mean = self.get_buffer(name)
            mean.lerp_(step.mean(value.detach()).mean().to(mean.dtype), rate)
        self.updates += 1


class LeCam(Following):
    """E[(D(x) - a_F)^2] + E[(D(G(z)) - a_R)^2], with running means a_R of D(x) and a_F of D(G(z)) (Tseng et al. 2021,
    "Regularizing generative adversarial networks under limited data", section 3)."""

    means = ("real_mean", "fake_mean")

    real_mean: Tensor
    fake_mean: Tensor

    def forward(self, step: Step) -> Tensor:
        """The means are those up to this step."""
        real, fake = (score.logits for score in step.scores)
        self.follow(step, real_mean=real, fake_mean=fake)
        return (real - self.fake_mean).square().mean() + (fake - self.real_mean).square().mean()


class Consistency(Regularizer):
    """E[(D(x) - D(T(x)))^2] + r E[(D(G(z)) - D(T(G(z))))^2] (Zhao et al. 2021, "Improved consistency regularization for
    GANs", algorithm 1, bCR).

    Args:
        policy: what T does; see :class:`gancli.terms.augmentation.DiffAugment`.
        fakes: r, the fakes' share; 0 regularizes real images alone (CR: Zhang et al. 2020).
    """

    def __init__(
        self,
        *,
        policy: Policy = ["translation"],  # noqa: B006 (only read)
        fakes: Annotated[float, Field(ge=0, le=1000)] = 1.0,
    ) -> None:
        super().__init__()
        self.policy, self.fakes = policy, fakes

    def forward(self, step: Step) -> Tensor:
        """Takes a forward pass of its own for each side."""
        augment = DiffAugment(step.generator.range or (-1.0, 1.0), policy=self.policy)

        def change(images: Tensor, score: Score, fake: bool) -> Tensor:
            moved = augment(images.detach(), step.random)
            return (score.logits - step.score(moved, *step.conditions(fake=fake)).logits).square().mean()

        real, fake = step.scores
        value = change(step.real, real, fake=False)
        return value + self.fakes * change(step.fake, fake, fake=True) if self.fakes else value


class Mismatch(Regularizer):
    """E[softplus(D(x, y') - D(x, y))]: a real image with a class y' that is not its own counts as a fake (Reed et al.
    2016, "Generative adversarial text to image synthesis", section 4.2, here in pairs).

    A class-conditional discriminator may ignore the class and still win; then the generator ignores it, too.
    """

    conditional = True

    def forward(self, step: Step) -> Tensor:
        """Takes a forward pass of its own."""
        labels, source = step.conditions(fake=False)
        assert labels is not None
        classes = step.generator.latent.classes
        others = (step.random.uniform(labels.shape) * (classes - 1)).long()
        wrong = step.score(step.real.detach(), (labels + 1 + others) % classes, source)
        return functional.softplus(wrong.logits - step.real_score.logits).mean()


class FeatureMatching(Regularizer):
    """|E f(x) - E f(G(z))|^2 / features, f being what D's last layer takes (Salimans et al. 2016, section 3.1)."""

    player = "generator"
    real = True

    def forward(self, step: Step) -> Tensor:
        """The means are those of the whole batch."""
        with torch.no_grad():
            real = step.mean(step.features(step.real, *step.conditions(fake=False)))
        return (real - step.mean(step.features(step.fake, *step.conditions(fake=True)))).square().mean()


class Reconstruction(Regularizer):
    """E|G(f) - T(x)| of real images, for decoders G of two of D's feature maps (Liu et al. 2021, "Towards faster and
    stabilized GAN training for high-fidelity few-shot image synthesis", equation 4): T(x) is the image at half its
    sides, and a random quarter of it. D, which must reconstruct images, cannot overlook most of what is in them.

    The distance is the mean absolute difference of pixels. The paper's is LPIPS, a network that does not come with
    gancli.
    """

    decoders = True

    def forward(self, step: Step) -> Tensor:
        """Through the loss's forward pass, of real images as they were augmented; a random quarter of each."""
        network: Any = step.discriminator()
        corner = (4 * step.random.uniform((len(step.real),))).long()
        return network.reconstruction_error(step.real_score.heads, corner)


class PathLength(Following):
    """E[(|J^T y| - a)^2] with y of N(0, 1 / pixels), J the Jacobian of images by w, and a the running mean of |J^T y|
    (Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", equation 4).

    Of several rows of w, |J^T y|^2 is the mean. Both scales are those of the paper's weight (appendix B), which is 2
    here for images of any size.
    """

    player = "generator"
    second_order = ("generator",)
    mapping = True
    means = ("length",)

    length: Tensor

    def forward(self, step: Step) -> Tensor:
        """Through the loss's forward pass of the generator; the mean is that up to this step."""
        images = step.fake.float()
        y = step.random.normal(images.shape) / images[0, 0].numel() ** 0.5
        (gradient,) = torch.autograd.grad((images * y).sum(), step.w, create_graph=True)
        lengths = gradient.float().square().sum(-1).view(len(images), -1).mean(1).sqrt()
        self.follow(step, length=lengths)
        return (lengths - self.length).square().mean()


REGULARIZERS: dict[str, type[Regularizer]] = {
    "r1": R1,
    "r2": R2,
    "gradient-penalty": GradientPenalty,
    "dragan": Dragan,
    "lecam": LeCam,
    "consistency": Consistency,
    "mismatch": Mismatch,
    "feature-matching": FeatureMatching,
    "path-length": PathLength,
    "reconstruction": Reconstruction,
}
