"""An autoencoder: one player with two networks, who squeezes images through a code and makes them again from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.objectives.base import Batch, Objective, Outcome, Player, Turn
from gancli.recipe.validation_errors import shown

Likelihood = Literal["bernoulli", "gaussian"]
Spread = Annotated[float, Field(gt=0, le=100)]

CODE_SIZES = {"plain": 1, "whitened": 1, "gaussian": 2}
"""Values that an encoder gives for each latent, by its option ``code``."""


def surprise(image: Tensor, target: Tensor, likelihood: Likelihood, spread: float = 1.0) -> Tensor:
    """-log p(target | image) in nats, (N,): what a decoder's images (N, C, H, W) say of the data.

    With "bernoulli" a pixel is the probability that it is white, and a grey target counts as so much of each (Kingma
    and Welling 2014, appendix C.1); both lie in [0, 1]. With "gaussian" it is a mean, around which the target lies
    with the standard deviation ``spread``, in the units of the generator's range (appendix C.2).
    """
    # Probabilities near 0 and 1 need all the digits that there are.
    with torch.autocast(image.device.type, enabled=False):
        image, target = image.float(), target.float()
        if likelihood == "bernoulli":
            nats = F.binary_cross_entropy(image, target, reduction="none")
        else:
            nats = 0.5 * ((image - target) / spread).square() + math.log(spread * math.sqrt(2 * math.pi))
    return nats.flatten(1).sum(1)


def pairs_and_samples(originals: Tensor, remade: Tensor, samples: Tensor) -> Tensor:
    """A grid's cells: each original with its reconstruction to the right of it, then samples; as many as originals."""
    pairs = len(originals) // 4
    both = torch.stack([originals[:pairs], remade[:pairs].to(originals)], 1).flatten(0, 1)
    return torch.cat([both, samples[: len(originals) - len(both)].to(both)])


class Autoencoder(Objective):
    """Reconstruction through a code of ``latent.dim`` values (Hinton and Salakhutdinov 2006).

    The generator is the decoder. Where the encoder's codes are whitened, they are distributed about as the latents of
    seeds, and the decoder can be sampled like any generator.

    Args:
        networks: ``generator`` and ``encoder``.
        likelihood: what a pixel says, see :func:`surprise`; "gaussian" is squared error.
        spread: standard deviation of "gaussian".
    """

    networks_needed: ClassVar[Mapping[str, str]] = {"generator": "generator", "encoder": "encoder"}
    also_published: ClassVar[tuple[str, ...]] = ("encoder",)
    codes: ClassVar[int] = 1
    """Values that the encoder is to give for each latent."""

    def __init__(
        self, networks: Mapping[str, nn.Module], *, likelihood: Likelihood = "bernoulli", spread: Spread = 1.0
    ) -> None:
        super().__init__()
        self.generator, self.encoder = networks["generator"], networks["encoder"]
        self.likelihood: Likelihood = likelihood
        self.spread = spread
        if likelihood == "bernoulli" and getattr(self.generator, "range", None) != (0.0, 1.0):
            raise UsageError(
                "the likelihood 'bernoulli' takes pixels as probabilities, and this generator's are none",
                'add output = "sigmoid" to networks.generator, or choose objective.likelihood = "gaussian"',
            )

    @classmethod
    def faults(cls, options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """An encoder that gives something else than this objective reads, and latents that codes are no match for."""
        networks, latent = table.get("networks"), table.get("latent")
        encoder = networks.get("encoder") if isinstance(networks, Mapping) else None
        code = encoder.get("code", "plain") if isinstance(encoder, Mapping) else None
        if isinstance(code, str) and CODE_SIZES.get(code, cls.codes) != cls.codes:
            fitting = " or ".join(f"'{name}'" for name, size in CODE_SIZES.items() if size == cls.codes)
            yield f"networks.encoder.code = '{code}': this objective reads {fitting}"
        if isinstance(latent, Mapping) and latent.get("distribution") == "uniform":
            yield "latent.distribution = 'uniform': codes are compared with N(0, 1), leave it out"
        for name in ("classes", "codes"):
            if isinstance(latent, Mapping) and latent.get(name):
                yield f"latent.{name} = {shown(latent[name])}: an encoder gives none, leave it out"

    @property
    def players(self) -> Sequence[Player]:
        """Both networks train as one."""
        return [Player("autoencoder", ("generator", "encoder"), self.play)]

    def pattern(self, number: int) -> Hashable:
        """All rounds go alike."""
        return ()

    def play(self, turn: Turn) -> Outcome:
        """A step of both."""
        return Outcome({"reconstruction": self.surprise(self.encoder(turn.images), turn.images)})

    def surprise(self, z: Tensor, images: Tensor) -> Tensor:
        """Nats per image, the mean over the batch."""
        return surprise(self.generator(z=z), images, self.likelihood, self.spread).mean()

    def preview(self, published: nn.Module, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """Half of the grid are originals beside their reconstructions, half are samples."""
        images = real().images
        z = self.encoder(images).float()[:, : inputs["z"].shape[1]]
        return pairs_and_samples(images, published(z=z), published(**inputs))


OBJECTIVE = Autoencoder
