"""Deep convolutional GAN (Radford, Metz, Chintala 2016, section 3), for any size from 8 pixels up.

The image's sides are halved, rounding up, until the shorter one would fall under ``base``: 64 gives the paper's four
stages down to 4x4, 28 gives three. An odd side is reached by cutting a row or column off the doubled one. With
``dense``, a fully connected layer stands before the generator's convolutions and after the discriminator's, as in the
MNIST networks of InfoGAN (Chen et al. 2016, appendix C.1): on small images it learns much faster.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures._base import RANGES, Output, Share, Spec, Width, squash
from gancli.architectures._heads import Code, Readings, Reads, check_told, encoder_end
from gancli.architectures._layers import Dropout
from gancli.errors import UsageError

MINIMUM = 8
Norm = Literal["batch", "none"]


Base = Annotated[int, Field(ge=4, le=64)]


def stage_sizes(height: int, width: int, base: int = 4) -> list[tuple[int, int]]:
    """(height, width) of the image and of every halving, at least one, with no side under ``base`` after the first.

    Raises:
        UsageError: a side is under 8 pixels.
    """
    if min(height, width) < MINIMUM:
        raise UsageError(
            f"dcgan needs images of at least {MINIMUM}x{MINIMUM} pixels, these are {height}x{width}",
            f"choose a larger size, as in --set data.size=[{max(height, MINIMUM)},{max(width, MINIMUM)}], "
            "or --model gan, which takes any size",
        )
    sizes = [(height, width)]
    half = ((height + 1) // 2, (width + 1) // 2)
    while len(sizes) == 1 or min(half) >= base:
        sizes.append(half)
        half = ((half[0] + 1) // 2, (half[1] + 1) // 2)
    return sizes


def _norm(kind: str, features: int, flat: bool = False) -> list[nn.Module]:
    if kind == "none":
        return []
    return [nn.BatchNorm1d(features) if flat else nn.BatchNorm2d(features)]


def drop(dropout: float, flat: bool = False) -> list[nn.Module]:
    """Dropout of features, or of whole channels; nothing at all without, so that tensors keep their names."""
    if not dropout:
        return []
    return [Dropout(dropout) if flat else nn.Dropout2d(dropout)]


def initialise(network: nn.Module, init_std: float) -> None:
    """Weights N(0, init_std), scales of batch norm N(1, init_std), biases zero (section 3); 0 leaves PyTorch's own."""
    if not init_std:
        return
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, init_std)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, init_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Down(nn.Conv2d):
    """A convolution of 4x4 that halves, rounding down."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h // 2, w // 2)."""
        return halved(input, self.weight, self.bias)


def halved(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What a convolution of 4x4 and stride 2 makes of (N, C, h, w): (N, outputs, h // 2, w // 2)."""
    if weight.shape[1] > FEW or not x.requires_grad:
        return F.conv2d(x, weight, bias, stride=2, padding=1)
    # Of the kernels for few channels, the one for the gradient of the input is the slow one.
    height, width = x.shape[2:]
    x = F.pixel_unshuffle(F.pad(x, (1, 1 - width % 2, 1, 1 - height % 2)), 2)
    return F.conv2d(x, F.pixel_unshuffle(weight, 2), bias)


class Up(nn.Module):
    """A transposed convolution that doubles, then cuts to the size wanted."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], bias: bool) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, *size)."""
        layer = self.convolution
        doubled = layer(x) if layer.out_channels > FEW else _by_phase(x, layer.weight, layer.bias)
        return doubled[..., : self.size[0], : self.size[1]]


# Up to so many channels, 2x2 pixels are taken for channels too: the same sums over four times as many of them.
# PyTorch's kernels for one channel, or three, are several times slower than the arithmetic.
FEW = 4


def _by_phase(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A transposed convolution of 4x4 and stride 2, as one of 3x3 that makes the pixels of each 2x2 block."""
    inputs, outputs = weight.shape[:2]
    # An even row of a doubled image is reached from the row above by the last of four taps, and from the same by the
    # second; an odd one from the same by the third, and from the row below by the first.
    taps = F.pad(weight, (1, 1, 1, 1)).view(inputs, outputs, 3, 2, 3, 2)
    kernel = taps.permute(1, 3, 5, 0, 2, 4).reshape(-1, inputs, 3, 3).flip(2, 3)
    return F.pixel_shuffle(F.conv2d(x, kernel, None if bias is None else bias.repeat_interleave(4), padding=1), 2)


class Flat(nn.Flatten):
    """(N, C, H, W) to (N, C * H * W), whose gradient comes back in the memory layout that the convolutions use."""

    def forward(self, input: Tensor) -> Tensor:
        """Flat, by channel first."""
        if input.requires_grad:
            input.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return super().forward(input)


class Generator(nn.Module):
    """Latents (N, dim) to images (N, C, H, W).

    Args:
        spec: shape and latent.
        width: channels of the last hidden layer; each earlier stage has twice as many.
        most: the largest number of channels.
        base: the shortest side that the convolutions may start from.
        dense: features of a fully connected layer before the convolutions; 0 for none, as in the paper.
        norm: after every layer but the last.
        dropout: probability after every layer but the last, of whole channels; 0 in the paper. None is applied when the
            network is used.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        output: the last function, which sets the range of pixel values.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        most: Width = 1024,
        base: Base = 4,
        dense: Annotated[int, Field(ge=0, le=8192)] = 0,
        norm: Norm = "batch",
        dropout: Share = 0.0,
        init_std: Annotated[float, Field(ge=0, le=1)] = 0.02,
        output: Output = "tanh",
    ) -> None:
        super().__init__()
        self.latent, self.range = spec.latent, RANGES[output]
        channels, height, image_width = spec.shape
        sizes = stage_sizes(height, image_width, base)
        widths = [min(width * 2**stage, most) for stage in range(len(sizes) - 1)]
        bias = norm == "none"
        self.base = (widths[-1], *sizes[-1])
        features = widths[-1] * sizes[-1][0] * sizes[-1][1]
        inputs, layers = spec.latent.width, []
        if dense:
            layers += [nn.Linear(inputs, dense, bias=bias), *_norm(norm, dense, flat=True), nn.ReLU()]
            layers += drop(dropout, flat=True)
            inputs = dense
        self.stem = nn.Sequential(*layers, nn.Linear(inputs, features, bias=bias))
        body: list[nn.Module] = [*_norm(norm, widths[-1]), nn.ReLU(), *drop(dropout)]
        for stage in range(len(widths) - 1, 0, -1):
            body += [Up(widths[stage], widths[stage - 1], sizes[stage], bias), *_norm(norm, widths[stage - 1])]
            body += [nn.ReLU(), *drop(dropout)]
        self.body = nn.Sequential(*body, Up(widths[0], channels, sizes[0], bias=True), squash(output))
        initialise(self, init_std)

    def forward(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), with classes y (N,), with codes c (N, codes), to (N, C, H, W)."""
        x = self.stem(self.latent.join(z, y, c)).view(-1, *self.base).contiguous(memory_format=torch.channels_last)
        return self.body(x)


class Discriminator(nn.Module):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        width: channels of the first layer; each later stage has twice as many.
        most: the largest number of channels.
        base: the shortest side that the convolutions may end at.
        dense: features of a fully connected layer after the convolutions; 0 for none, as in the paper.
        norm: after every layer but the first and the last.
        slope: of the leaky ReLU.
        dropout: probability after each convolution.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        conditional: also takes the class, as one more channel: a picture learned for each.
        heads: what it reads in an image besides: the class, the codes; then it returns (logits, reading, …).
        head_width: features of a layer before the readings; 0 for none.

    Attributes:
        batch_independent: whether an image's logit depends on no other image of its batch, so that real and fake images
            may be concatenated into one.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        most: Width = 1024,
        base: Base = 4,
        dense: Annotated[int, Field(ge=0, le=8192)] = 0,
        norm: Norm = "batch",
        slope: Share = 0.2,
        dropout: Share = 0.0,
        init_std: Annotated[float, Field(ge=0, le=1)] = 0.02,
        conditional: bool = False,
        heads: Reads = [],  # noqa: B006 (read, never written)
        head_width: Annotated[int, Field(ge=0, le=8192)] = 0,
    ) -> None:
        super().__init__()
        self.conditional, self.heads = conditional, tuple(heads)
        self.batch_independent = norm == "none" and not head_width  # the shared layer of readings has batch norm
        channels, height, image_width = spec.shape
        if conditional:
            self.pictures = nn.Embedding(check_told(spec), height * image_width)
            channels += 1
        stages = len(stage_sizes(height, image_width, base)) - 1
        widths = [channels, *(min(width * 2**stage, most) for stage in range(stages))]
        layers: list[nn.Module] = []
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            kind = norm if stage else "none"
            layers += [Down(inputs, outputs, bias=kind == "none"), *_norm(kind, outputs)]
            layers += [nn.LeakyReLU(slope), *drop(dropout)]
            height, image_width = height // 2, image_width // 2
        features = widths[-1] * height * image_width
        layers.append(Flat())
        if dense:
            layers += [nn.Linear(features, dense, bias=norm == "none"), *_norm(norm, dense, flat=True)]
            layers.append(nn.LeakyReLU(slope))
            features = dense
        self.body = nn.Sequential(*layers, nn.Linear(features, 1))
        self.readings = Readings(spec, heads, features, head_width) if heads else None
        initialise(self, init_std)

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """(N, C, H, W), with classes y (N,) if it is told them, to (N, 1) and what it reads."""
        first: Any = self.body[0]
        x = first(images) if y is None else self._told(images, y)
        features = self.body[1:-1](x)
        logits = self.body[-1](features)
        return logits if self.readings is None else (logits, *self.readings(features))

    def _told(self, images: Tensor, y: Tensor) -> Tensor:
        """The first layer's output for images that have the picture of their class as one more channel.

        A convolution of both is the sum of one of the images and one of the pictures, of which there are only as many
        as classes; and images then need no gradient for the pictures' sake.
        """
        first: Any = self.body[0]
        channels, pictures = images.shape[1], self.pictures.weight.view(-1, 1, *images.shape[2:])
        x = halved(images, first.weight[:, :channels], first.bias)
        of_classes = halved(pictures, first.weight[:, channels:]).permute(0, 2, 3, 1)
        # Picked by a product, since the gradient of picking by number is slow.
        picked = F.one_hot(y, len(pictures)).to(x.dtype) @ of_classes.flatten(1)
        return x + picked.view(-1, *of_classes.shape[1:]).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """Images (N, C, H, W) to codes (N, dim), or to means and log variances (N, 2 dim).

    The discriminator's layers, with another end.

    Args:
        spec: shape of the images, and the latent.
        width: channels of the first layer; each later stage has twice as many.
        most: the largest number of channels.
        base: the shortest side that the convolutions may end at.
        dense: features of a fully connected layer after the convolutions; 0 for none.
        norm: after every layer but the first and the last.
        slope: of the leaky ReLU.
        init_std: standard deviation of the initial weights; 0 for PyTorch's own initialisation.
        code: what it gives: a code as it comes, a whitened one, or a Gaussian's mean and log variance.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 64,
        most: Width = 1024,
        base: Base = 4,
        dense: Annotated[int, Field(ge=0, le=8192)] = 0,
        norm: Norm = "batch",
        slope: Share = 0.2,
        init_std: Annotated[float, Field(ge=0, le=1)] = 0.02,
        code: Code = "plain",
    ) -> None:
        super().__init__()
        judge = Discriminator(spec, width=width, most=most, base=base, dense=dense, norm=norm, slope=slope, init_std=0)
        *layers, last = judge.body
        assert isinstance(last, nn.Linear)
        self.body = nn.Sequential(*layers, *encoder_end(last.in_features, spec.latent.dim, code))
        initialise(self, init_std)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dim) or (N, 2 dim)."""
        return self.body(images)


NETWORKS = {"generator": Generator, "discriminator": Discriminator, "encoder": Encoder}
