"""Networks of FastGAN (Liu et al. 2021, "Towards faster and stabilized GAN training for high-fidelity few-shot image
synthesis", section 3): gated upsampling blocks with skip-layer excitation, against strided convolutions that may also
learn to reconstruct what they see.

Blocks of pixels, patches, are computed as channels at the generator's end and at the discriminator's beginning: full
resolution, where a 3x3 convolution costs most and sees least, has no layers of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import _base
from gancli.architectures._base import OptionalWidth, Share, Sizes, Spec, Width
from gancli.architectures._heads import Projection
from gancli.architectures._layers import Down, Flat, MinibatchDeviation, halvings, normalise_spectrum
from gancli.architectures._norms import ClassModulation, Norm, classes_of_norms, normalisation
from gancli.architectures._ranges import Output, squash
from gancli.architectures._transfer import repatched

SIZES = Sizes(minimum=8, instead=", or `model=gan`, which takes any size")
Patch = Annotated[int, Field(ge=0, le=8)]
SMALLEST = 4
"""The shortest side of feature maps."""
DECODED = ("seen", "large", "small")
"""Heads of a discriminator with decoders: the images as it was given them, and two of its feature maps."""


def patch_of(height: int, width: int, patch: int) -> int:
    """The side of a patch, where 0 leaves it to the size: 1 pixel below 16, 2 up to 64, 4 above."""
    return patch or (1 if min(height, width) < 16 else 2 if max(height, width) <= 64 else 4)


def _fitted(size: tuple[int, int], patch: int, chosen: int) -> str:
    """How the side of a patch was found, where the option left it open."""
    return "" if patch else f"patches of {chosen}x{chosen} pixels suit images of {size[0]}x{size[1]}"


def stage_sizes(height: int, width: int, patch: int) -> list[tuple[int, int]]:
    """(height, width) of the feature maps, one place for each patch, and of every halving down to 4."""
    return halvings(-(-height // patch), -(-width // patch), most=12, smallest=SMALLEST)


def _maps(spec: Spec, width: int, most: int, patch: int) -> tuple[int, list[tuple[int, int]], list[int]]:
    """The side of a patch, and (height, width) and channels of the feature maps, the largest maps first."""
    _, *size = spec.shape
    patch = patch_of(size[0], size[1], patch)
    sizes = stage_sizes(size[0], size[1], patch)
    return patch, sizes, [min(width * 2**stage, most) for stage in range(len(sizes))]


class GatedUpsampling(nn.Module):
    """Nearest upsampling, a 3x3 convolution, batch norm, and half of the channels as gates of the others (figure 3).

    Args:
        inputs, outputs: channels.
        size: (height, width) of the output.
        classes: that change scales and shifts of batch norm; 0 for none.
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], classes: int = 0) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * outputs)
        self.of_class = ClassModulation(2 * outputs, classes) if classes else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, inputs, h, w), of the classes y (N, classes) where it has any, to (N, outputs, *size)."""
        doubled = F.interpolate(x, scale_factor=2)[..., : self.size[0], : self.size[1]]
        x = self.norm(self.convolution(doubled))
        return F.glu(x if self.of_class is None or y is None else self.of_class(x, y), 1)


class Excitation(nn.Sequential):
    """Skip-layer excitation: small feature maps scale the channels of large ones (equation 1)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(SMALLEST),
            nn.Conv2d(inputs, outputs, SMALLEST),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 1),
            nn.Sigmoid(),
        )


class Generator(_base.Generator):
    """Latents (N, dim) to images (N, C, H, W).

    Args:
        spec: shape and latent.
        width: channels of the last feature maps; each earlier stage has twice as many.
        most: the largest number of channels.
        conditional: the class, which is joined to z, also changes scales and shifts of batch norm in every stage.
        patch: pixels a side of the blocks that are made as channels; 1 for none, 0 for one that suits the size.
        excitation: the first feature maps scale the channels of the last ones.
        fine: channels of a convolution over the pixels of all patches, without which each patch is made by itself; 0
            for none.
        output_skips: every stage makes an image, and the final one is their sum (Karras et al. 2020, "Analyzing and
            improving the image quality of StyleGAN", section 4.1).
        output: the output function, which sets the range of pixel values.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 32,
        most: Width = 256,
        conditional: bool = False,
        patch: Patch = 0,
        excitation: bool = True,
        fine: OptionalWidth = 0,
        output_skips: bool = False,
        output: Output = "tanh",
    ) -> None:
        super().__init__(spec, output)
        classes = classes_of_norms(spec.latent, conditional)
        channels = spec.shape[0]
        asked, (patch, sizes, widths) = patch, _maps(spec, width, most, patch)
        self.fitted = _fitted(spec.shape[1:], asked, patch)
        self.patch, self.base = patch, (2 * widths[-1], *sizes[-1])
        self.stem = nn.Linear(spec.latent.width, self.base[0] * self.base[1] * self.base[2], bias=False)
        self.norm = nn.BatchNorm2d(self.base[0])
        self.stages = nn.ModuleList(
            GatedUpsampling(widths[stage + 1], widths[stage], sizes[stage], classes)
            for stage in reversed(range(len(sizes) - 1))
        )
        self.excitation = Excitation(widths[-1], widths[0]) if excitation else None
        self.last = nn.Conv2d(widths[0], (fine or channels) * patch**2, 3, padding=1)
        self.fine = nn.Conv2d(fine, channels, 3, padding=1) if fine else None
        stages = reversed(widths) if output_skips else ()
        self.images = nn.ModuleList(nn.Conv2d(wide, channels, 1) for wide in stages)
        self.squash = squash(output)
        _orthogonal(self)

    def first_layer(self, w: Tensor) -> Tensor:
        """w (N, width) to the output of the first linear layer, (N, features)."""
        return self.stem(w)

    def synthesize(self, w: Tensor) -> Tensor:
        """w (N, width) to (N, C, H, W)."""
        _, y, _ = self.latent.split(w)
        x = self.stem(w).view(-1, *self.base).contiguous(memory_format=torch.channels_last)
        x = first = F.glu(self.norm(x), 1)
        image = self.images[0](x) if self.images else None
        for number, stage in enumerate(self.stages, 1):
            x = stage(x, y)
            if image is not None:
                image = _resized(image, *x.shape[2:]) + self.images[number](x)
        if self.excitation is not None:
            x = x * self.excitation(first)
        pixels = F.pixel_shuffle(self.last(x), self.patch)[..., : self.shape[1], : self.shape[2]]
        if self.fine is not None:
            pixels = self.fine(F.leaky_relu(pixels, 0.2))
        if image is not None:
            pixels = pixels + _resized(image, *self.shape[1:])
        return self.squash(pixels)

    def resized(self, name: str, value: Tensor, other: _base.Network) -> Tensor:
        """The last layer for patches of another side; the stages are the same ones from 4x4 up."""
        if not name.startswith("last.") or not isinstance(other, Generator):
            return value
        return repatched(value, other.patch, self.patch, taken=False)


class Decoder(nn.Sequential):
    """Feature maps to images: upsampling blocks like the generator's, and a convolution (section 3.2).

    Args:
        inputs: channels of the maps.
        size: (height, width) of them.
        channels: of the images.
        target: (height, width) of the images.
    """

    def __init__(self, inputs: int, size: tuple[int, int], channels: int, target: tuple[int, int]) -> None:
        layers: list[nn.Module] = []
        while size[0] < target[0] or size[1] < target[1]:
            size, outputs = (2 * size[0], 2 * size[1]), max(inputs // 2, 2 * channels)
            layers.append(GatedUpsampling(inputs, outputs, size))
            inputs = outputs
        if size != target:
            layers.append(nn.Upsample(target, mode="bilinear"))
        super().__init__(*layers, nn.Conv2d(inputs, channels, 3, padding=1))


class Decoders(nn.Module):
    """Reconstructs an image at half its sides from small feature maps, and a quarter of it from a quarter of larger
    ones (section 3.2, figure 4).

    Args:
        shape: (channels, height, width) of an image.
        sizes: (height, width) of the feature maps, the largest first.
        widths: their channels.

    Attributes:
        stages: the larger maps and the small ones, as indices of ``sizes``.
        target: (height, width) of what is reconstructed, half of the image's.
    """

    def __init__(self, shape: tuple[int, int, int], sizes: list[tuple[int, int]], widths: list[int]) -> None:
        super().__init__()
        channels, *sides = shape
        self.target = half = sides[0] // 2, sides[1] // 2
        # The paper's are 8x8 and 16x16.
        fitting = [stage for stage, size in enumerate(sizes) if size[0] <= half[0] and size[1] <= half[1]]
        small = next((stage for stage in fitting if min(sizes[stage]) <= 8), len(sizes) - 1)
        self.stages = max(0, small - 1), small
        self._crop = tuple(-(-side // 2) for side in sizes[self.stages[0]])
        self.part = Decoder(widths[self.stages[0]], (self._crop[0], self._crop[1]), channels, half)
        self.whole = Decoder(widths[small], sizes[small], channels, half)

    def forward(self, images: Tensor, large: Tensor, small: Tensor, corner: Tensor) -> Tensor:
        """Mean absolute error of both reconstructions, added up (equation 4).

        Args:
            images: (N, C, H, W), what the discriminator was given.
            large: its larger feature maps.
            small: its small ones.
            corner: which quarter of each image, 0 to 3 row by row, int64 (N,).
        """
        whole, part = F.adaptive_avg_pool2d(images, self.target), _quarter(images, corner, *self.target)
        crop = _quarter(large, corner, self._crop[0], self._crop[1])
        return F.l1_loss(self.whole(small).float(), whole) + F.l1_loss(self.part(crop).float(), part)


def _quarter(x: Tensor, corner: Tensor, height: int, width: int) -> Tensor:
    """A corner of each image, (N, C, height, width)."""
    corner = corner.view(-1, 1, 1, 1)
    x = torch.where(corner < 2, x[:, :, :height], x[:, :, -height:])
    return torch.where(corner % 2 == 0, x[..., :width], x[..., -width:])


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(images, (height, width), mode="bilinear", align_corners=False)


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        width: channels of the first feature maps; each later stage has twice as many.
        most: the largest number of channels.
        patch: pixels a side of the blocks that are read as channels; 1 for none, 0 for one that suits the size.
        fine: channels of a convolution over the pixels, before the patches; 0 for none.
        norm: after every layer but the first.
        slope: of the leaky ReLU.
        minibatch_std: images of a batch are compared by their standard deviation (Karras et al. 2018, section 3).
        spectral_norm: divide every weight by its largest singular value (Miyato et al. 2018).
        conditional: it also takes the class, by a projection (Miyato and Koyama 2018, "cGANs with projection
            discriminator", equation 3).
        decoders: it has decoders, which the regularizer ``reconstruction`` trains.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 32,
        most: Width = 256,
        patch: Patch = 0,
        fine: OptionalWidth = 0,
        norm: Norm = "none",
        slope: Share = 0.2,
        minibatch_std: bool = False,
        spectral_norm: bool = False,
        conditional: bool = False,
        decoders: bool = False,
    ) -> None:
        super().__init__(spec)
        channels = spec.shape[0]
        patch, sizes, widths = _maps(spec, width, most, patch)
        self.conditional, self.patch = conditional, patch
        self.batch_independent = norm != "batch" and not minibatch_std
        pixels = nn.Sequential(nn.Conv2d(channels, fine, 3, padding=1), nn.LeakyReLU(slope)) if fine else nn.Identity()
        self.fine = pixels
        layers: list[nn.Module] = [nn.Conv2d((fine or channels) * patch**2, width, 3, padding=1), nn.LeakyReLU(slope)]
        height, image_width = sizes[0]
        ends, maps = [len(layers)], [sizes[0]]
        for inputs, outputs in pairwise(widths):
            layers += [Down(inputs, outputs, bias=norm == "none"), *normalisation(norm, outputs), nn.LeakyReLU(slope)]
            height, image_width = height // 2, image_width // 2
            ends.append(len(layers))
            maps.append((height, image_width))
        inputs = widths[-1]
        if minibatch_std:
            layers.append(MinibatchDeviation())
            inputs += 1
        layers += [nn.Conv2d(inputs, widths[-1], 3, padding=1), nn.LeakyReLU(slope), Flat()]
        features = widths[-1] * height * image_width
        self.body = nn.Sequential(*layers, nn.Linear(features, 1))
        self.classes = Projection(spec, features) if conditional else None
        _orthogonal(self)
        if spectral_norm:
            normalise_spectrum(self)
        self.decoders = Decoders(spec.shape, maps, widths) if decoders else None
        if self.decoders is not None:
            self.heads = DECODED
            self._decoded = [ends[stage] for stage in self.decoders.stages]
            _orthogonal(self.decoders)

    @property
    def layers(self) -> list[nn.Module]:
        """Those of the body, after the one over pixels."""
        return [self.fine, *super().layers]

    def features(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """(N, C, H, W) to (N, features)."""
        return self._maps(images)[-1]

    def _maps(self, images: Tensor) -> list[Tensor]:
        """The blocks of pixels, and what each layer but the last makes of them."""
        height, width = images.shape[2:]
        images = F.pad(images, (0, -width % self.patch, 0, -height % self.patch))
        maps = [F.pixel_unshuffle(self.fine(images), self.patch).contiguous(memory_format=torch.channels_last)]
        for layer in list(self.body)[:-1]:
            maps.append(layer(maps[-1]))
        return maps

    def forward(
        self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Images (N, C, H, W), with y (N,) if it is conditional, to logits (N, 1); with decoders also what those take,
        see :data:`DECODED`."""
        maps = self._maps(images)
        logits = self.body[-1](maps[-1])
        if self.classes is not None and y is not None:
            logits = logits + self.classes.of_class(maps[-1], y)
        return logits if self.decoders is None else (logits, images, *(maps[layer] for layer in self._decoded))

    def reconstruction_error(self, heads: Mapping[str, Tensor], corner: Tensor) -> Tensor:
        """See :class:`Decoders`; ``heads`` are those of this network's own output."""
        assert self.decoders is not None
        return self.decoders(*(heads[name] for name in DECODED), corner)

    def resized(self, name: str, value: Tensor, other: _base.Network) -> Tensor:
        """The first layer's weight for patches of another side."""
        if not name.startswith("body.0.") or value.dim() != 4 or not isinstance(other, Discriminator):
            return value
        return repatched(value.movedim(1, 0), other.patch, self.patch, taken=True).movedim(0, 1)


def _orthogonal(network: nn.Module) -> None:
    """Orthogonal weights (Saxe et al. 2014)."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.orthogonal_(module.weight)


NETWORKS = {"generator": Generator, "discriminator": Discriminator}
