"""An autoencoder: one player trains an encoder and a decoder to reconstruct images from a code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import UsageError
from gancli.recipe.validation_errors import shown
from gancli.terms.batch import Batch
from gancli.terms.objective import Objective
from gancli.terms.players import Player, Term, no_figures
from gancli.terms.step import Step

Likelihood = Literal["bernoulli", "gaussian"]
Deviation = Annotated[float, Field(gt=0, le=100)]

CODE_SIZES = {"plain": 1, "whitened": 1, "gaussian": 2}
"""Outputs of an encoder for each latent dimension, by its option ``code``."""


def negative_log_likelihood(image: Tensor, target: Tensor, likelihood: Likelihood, std: float = 1.0) -> Tensor:
    """-log p(target | image) in nats, (N,), of a decoder's images (N, C, H, W).

    With "bernoulli" a pixel is the probability that it is white, and a grey target counts as so much of each (Kingma
    and Welling 2014, appendix C.1); both lie in [0, 1]. With "gaussian" it is a mean, around which the target lies
    with the standard deviation ``std``, in the units of the generator's range (appendix C.2).
    """
    # Probabilities near 0 and 1 need all the digits that there are.
    with torch.autocast(image.device.type, enabled=False):
        image, target = image.float(), target.float()
        if likelihood == "bernoulli":
            nats = F.binary_cross_entropy(image, target, reduction="none")
        else:
            nats = 0.5 * ((image - target) / std).square() + math.log(std * math.sqrt(2 * math.pi))
    return nats.flatten(1).sum(1)


def pairs_and_samples(originals: Tensor, reconstructions: Tensor, samples: Tensor) -> Tensor:
    """A grid's cells: each original with its reconstruction right of it, then samples; as many as originals."""
    pairs = len(originals) // 4
    both = torch.stack([originals[:pairs], reconstructions[:pairs].to(originals)], 1).flatten(0, 1)
    return torch.cat([both, samples[: len(originals) - len(both)].to(both)])


class Autoencoder(Objective):
    """Reconstruction through a code of ``latent.dim`` numbers (Hinton and Salakhutdinov 2006).

    The generator is the decoder. Where the encoder's codes are whitened, they are distributed about as the latents of
    seeds, and the decoder can be sampled like any generator.

    Args:
        networks: ``generator`` and ``encoder``.
        likelihood: of a pixel, see :func:`negative_log_likelihood`; "gaussian" is squared error.
        std: standard deviation of "gaussian".
    """

    networks_needed: ClassVar[Mapping[str, str]] = {"generator": "generator", "encoder": "encoder"}
    exported: ClassVar[tuple[str, ...]] = ("generator", "encoder")
    codes: ClassVar[int] = 1
    """Outputs that the encoder has for each latent dimension."""

    def __init__(
        self, networks: Mapping[str, nn.Module], *, likelihood: Likelihood = "bernoulli", std: Deviation = 1.0
    ) -> None:
        super().__init__(networks)
        self.generator, self.encoder = networks["generator"], networks["encoder"]
        self.likelihood: Likelihood = likelihood
        self.std = std
        if likelihood == "bernoulli" and getattr(self.generator, "range", None) != (0.0, 1.0):
            raise UsageError(
                "the likelihood 'bernoulli' takes pixels as probabilities, and this generator's are none",
                'add output = "sigmoid" to networks.generator, or choose objective.likelihood = "gaussian"',
            )

    @classmethod
    def validation_errors(cls, options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """An encoder with other outputs than this objective uses, and latents that an encoder does not give."""
        networks, latent = table.get("networks"), table.get("latent")
        encoder = networks.get("encoder") if isinstance(networks, Mapping) else None
        code = encoder.get("code", "plain") if isinstance(encoder, Mapping) else None
        if isinstance(code, str) and CODE_SIZES.get(code, cls.codes) != cls.codes:
            fitting = " or ".join(f"'{name}'" for name, size in CODE_SIZES.items() if size == cls.codes)
            yield f"networks.encoder.code = '{code}': this objective takes {fitting}"
        if isinstance(latent, Mapping) and latent.get("distribution") == "uniform":
            yield "latent.distribution = 'uniform': codes are compared with N(0, 1), leave it out"
        for name in ("classes", "codes"):
            if isinstance(latent, Mapping) and latent.get(name):
                yield f"latent.{name} = {shown(latent[name])}: an encoder gives none, leave it out"

    @property
    def players(self) -> Sequence[Player]:
        """Both networks train as one."""
        return [Player("autoencoder", ("generator", "encoder"), self.terms(), figures=self.figures)]

    def terms(self) -> list[Term]:
        """The negative log-likelihood of the images, in nats per image."""
        return [Term("reconstruction", self._reconstruction)]

    def figures(self, step: Step) -> dict[str, Tensor]:
        """Nothing besides the losses."""
        return no_figures(step)

    def encode(self, step: Step) -> Tensor:
        """The codes of the batch's images, (N, dim)."""
        return self.encoder(step.real)

    def _reconstruction(self, step: Step) -> Tensor:
        images = self.generator(z=self.encode(step))
        return negative_log_likelihood(images, step.real, self.likelihood, self.std).mean()

    def preview(
        self, exported: Mapping[str, nn.Module], inputs: dict[str, Tensor], real: Callable[[], Batch]
    ) -> Tensor:
        """Half of the grid are originals with their reconstructions, half are samples."""
        images, decoder = real().images, exported["generator"]
        z = exported["encoder"](images).float()[:, : inputs["z"].shape[1]]
        return pairs_and_samples(images, decoder(z=z), decoder(**inputs))


OBJECTIVE = Autoencoder
