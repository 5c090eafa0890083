"""VAE-GAN (Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric", algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.errors import UsageError
from gancli.objectives._alternating import Alternating
from gancli.objectives.autoencoder import Deviation, pairs_and_samples
from gancli.objectives.vae import Vae, divergence, draw, posterior
from gancli.terms.batch import Batch
from gancli.terms.losses import NonSaturating
from gancli.terms.players import Player, Term
from gancli.terms.step import Step


class VaeGan(Alternating):
    """A variational autoencoder that compares images by a discriminator's features.

    Three players, as in algorithm 1: the encoder minimises KL + reconstruction, the generator (the decoder)
    gamma * reconstruction + its loss against the discriminator, and the discriminator tells real images from
    reconstructions and from samples. The generator's loss is the non-saturating one. Either kind of fake counts half,
    so that real and fake weigh the same, where the paper adds both up.

    The players of a round share one batch, its latents and its fakes. Where the two sides do not alternate evenly, each
    step takes images of its own.

    Args:
        networks: ``generator``, ``encoder`` and ``discriminator``.
        gamma: weight of the reconstruction for the generator (equation 9).
        layer: which of the discriminator's activations are compared (Dis_l of equation 7), counted from 1.
        std: standard deviation of the Gaussian around those (equation 7 has 1): the smaller, the more the encoder
            weights reconstruction over KL.
        options: those of :class:`Alternating`; the encoder is on the generator's side. Noise and augmentation apply
            also to images whose features are compared.
    """

    networks_needed: ClassVar[Mapping[str, str]] = {
        "generator": "generator",
        "encoder": "encoder",
        "discriminator": "discriminator",
    }
    exported: ClassVar[tuple[str, ...]] = ("generator", "encoder")

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        gamma: Annotated[float, Field(ge=0)] = 1.0,
        layer: Annotated[int, Field(ge=1)] = 2,
        std: Deviation = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(networks, **options)
        self.generator, self.encoder = networks["generator"], networks["encoder"]
        self.discriminator = networks["discriminator"]
        self.gamma, self.std, self.loss = gamma, std, NonSaturating(self.smoothing)
        activations = [module for module in self.discriminator.modules() if isinstance(module, nn.LeakyReLU | nn.ReLU)]
        if layer > len(activations):
            raise UsageError(
                f"objective.layer = {layer}: this discriminator has {len(activations)} activations",
                f"choose one from 1 to {len(activations)}",
            )
        activations[layer - 1].register_forward_hook(self._store)
        self._features = torch.empty(0)

    @staticmethod
    def validation_errors(options: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[str]:
        """As for a VAE: an encoder without means and variances, latents that an encoder does not give."""
        yield from Vae.validation_errors({}, table)

    @property
    def players(self) -> Sequence[Player]:
        """In the order of algorithm 1, which computes everything once for one batch of images."""
        made, scored, own = self.steps_of("generator"), self.steps_of("discriminator"), not self.alternates_evenly
        generator = [Term("generator", self._generator_loss), Term("reconstruction", self._reconstruction, self.gamma)]
        return [
            Player("encoder", ("encoder",), [Term("kl", self._kl), Term("features", self._encoder_loss)], made),
            Player("generator", ("generator",), [*generator, *self.regularizers_of("generator")], made, real=own),
            Player(
                "discriminator",
                ("discriminator",),
                [Term("discriminator", self._discriminator_loss), *self.regularizers_of("discriminator")],
                scored,
                real=own,
                figures=self._figures,
                after=self.adjust_augmentation,
            ),
        ]

    # The encoder: L_prior + L_llike.

    def _kl(self, step: Step) -> Tensor:
        return divergence(*self._posterior(step)).mean()

    def _encoder_loss(self, step: Step) -> Tensor:
        z = draw(*self._posterior(step), step)
        self._share(step, z.detach())
        return self._distance(step, self._features_of(step, self.generator(z=z))[1])

    def _posterior(self, step: Step) -> tuple[Tensor, Tensor]:
        return step.once("posterior", lambda: posterior(self.encoder, step.real))

    # The generator: gamma L_llike - L_GAN.

    def _generator_loss(self, step: Step) -> Tensor:
        if step.batch is not None:
            self._share(step, self._codes(step))
        logits, sampled = self._reconstructed(step)[0], step.score(self._fakes(step)[1]).logits
        return self.loss.g(None, torch.cat([logits, sampled]))

    def _reconstruction(self, step: Step) -> Tensor:
        return self._distance(step, self._reconstructed(step)[1])

    def _reconstructed(self, step: Step) -> tuple[Tensor, Tensor]:
        return step.once("reconstructed", lambda: self._features_of(step, self._fakes(step)[0]))

    # The discriminator: -L_GAN, in which reconstructions and samples are fakes alike (equation 8).

    def _discriminator_loss(self, step: Step) -> Tensor:
        real, fake = self._logits(step)
        self.observe(step)
        return self.loss.d(real, fake)

    def _logits(self, step: Step) -> tuple[Tensor, Tensor]:
        """Of real images, and of both kinds of fakes."""

        def score() -> tuple[Tensor, Tensor]:
            if step.batch is not None:
                step.shared |= {"batch": step.batch, "z": self._codes(step)}
                with torch.no_grad():
                    self._fakes(step)
            return step.real_score.logits, torch.cat([step.score(fake).logits for fake in step.shared["fakes"]])

        return step.once("logits", score)

    def _figures(self, step: Step) -> dict[str, Tensor]:
        real, fake = (logits.detach().sigmoid().mean() for logits in self._logits(step))
        return {"probability/real": real, "probability/fake": fake}

    # What they share.

    @torch.no_grad()
    def _codes(self, step: Step) -> Tensor:
        return draw(*posterior(self.encoder, step.real), step)

    @torch.no_grad()
    def _share(self, step: Step, z: Tensor) -> None:
        """These images, latents and features are the round's from here on."""
        step.shared |= {"batch": step.data, "z": z, "features": self._features_of(step, step.real)[1]}

    def _fakes(self, step: Step) -> tuple[Tensor, ...]:
        """Reconstructions and as many samples, shared without their gradients."""

        def make() -> tuple[Tensor, ...]:
            fakes = self.generator(z=torch.cat([step.shared["z"], step.random.latents()["z"]])).chunk(2)
            step.shared["fakes"] = tuple(fake.detach() for fake in fakes)
            return fakes

        return step.once("fakes", make)

    def _features_of(self, step: Step, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 1) and features (N, ...) of images."""
        logits = step.score(images).logits
        return logits, self._features.float()

    def _store(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._features = output

    def _distance(self, step: Step, features: Tensor) -> Tensor:
        """L_llike: -log N(features of x; features of its reconstruction, std^2) up to a constant, mean over x."""
        return 0.5 * ((features - step.shared["features"]) / self.std).square().flatten(1).sum(1).mean()

    def preview(
        self, exported: Mapping[str, nn.Module], inputs: dict[str, Tensor], real: Callable[[], Batch]
    ) -> Tensor:
        """Half of the grid are originals with their reconstructions, half are samples."""
        images, decoder = real().images, exported["generator"]
        mean, _ = posterior(exported["encoder"], images)
        return pairs_and_samples(images, decoder(z=mean), decoder(**inputs))


OBJECTIVE = VaeGan
