"""The step: what one optimizer update works on.

A step computes each thing once, when a term first asks for it. What no term asks for is not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from gancli.architectures import Discriminator, Generator
from gancli.errors import UsageError
from gancli.processes import ALONE, World
from gancli.recipe.schedules import Number, Progress, value_at
from gancli.terms.batch import Batch, Latents, SampleRandom

if TYPE_CHECKING:
    from gancli.terms.augmentation import Augmentation

T = TypeVar("T")


class Score(NamedTuple):
    """What a discriminator returns.

    Attributes:
        logits: real or fake, float32 (N, 1) or (N, 1, h, w) for patches.
        heads: further outputs by name, such as "class" (N, classes) and "codes" (N, codes).
    """

    logits: Tensor
    heads: Mapping[str, Tensor]

    def halves(self, count: int) -> tuple[Score, Score]:
        """The first ``count`` rows and the others."""
        heads = self.heads.items()
        return (
            Score(self.logits[:count], {name: value[:count] for name, value in heads}),
            Score(self.logits[count:], {name: value[count:] for name, value in heads}),
        )


@dataclass(frozen=True)
class StepOptions:
    """How an objective's steps make fakes and score images; the same for all its players.

    Attributes:
        networks: by name.
        translates: fakes are made from the batch's sources, not from latents.
        discriminator: the one of :attr:`Step.real_score` and :attr:`Step.fake_score`.
        input_noise: standard deviation of the noise on every image that a discriminator sees.
        augmentation: of every image that a discriminator sees.
        strength: of the augmentation, where it is scheduled.
        joint: real and fake images are one batch to the discriminator, also where it has batch statistics.
        pair_classes: fakes have the classes of the real images.
        reuse_fake: fakes made once a round serve both players.
        still_generator: the discriminator's fakes are made in evaluation mode.
        style_mixing: share of the fakes whose rows of w come from two latents.
    """

    networks: Mapping[str, nn.Module]
    translates: bool = False
    discriminator: str = "discriminator"
    input_noise: float = 0.0
    augmentation: Augmentation | None = None
    strength: Number | None = None
    joint: bool = False
    pair_classes: bool = False
    reuse_fake: bool = False
    still_generator: bool = False
    style_mixing: float = 0.0


@dataclass
class Step:
    """One part of a batch in one update of one player.

    Attributes:
        random: of the samples at hand.
        options: how fakes are made and images scored.
        batch: real data; None for a player that takes none.
        progress: rounds and images so far, for schedules.
        trained: names of the networks that this step updates.
        image_gradients: whether a term of this step needs gradients with respect to real and fake images.
        world: the processes that share the batch.
        parts: parts that a batch is worked on in.
        batch_generator: a generator on the CPU with the same state in every process, for draws that concern the whole
            batch.
        shared: what players hand to later players of the round.
        losses: values of the terms so far, by name.
    """

    random: SampleRandom
    options: StepOptions
    batch: Batch | None = None
    progress: Progress = field(default_factory=Progress)
    trained: tuple[str, ...] = ()
    image_gradients: bool = False
    world: World = ALONE
    parts: int = 1
    batch_generator: torch.Generator = field(default_factory=torch.Generator)
    shared: dict[str, Any] = field(default_factory=dict)
    losses: dict[str, Tensor] = field(default_factory=dict)
    _cache: dict[str, Any] = field(default_factory=dict)

    @property
    def round(self) -> int:
        """Rounds finished before this one."""
        return self.progress.round

    @property
    def images_seen(self) -> int:
        """Real images in the rounds before this one, counted once a round."""
        return self.progress.images

    @property
    def data(self) -> Batch | None:
        """This step's batch, or that of a player before it in the round who shared its own."""
        return self.batch or self.shared.get("batch")

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` returns, computed at the first call with that name in this step."""
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    # The batch.

    @cached_property
    def real(self) -> Tensor:
        """Real images (N, C, H, W)."""
        if self.data is None:
            raise RuntimeError("this player takes no real images")
        return self._input(self.data.images)

    @property
    def labels(self) -> Tensor:
        """Classes of the real images, int64 (N,).

        Raises:
            UsageError: the data has none.
        """
        if self.data is None or self.data.labels is None:
            raise UsageError(
                "this model is class-conditional, and the data has no classes", "put the images into one folder a class"
            )
        return self.data.labels

    @property
    def source(self) -> Tensor:
        """What the batch's images are to be translated from, (N, C, H, W).

        Raises:
            UsageError: the data has no sources.
        """
        if self.data is None or self.data.source is None:
            raise UsageError(
                "this model translates images, and the data has none to translate from",
                "name a way to make them, as in `data.source=gray`",
            )
        return self.data.source

    # Fakes.

    @cached_property
    def latents(self) -> Latents:
        """Generator inputs: drawn for this step, or those of the round's fakes."""
        if self._reuses:
            return self.shared["latents"]
        latents = self.random.latents()
        if self.options.pair_classes:
            latents["y"] = self.labels
        return latents

    @property
    def z(self) -> Tensor:
        """Latents (N, dim)."""
        return self.latents["z"]

    @cached_property
    def w(self) -> Tensor:
        """Mapped latents: (N, width), or (N, layers, width); those of the round's fakes where these are reused."""
        if self._reuses and "w" in self.shared:
            return self.shared["w"]
        w = self.generator.map(**self.latents)
        return self._mixed(w) if self.options.style_mixing else w

    def _mixed(self, w: Tensor) -> Tensor:
        """Rows of w from a random one on replaced by those of other latents of the same class (Karras et al. 2019, "A
        style-based generator architecture", section 3.1)."""
        other = self.generator.map(**{**self.latents, "z": self.random.latents()["z"]})
        mixed, cut = self.random.uniform((2 * len(w), 1, 1)).chunk(2)
        rows = torch.arange(w.shape[1], device=w.device)[:, None]
        replaced = (mixed < self.options.style_mixing) & (rows >= 1 + (cut * (w.shape[1] - 1)).floor())
        return torch.where(replaced, other, w)

    @cached_property
    def fake(self) -> Tensor:
        """The generator's images (N, C, H, W), with gradients only in a step that trains the generator."""
        made = self.shared["fake"] if self._reuses else self._generate()
        if not self._trains_generator:
            return self._input(made.detach())
        if self.options.reuse_fake:
            # A graph serves one backward pass: a second step of the generator makes fakes of its own.
            self.shared |= {"latents": self.latents, "fake": made.detach()}
        return made

    def _generate(self) -> Tensor:
        still = self.options.still_generator and not self._trains_generator
        with torch.set_grad_enabled(self._trains_generator):
            if still:
                self.generator.eval()
            made = self._translate() if self.options.translates else self.generator.synthesize(self.w)
            if still:
                self.generator.train()
        return made

    def _input(self, images: Tensor) -> Tensor:
        """Images as a discriminator's step starts from them."""
        return images.detach().requires_grad_() if self.image_gradients else images

    def _translate(self) -> Tensor:
        return self.options.networks["generator"](source=self.source)

    @property
    def _trains_generator(self) -> bool:
        return "generator" in self.trained

    @cached_property
    def _reuses(self) -> bool:
        """Whether the fakes that a player before made in this round serve here; decided before they are taken."""
        return "fake" in self.shared and (not self._trains_generator or self.shared["fake"].requires_grad)

    @property
    def generator(self) -> Generator:
        """The network that makes fakes of latents."""
        return cast(Generator, self.options.networks["generator"])

    # Scores.

    def score(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        source: Tensor | None = None,
        network: str | None = None,
        augment: bool = True,
    ) -> Score:
        """D(augment(images)): the one way to a discriminator.

        Args:
            images: (N, C, H, W), N being the number of rows at hand or a multiple of it.
            labels: classes (N,), for a discriminator that is conditioned on them.
            source: (N, C, H, W), for a discriminator that is conditioned on what images are translated from.
            network: which discriminator; that of the step's options unless named.
            augment: whether noise and augmentation are applied.
        """
        discriminator = self.discriminator(network)
        if augment:
            images, source = self._augment(images, source)
        output = discriminator(images, **_conditions(discriminator, labels, source))
        logits, *heads = output if isinstance(output, tuple) else (output,)
        return Score(logits.float(), {n: h.float() for n, h in zip(discriminator.heads, heads, strict=True)})

    def features(self, images: Tensor, labels: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """What the discriminator's last layer takes of augmented images, float32 (N, …); arguments of :meth:`score`."""
        images, source = self._augment(images, source)
        discriminator = self.discriminator()
        return discriminator.features(images, **_conditions(discriminator, labels, source)).float()

    def discriminator(self, name: str | None = None) -> Discriminator:
        """The discriminator of that name; that of the step's options unless named."""
        return cast(Discriminator, self.options.networks[name or self.options.discriminator])

    def _augment(self, images: Tensor, source: Tensor | None) -> tuple[Tensor, Tensor | None]:
        options = self.options
        if options.augmentation is not None:
            strength = None if options.strength is None else value_at(options.strength, self.progress)
            if source is None:
                images = options.augmentation(images, self.random, strength=strength)
            else:
                images, source = options.augmentation(images, self.random, source=source, strength=strength)
        if options.input_noise:
            images = images + options.input_noise * self.random.normal(images.shape, images.dtype)
        return images, source

    @property
    def real_score(self) -> Score:
        """D(x), given the labels or sources of the batch where D is conditional."""
        return self.once("real_score", lambda: self.score(self.real, *self.conditions(fake=False)))

    @property
    def fake_score(self) -> Score:
        """D(G(z)), given the classes or sources that the fakes were made from where D is conditional."""
        return self.once("fake_score", lambda: self.score(self.fake, *self.conditions(fake=True)))

    @property
    def scores(self) -> tuple[Score, Score]:
        """Real and fake score, as one batch where the discriminator returns the same for both ways."""
        fake, real = self.fake, self.real  # latents are drawn before noise
        independent = self.discriminator().batch_independent and not self.image_gradients
        if (self.options.joint or independent) and not self._cache.keys() & {"real_score", "fake_score"}:
            labels, source = (
                None if one is None or other is None else torch.cat([one, other])
                for one, other in zip(self.conditions(fake=False), self.conditions(fake=True), strict=True)
            )
            halves = self.score(torch.cat([real, fake]), labels, source).halves(len(real))
            self._cache |= dict(zip(("real_score", "fake_score"), halves, strict=True))
        return self.real_score, self.fake_score

    def conditions(self, *, fake: bool) -> tuple[Tensor | None, Tensor | None]:
        """Labels and source for a score, of what the discriminator is conditioned on."""
        labels = None
        if self.discriminator().conditional:
            labels = self.latents["y"] if fake else self.labels
        return labels, self.source if self.options.translates else None

    def side(self, discriminator: str, real: Tensor, fake: Tensor) -> Step:
        """This step as one of several discriminators sees it, with its own real images and fakes."""
        options = replace(self.options, discriminator=discriminator, translates=False)
        side = replace(self, options=options, _cache={})
        side.__dict__ |= {"real": self._input(real), "fake": self._input(fake)}
        return side

    def image_gradient(self, images: Tensor, score: Score) -> Tensor:
        """The gradient of the summed logits with respect to images before augmentation, float32 (N, C * H * W)."""
        (gradient,) = torch.autograd.grad(score.logits.sum(), images, create_graph=True)
        return gradient.to(images.dtype).flatten(1)

    # The whole batch.

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the first dimension in all processes, with gradients to all of them."""
        return self.gather(values).mean(0)

    def gather(self, values: Tensor) -> Tensor:
        """The rows (N, …) of all processes, in the order of their ranks, with gradients to all of them.

        Raises:
            UsageError: the batch is worked on in parts, so that the other rows are not there.
        """
        if self.parts > 1:
            raise UsageError(
                f"training.accumulate = {self.parts}: this objective compares the whole batch",
                "leave it out, or choose a smaller training.batch",
            )
        if self.world.size == 1:
            return values
        from torch.distributed.nn.functional import all_gather

        return torch.cat(all_gather(values.contiguous()))


def _conditions(discriminator: Discriminator, labels: Tensor | None, source: Tensor | None) -> dict[str, Tensor | None]:
    """What a discriminator takes beside images."""
    found = {"y": labels} if discriminator.conditional else {}
    return found | ({"source": source} if discriminator.takes_source else {})
