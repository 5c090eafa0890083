"""VAE-GAN (Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric", algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.objectives.autoencoder import Spread, pairs_and_samples
from gancli.objectives.base import LOSSES, Batch, Objective, Outcome, Player, Turn
from gancli.objectives.vae import Vae, divergence, draw, posterior


@dataclass
class Seen:
    """What the players of a round hand on: images, the discriminator's features of them, latents, and both fakes."""

    images: Tensor
    features: Tensor
    z: Tensor
    fakes: tuple[Tensor, ...] = ()


class VaeGan(Objective):
    """A variational autoencoder that compares images by what a discriminator sees in them.

    Three players, as in algorithm 1: the encoder makes KL + reconstruction small, the generator (the decoder)
    gamma * reconstruction + its loss against the discriminator, and the discriminator tells real images from
    reconstructions and from samples. The generator's loss is the non-saturating one. Either kind of fake counts half,
    so that real and fake weigh the same, where the paper adds both up.

    Args:
        networks: ``generator``, ``encoder`` and ``discriminator``.
        gamma: weight of the reconstruction for the generator (equation 9).
        layer: which of the discriminator's activations are compared (Dis_l of equation 7), counted from 1.
        spread: standard deviation of the Gaussian around those (equation 7 has 1): the smaller, the more the encoder
            heeds reconstruction rather than KL.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {
        "generator": "generator",
        "encoder": "encoder",
        "discriminator": "discriminator",
    }
    also_published: ClassVar[tuple[str, ...]] = ("encoder",)

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        gamma: Annotated[float, Field(ge=0)] = 1.0,
        layer: Annotated[int, Field(ge=1)] = 2,
        spread: Spread = 1.0,
    ) -> None:
        super().__init__()
        self.generator, self.encoder = networks["generator"], networks["encoder"]
        self.discriminator = networks["discriminator"]
        self.gamma, self.spread, self.loss = gamma, spread, LOSSES["non-saturating"]()
        activations = [module for module in self.discriminator.modules() if isinstance(module, nn.LeakyReLU | nn.ReLU)]
        if layer > len(activations):
            raise UsageError(
                f"objective.layer = {layer}: this discriminator has {len(activations)} activations",
                f"choose one from 1 to {len(activations)}",
            )
        activations[layer - 1].register_forward_hook(self._keep)
        self._features = nothing = torch.empty(0)
        self._seen = Seen(nothing, nothing, nothing)

    @staticmethod
    def faults(options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """As for a VAE: an encoder that gives no means and variances, latents that codes are no match for."""
        yield from Vae.faults({}, table)

    @property
    def players(self) -> Sequence[Player]:
        """In the order of algorithm 1, which computes everything once for one batch of images."""
        return [
            Player("encoder", ("encoder",), self.encode),
            Player("generator", ("generator",), self.decode, real=False),
            Player("discriminator", ("discriminator",), self.judge, real=False),
        ]

    def encode(self, turn: Turn) -> Outcome:
        """The encoder's step: L_prior + L_llike."""
        mean, log_variance = posterior(self.encoder, turn.images)
        z = draw(mean, log_variance)
        with torch.no_grad():
            wanted = self._look(turn.images)[1]
        self._seen = Seen(turn.images, wanted, z.detach())
        features = self._look(self.generator(z=z))[1]
        return Outcome({"kl": divergence(mean, log_variance).mean(), "features": self._difference(features)})

    def decode(self, turn: Turn) -> Outcome:
        """The generator's step: gamma L_llike - L_GAN."""
        remade, sampled = self.generator(z=torch.cat([self._seen.z, turn.draw()["z"]])).chunk(2)
        self._seen.fakes = remade.detach(), sampled.detach()
        logits, features = self._look(remade)
        fool = self.loss.g(torch.cat([logits, self._look(sampled)[0]]))
        return Outcome({"generator": fool, "reconstruction": self.gamma * self._difference(features)})

    def judge(self, turn: Turn) -> Outcome:
        """The discriminator's step: -L_GAN, in which reconstructions and samples are fake alike (equation 8)."""
        real, *fakes = (self._look(images)[0] for images in (self._seen.images, *self._seen.fakes))
        fake = torch.cat(fakes)
        shown = {"probability/real": real.detach().sigmoid().mean(), "probability/fake": fake.detach().sigmoid().mean()}
        return Outcome({"discriminator": self.loss.d(real, fake)}, shown)

    def preview(self, published: nn.Module, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """Half of the grid are originals beside their reconstructions, half are samples."""
        images = real().images
        mean, _ = posterior(self.encoder, images)
        return pairs_and_samples(images, published(z=mean), published(**inputs))

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._features = output

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 1) and features (N, ...) of images."""
        logits = self.discriminator(images).float()
        return logits, self._features.float()

    def _difference(self, features: Tensor) -> Tensor:
        """L_llike: -log N(features of x; features of its reconstruction, spread^2) up to a constant, mean over x."""
        return 0.5 * ((features - self._seen.features) / self.spread).square().flatten(1).sum(1).mean()


OBJECTIVE = VaeGan
