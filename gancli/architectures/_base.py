"""What a network of each kind offers, what it is built for, and the types of its options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gancli.architectures._ranges import INVERSES, RANGES, Output, PixelOutput, squash
from gancli.errors import UsageError
from gancli.latents import LatentSpec, Space, Strategy

Width = Annotated[int, Field(ge=1, le=8192)]
"""Channels or features of a layer."""

OptionalWidth = Annotated[int, Field(ge=0, le=8192)]
"""Features of a layer that 0 leaves out."""

Share = Annotated[float, Field(ge=0, lt=1)]
"""A dropout probability, the slope of a leaky ReLU."""

InitStd = Annotated[float, Field(ge=0, le=1)]
"""Standard deviation of initial weights; 0 for PyTorch's own initialisation."""


@dataclass(frozen=True)
class Spec:
    """What the networks of one recipe have in common.

    Attributes:
        shape: (channels, height, width) of an image.
        latent: the generator's latent.
    """

    shape: tuple[int, int, int]
    latent: LatentSpec


@dataclass(frozen=True)
class Sizes:
    """The images that the networks of a family serve.

    Attributes:
        minimum: the least height and width.
        maximum: the largest height and width.
        square: whether height and width must be equal.
        power_of_two: whether they must be powers of two.
        channels: numbers of channels: 1 grey, 3 colour, 4 colour with alpha.
        instead: what else a user may do, as the end of the hint.
    """

    minimum: int = 1
    maximum: int = 4096
    square: bool = False
    power_of_two: bool = False
    channels: tuple[int, ...] = (1, 3, 4)
    instead: str = ""

    def nearest(self, height: int, width: int) -> tuple[int, int]:
        """The nearest (height, width) served, the same where it is served already."""
        if self.square:
            height = width = max(height, width)
        found = [min(max(side, self.minimum), self.maximum) for side in (height, width)]
        if self.power_of_two:
            found = [2 ** (side - 1).bit_length() for side in found]
            found = [side if side <= self.maximum else side // 2 for side in found]
        return found[0], found[1]

    def check_channels(self, family: str, channels: int) -> None:
        """Refuse a number of channels that is not served.

        Raises:
            UsageError: with those that are.
        """
        if channels not in self.channels:
            known = " or ".join(map(str, self.channels))
            raise UsageError(
                f"{family} needs images of {known} channels, these have {channels}",
                f"as in `data.channels={self.channels[-1]}`",
            )

    def check(self, family: str, size: tuple[int, int]) -> None:
        """Refuse images (height, width) that are not served.

        Raises:
            UsageError: with the nearest size that is.
        """
        height, width = self.nearest(*size)
        if (height, width) == size:
            return
        kind = "square images" if self.square else "images"
        kind += " with sides that are powers of two" if self.power_of_two else ""
        if max(size) > self.maximum:
            kind += f" of at most {self.maximum}x{self.maximum} pixels"
        elif self.minimum > 1:
            kind += f" of at least {self.minimum}x{self.minimum} pixels"
        choose = "a larger" if height >= size[0] and width >= size[1] else "another"
        raise UsageError(
            f"{family} needs {kind}, these are {size[0]}x{size[1]}",
            f"choose {choose} size, as in `data.size=[{height},{width}]`{self.instead}",
        )


class Network(nn.Module):
    """A network of a family, for images of one shape.

    Args:
        spec: shape of the images, and the latent.

    Raises:
        UsageError: the family does not serve this shape.
    """

    serves: ClassVar[Sizes] = Sizes()
    fitted: str = ""
    """What it chose itself for images of this shape, in words."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        family = type(self).__module__.rpartition(".")[2].replace("_", "-")
        self.serves.check_channels(family, spec.shape[0])
        self.serves.check(family, spec.shape[1:])
        self.shape = spec.shape

    def resized(self, name: str, value: Tensor, other: Network) -> Tensor:
        """A tensor of another network of this class, as it is for images of this network's size, where that is simple.

        Args:
            name: of the tensor.
            value: the other network's, of another shape than this one's.
            other: the network that it is taken from.
        """
        return value


class Generator(Network):
    """Latents to images, in two halves: ``map`` from z to w, and ``synthesize`` from w to images.

    Without a mapping network w is z, with class and codes beside it. One that has a mapping network
    extends :class:`MappingGenerator`.

    Args:
        spec: shape and latent.
        output: the output function, which sets the range of pixel values.

    Attributes:
        layers: rows of w, which is (N, width) for one and (N, layers, width) for more; each steers layers of its own.
        space: the space in which paths, arithmetic and searches work best.
        truncation: how images of seeds are drawn toward the typical; see :mod:`gancli.latents.truncation`.
        range: (lowest, highest) pixel value; None for numbers.
    """

    layers: int = 1
    space: ClassVar[Space] = "z"
    truncation: ClassVar[Strategy] = "z-cutoff"

    def __init__(self, spec: Spec, output: Output) -> None:
        super().__init__(spec)
        self.latent, self.range = spec.latent, RANGES[output]

    def map(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), with classes y (N,), with codes c (N, codes), to w."""
        return self.latent.join(z, y, c)

    def synthesize(self, w: Tensor) -> Tensor:
        """w, as ``map`` makes it, to images (N, C, H, W)."""
        raise NotImplementedError

    def forward(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), with classes y (N,), with codes c (N, codes), to images (N, C, H, W)."""
        return self.synthesize(self.map(z, y, c))

    def first_layer(self, w: Tensor) -> Tensor | None:
        """A row of w (N, width) to the output of the linear layers that meet it first, (N, features).

        None where there are no such layers. Their weights hold directions of w; see :mod:`gancli.editing.discovery`.
        """
        return None


MOST_SEEDS, MEAN_ROWS = 1_000, 2**18
"""Seeds of a class's mean of w, and rows of w over all classes."""


class MappingGenerator(Generator):
    """A generator with a mapping network (Karras et al. 2019, "A style-based generator architecture", section 2).

    A family implements ``mapping`` in place of ``map``. The running mean of w, toward which w-psi truncates where there
    are no classes, is a buffer: it is followed in training, and saved and averaged with the weights.

    Args:
        spec: shape and latent.
        output: the output function.
        w_width: features of a row of w.

    Attributes:
        truncated_layers: the rows of w that are truncated, from the first; None for all.
    """

    w_mean: Tensor
    w_momentum: ClassVar[float] = 0.002
    """Share of each batch in the running mean."""
    space: ClassVar[Space] = "w"
    truncation: ClassVar[Strategy] = "w-psi"
    truncated_layers: ClassVar[int | None] = None

    def __init__(self, spec: Spec, output: Output, w_width: int) -> None:
        super().__init__(spec, output)
        self.over_all: Callable[[Tensor], Tensor] = lambda mean: mean  # of the batches of several processes
        self.register_buffer("w_mean", torch.zeros(w_width))

    def mapping(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), with classes y (N,), with codes c (N, codes), to w: (N, width) or (N, layers, width)."""
        raise NotImplementedError

    def map(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """As :meth:`mapping`; in training, the mean of w follows."""
        w = self.mapping(z, y, c)
        if self.training:
            with torch.no_grad():
                self.w_mean.lerp_(self.over_all(w.detach().float().flatten(0, -2).mean(0)), self.w_momentum)
        return w

    @torch.no_grad()
    def w_means(self) -> Tensor:
        """The means toward which w-psi truncates: (1, width), or with classes one for each, (classes, width).

        The mean over all classes lies between them, where there are images of none. Several means are those of Mokady
        et al. 2022, "Self-distilled StyleGAN: towards generation from internet photos", section 3, with the classes for
        its clusters. Each is taken over the z of the first seeds, of as many as :data:`MEAN_ROWS` allows.
        """
        classes = self.latent.classes
        if not classes:
            return self.w_mean[None]
        with torch.inference_mode(False):  # they are kept, and gradients may flow through them later
            seeds = range(max(1, min(MOST_SEEDS, MEAN_ROWS // classes)))
            inputs = {name: values.to(self.w_mean.device) for name, values in self.latent.from_seeds(seeds).items()}
            rows = (self.mapping(**inputs | {"y": torch.full_like(inputs["y"], number)}) for number in range(classes))
            return torch.stack([w.float().flatten(0, -2).mean(0) for w in rows])


class Translator(Network):
    """Source images (N, C, H, W) to images (N, C, H, W), both in its range.

    Args:
        spec: shape of the images.
        output: the output function, which sets the range of pixel values.
        residual: it adds to the source, before the output function, rather than making the image anew (Zhang et al.
            2017, "Beyond a Gaussian denoiser", section 3).
    """

    def __init__(self, spec: Spec, output: PixelOutput, residual: bool) -> None:
        super().__init__(spec)
        self.range = RANGES[output]
        self.inverse = INVERSES[output] if residual else None
        self.squash = squash(output)

    def translate(self, source: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W), before the output function."""
        raise NotImplementedError

    def forward(self, source: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        made = self.translate(source)
        return self.squash(made if self.inverse is None else made + self.inverse(source))


class Discriminator(Network):
    """Images (N, C, H, W) to logits, (N, 1) or (N, 1, h, w) of patches; higher means more real.

    A family gives it a ``body`` whose last layer makes the logits.

    Attributes:
        conditional: whether it takes the class of each image, y (N,).
        takes_source: whether it takes the image that each was made from, source (N, C, H, W).
        heads: what else it tells of an image, in the order of its output: "class", "codes".
        batch_independent: whether an image's logit depends on no other image of its batch, so that real and fake images
            may be concatenated into one.
    """

    body: nn.Sequential
    conditional: bool = False
    takes_source: bool = False
    heads: tuple[str, ...] = ()
    batch_independent: bool = True

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.readings: nn.Module | None = None  # the heads; by this name they stand in states and files

    @property
    def layers(self) -> list[nn.Module]:
        """From the image to the logits, in their order."""
        return list(self.body)

    def features(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """Images, with their classes or sources where it takes them, to what the last layer takes."""
        *layers, _ = self.body
        for layer in layers:
            images = layer(images)
        return images

    def forward(
        self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Images (N, C, H, W), with y (N,) or source (N, C, H, W) where it takes them, to logits.

        Returns:
            Logits; with heads (logits, head, …), where "class" gives logits (N, classes) and "codes" (N, codes).
        """
        features = self.features(images, y, source)
        logits = self.body[-1](features)
        return logits if self.readings is None else (logits, *self.readings(features))


class Encoder(Network):
    """Images (N, C, H, W) to codes (N, dim), or to means and log variances (N, 2 dim).

    A family gives it a ``body``.
    """

    body: nn.Sequential

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dim) or (N, 2 dim)."""
        return self.body(images)
