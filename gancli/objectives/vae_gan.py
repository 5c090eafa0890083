"""VAE-GAN (Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric", algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.objectives.adversarial import Procedure
from gancli.objectives.autoencoder import Spread, pairs_and_samples
from gancli.objectives.base import LOSSES, Batch, Outcome, Player, Turn
from gancli.objectives.vae import Vae, divergence, draw, posterior


@dataclass
class Seen:
    """What the players of a round hand on: images, their latents, the discriminator's features, and both fakes."""

    images: Tensor
    z: Tensor
    features: Tensor = field(default_factory=lambda: torch.empty(0))
    fakes: tuple[Tensor, ...] = ()


class VaeGan(Procedure):
    """A variational autoencoder that compares images by what a discriminator sees in them.

    Three players, as in algorithm 1: the encoder makes KL + reconstruction small, the generator (the decoder)
    gamma * reconstruction + its loss against the discriminator, and the discriminator tells real images from
    reconstructions and from samples. The generator's loss is the non-saturating one. Either kind of fake counts half,
    so that real and fake weigh the same, where the paper adds both up.

    The players share one batch of images and what has been made of it. Where the two sides do not step in turn, each
    step takes images of its own instead.

    Args:
        networks: ``generator``, ``encoder`` and ``discriminator``.
        gamma: weight of the reconstruction for the generator (equation 9).
        layer: which of the discriminator's activations are compared (Dis_l of equation 7), counted from 1.
        spread: standard deviation of the Gaussian around those (equation 7 has 1): the smaller, the more the encoder
            heeds reconstruction rather than KL.
        options: those of :class:`Procedure`; the encoder is on the generator's side, and noise falls also on images
            whose features are compared.
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
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.generator, self.encoder = networks["generator"], networks["encoder"]
        self.discriminator = networks["discriminator"]
        self.gamma, self.spread, self.loss = gamma, spread, LOSSES["non-saturating"](self.smoothing)
        activations = [module for module in self.discriminator.modules() if isinstance(module, nn.LeakyReLU | nn.ReLU)]
        if layer > len(activations):
            raise UsageError(
                f"objective.layer = {layer}: this discriminator has {len(activations)} activations",
                f"choose one from 1 to {len(activations)}",
            )
        activations[layer - 1].register_forward_hook(self._keep)
        self._features = torch.empty(0)

    @staticmethod
    def faults(options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """As for a VAE: an encoder that gives no means and variances, latents that codes are no match for."""
        yield from Vae.faults({}, table)

    @property
    def players(self) -> Sequence[Player]:
        """In the order of algorithm 1, which computes everything once for one batch of images."""
        made, judged, own = self.steps_of("generator"), self.steps_of("discriminator"), not self.in_step
        return [
            Player("encoder", ("encoder",), self.encode, made),
            Player("generator", ("generator",), self.decode, made, real=own),
            Player("discriminator", ("discriminator",), self.judge, judged, real=own),
        ]

    def pattern(self, number: int) -> Hashable:
        """All rounds go alike."""
        return ()

    def encode(self, turn: Turn) -> Outcome:
        """The encoder's step: L_prior + L_llike."""
        mean, log_variance = posterior(self.encoder, turn.images)
        z = draw(mean, log_variance, turn)
        self._compare_with(turn, turn.images, z.detach())
        features = self._look(turn, self.generator(z=z))[1]
        return Outcome({"kl": divergence(mean, log_variance).mean(), "features": self._difference(turn, features)})

    def decode(self, turn: Turn) -> Outcome:
        """The generator's step: gamma L_llike - L_GAN."""
        if turn.batch is not None:
            self._compare_with(turn, turn.images, self._encoded(turn))
        remade, sampled = self._make(turn)
        logits, features = self._look(turn, remade)
        fool = self.loss.g(torch.cat([logits, self._look(turn, sampled)[0]]))
        return Outcome({"generator": fool, "reconstruction": self.gamma * self._difference(turn, features)})

    def judge(self, turn: Turn) -> Outcome:
        """The discriminator's step: -L_GAN, in which reconstructions and samples are fake alike (equation 8)."""
        if turn.batch is not None:
            turn.kept = Seen(turn.images, self._encoded(turn))
            with torch.no_grad():
                self._make(turn)
        real, *fakes = (self._look(turn, images)[0] for images in (turn.kept.images, *turn.kept.fakes))
        fake = torch.cat(fakes)
        shown = {"probability/real": real.detach().sigmoid().mean(), "probability/fake": fake.detach().sigmoid().mean()}
        return Outcome({"discriminator": self.loss.d(real, fake)}, shown)

    def preview(self, published: nn.Module, inputs: dict[str, Tensor], real: Callable[[], Batch]) -> Tensor:
        """Half of the grid are originals beside their reconstructions, half are samples."""
        images = real().images
        mean, _ = posterior(self.encoder, images)
        return pairs_and_samples(images, published(z=mean), published(**inputs))

    @torch.no_grad()
    def _compare_with(self, turn: Turn, images: Tensor, z: Tensor) -> None:
        """Go on with these images, whose features are those to reach."""
        turn.kept = Seen(images, z, self._look(turn, images)[1])

    @torch.no_grad()
    def _encoded(self, turn: Turn) -> Tensor:
        return draw(*posterior(self.encoder, turn.images), turn)

    def _make(self, turn: Turn) -> tuple[Tensor, ...]:
        """Reconstructions and as many samples, kept without their gradients."""
        fakes = self.generator(z=torch.cat([turn.kept.z, turn.draw()["z"]])).chunk(2)
        turn.kept.fakes = tuple(fake.detach() for fake in fakes)
        return fakes

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._features = output

    def _look(self, turn: Turn, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 1) and features (N, ...) of images."""
        logits = self.discriminator(self.noisy(images, turn)).float()
        return logits, self._features.float()

    def _difference(self, turn: Turn, features: Tensor) -> Tensor:
        """L_llike: -log N(features of x; features of its reconstruction, spread^2) up to a constant, mean over x."""
        return 0.5 * ((features - turn.kept.features) / self.spread).square().flatten(1).sum(1).mean()


OBJECTIVE = VaeGan
