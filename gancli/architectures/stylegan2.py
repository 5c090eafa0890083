"""Networks of StyleGAN2 (Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", section 2 and
figure 7) and of its form for CIFAR-10 (Karras et al. 2020b, "Training generative adversarial networks with limited
data", appendix D).

They are pure PyTorch, for images of any channels and sides. One thing is not the papers': an output function, since
every generator here has a range of pixel values.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.architectures import _base
from gancli.architectures._base import OptionalWidth, Sizes, Spec, Width
from gancli.architectures._heads import classes_for
from gancli.architectures._layers import (
    ROOT,
    SLOPE,
    EqualizedConv,
    EqualizedLinear,
    Flat,
    MinibatchDeviation,
    NoiseInput,
    filtered,
    halvings,
    upsampled,
)
from gancli.architectures._ranges import Output, squash
from gancli.latents import LatentSpec

SIZES = Sizes(minimum=8, instead=", or `model=gan`, which takes any size")
SMALLEST = 4
"""The shortest side of feature maps."""
MAPPING_RATE = 0.01
"""Factor on the learning rate of the mapping network (Karras et al. 2019, appendix C)."""


def _maps(spec: Spec, width: int, most: int) -> tuple[list[tuple[int, int]], list[int]]:
    """(height, width) and channels of the feature maps, the largest maps first."""
    sizes = halvings(spec.shape[1], spec.shape[2], most=12, smallest=SMALLEST)
    return sizes, [min(width * 2**stage, most) for stage in range(len(sizes))]


def _normalised(x: Tensor) -> Tensor:
    """(N, features) with a mean square of 1 in every row."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """z and, by an embedding, the class to w (Karras et al. 2019, section 2; 2020b, appendix D)."""

    def __init__(self, latent: LatentSpec, features: int, layers: int) -> None:
        super().__init__()
        self.latent = latent
        self.embedding = EqualizedLinear(latent.classes, features, bias=None) if latent.classes else None
        widths = [latent.dim + (features if latent.classes else 0) + latent.codes, *[features] * layers]
        self.layers = nn.Sequential(
            *(EqualizedLinear(*each, rate=MAPPING_RATE, active=True) for each in pairwise(widths))
        )

    def forward(self, z: Tensor, y: Tensor | None, c: Tensor | None) -> Tensor:
        """z (N, dim), y (N,) or (N, classes), c (N, codes) to (N, features), in full precision."""
        latent = self.latent
        with torch.autocast(z.device.type, enabled=False):
            z, y, c = latent.join(z, y, c).split([latent.dim, latent.classes, latent.codes], 1)
            parts = [_normalised(z), *([] if self.embedding is None else [_normalised(self.embedding(y))]), c]
            return self.layers(torch.cat(parts, 1))


class ModulatedConv(nn.Module):
    """A convolution whose weights each image scales by its style, for each input channel, and then normalises, for each
    output channel (section 2.2, equations 1 and 3).

    Both scales are constant over the kernel: scaling the input's channels by one and the output's by the other is the
    same, with one weight for all images, in place of a convolution of its own for each.

    Args:
        inputs: channels.
        outputs: channels.
        features: of a row of w.
        kernel: its side.
        demodulate: normalise.
        up: double the size, with the filter of :func:`filtered`.
    """

    def __init__(
        self, inputs: int, outputs: int, features: int, kernel: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.demodulate, self.up = demodulate, up
        self.style = EqualizedLinear(features, inputs, bias=1.0)
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(outputs, inputs, kernel, kernel)))

    def forward(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor | None]:
        """x (N, inputs, h, w) and w (N, features) to what is left to be scaled (N, outputs, h, w), and by what
        (N, outputs, 1, 1), None without ``demodulate``."""
        style, weight = self.style(w) / self.weight[0].numel() ** 0.5, self.weight
        x = x * style[..., None, None].to(x.dtype)
        if self.up:
            # By 4, since three of four pixels that the filter sees are zeros.
            x = filtered(F.conv_transpose2d(x, 4 * weight.transpose(0, 1), stride=2), padding=1)
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return x, None
        with torch.autocast(x.device.type, enabled=False):
            power = style.to(weight.dtype).square() @ weight.square().sum((2, 3)).T
            return x, (power + 1e-8).rsqrt()[..., None, None]


class StyledLayer(nn.Module):
    """A modulated convolution, noise, a bias and a leaky ReLU, to feature maps of ``size`` (figure 2d)."""

    def __init__(
        self, inputs: int, outputs: int, features: int, size: tuple[int, int], *, noise: bool, up: bool
    ) -> None:
        super().__init__()
        self.size = size
        self.convolution = ModulatedConv(inputs, outputs, features, 3, up=up)
        self.noise = NoiseInput(size) if noise else None
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (N, inputs, h, w) and w (N, features) to (N, outputs, *size)."""
        x, scale = self.convolution(x, w)
        assert scale is not None
        x = x[..., : self.size[0], : self.size[1]]
        # A leaky ReLU passes positive factors: its gain is that of small tensors.
        x = torch.addcmul((self.bias * ROOT).view(1, -1, 1, 1).to(x.dtype), x, (scale * ROOT).to(x.dtype))
        if self.noise is not None:
            x = x + (self.noise(x.shape[0]) * ROOT).to(x.dtype)
        return F.leaky_relu(x, SLOPE)


class ToImage(nn.Module):
    """What feature maps add to the image: a modulated 1x1 convolution that is not normalised (figure 7b)."""

    def __init__(self, inputs: int, channels: int, features: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv(inputs, channels, features, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (N, inputs, h, w) and w (N, features) to (N, channels, h, w)."""
        return self.convolution(x, w)[0] + self.bias.view(1, -1, 1, 1)


class Generator(_base.MappingGenerator):
    """Latents (N, dim) to images (N, C, H, W), with a row of w for every convolution and one for the last image.

    Args:
        spec: shape and latent.
        width: channels of the feature maps at full resolution; each smaller size has twice as many.
        most: the largest number of channels.
        features: of a row of w; 0 for as many as z has.
        mapping_layers: of the mapping network; 8 in the paper, 2 for CIFAR-10.
        noise: every convolution has a noise input.
        output: the output function, which sets the range of pixel values.
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 32,
        most: Width = 256,
        features: OptionalWidth = 0,
        mapping_layers: Annotated[int, Field(ge=1, le=64)] = 2,
        noise: bool = True,
        output: Output = "tanh",
    ) -> None:
        features = features or spec.latent.dim
        super().__init__(spec, output, features)
        sizes, widths = _maps(spec, width, most)
        sizes, widths = sizes[::-1], widths[::-1]
        self.layers = 2 * len(sizes)
        self.mapper = Mapping(spec.latent, features, mapping_layers)
        self.constant = nn.Parameter(nn.init.normal_(torch.empty(1, widths[0], *sizes[0])))
        layers = [StyledLayer(widths[0], widths[0], features, sizes[0], noise=noise, up=False)]
        for (inputs, outputs), size in zip(pairwise(widths), sizes[1:], strict=True):
            layers.append(StyledLayer(inputs, outputs, features, size, noise=noise, up=True))
            layers.append(StyledLayer(outputs, outputs, features, size, noise=noise, up=False))
        self.styled = nn.ModuleList(layers)
        self.images = nn.ModuleList(ToImage(wide, spec.shape[0], features) for wide in widths)
        self.squash = squash(output)

    def mapping(self, z: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> Tensor:
        """z (N, dim), with classes y (N,), with codes c (N, codes), to w (N, layers, features)."""
        return self.mapper(z, y, c)[:, None].expand(-1, self.layers, -1)

    def first_layer(self, w: Tensor) -> Tensor:
        """A row of w (N, features) to the styles of all convolutions, side by side."""
        return torch.cat([layer.style(w) for layer in self.modules() if isinstance(layer, ModulatedConv)], 1)

    def synthesize(self, w: Tensor) -> Tensor:
        """w (N, layers, features) to (N, C, H, W), the sum of every size's image (section 4.1)."""
        rows, image = w.unbind(1), None
        x = self.constant.expand(w.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        for number, layer in enumerate(self.styled):
            x = layer(x, rows[number])
            if number % 2 == 0:
                # The image of a size has the row of the convolution that follows.
                more = self.images[number // 2](x, rows[number + 1])
                image = more if image is None else upsampled(image)[..., : x.shape[2], : x.shape[3]] + more
        assert image is not None
        return self.squash(image)


class Block(nn.Module):
    """Two convolutions, of which the second halves the size, and a shortcut around both (figure 7c)."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        gain = 1 / ROOT if residual else 1.0  # the sum of both ways has the variance of one
        self.first = EqualizedConv(inputs, inputs, 3)
        self.second = EqualizedConv(inputs, outputs, 3, down=True, gain=gain)
        self.skip = EqualizedConv(inputs, outputs, 1, down=True, active=False, gain=gain) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h // 2, w // 2)."""
        made = self.second(self.first(x))
        return made if self.skip is None else made + self.skip(x)


class Discriminator(_base.Discriminator):
    """Images (N, C, H, W) to logits (N, 1); higher means more real.

    Args:
        spec: shape of the images.
        width: channels of the feature maps at full resolution; each smaller size has twice as many.
        most: the largest number of channels.
        residual: blocks have shortcuts; without them it is the plain one, which CIFAR-10 takes.
        group: images that are compared by their standard deviation (Karras et al. 2018, section 3); 0 for none.
        conditional: it also takes the class, by a projection (Miyato and Koyama 2018, "cGANs with projection
            discriminator", equation 3).
    """

    serves = SIZES

    def __init__(
        self,
        spec: Spec,
        *,
        width: Width = 32,
        most: Width = 256,
        residual: bool = True,
        group: Annotated[int, Field(ge=0, le=1024)] = 4,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        self.conditional, self.batch_independent = conditional, not group
        sizes, widths = _maps(spec, width, most)
        (height, image_width), last = sizes[0], widths[-1]
        layers: list[nn.Module] = [EqualizedConv(spec.shape[0], widths[0], 1)]
        for inputs, outputs in pairwise(widths):
            layers.append(Block(inputs, outputs, residual))
            height, image_width = height // 2, image_width // 2
        layers += [MinibatchDeviation(group)] if group else []
        layers += [EqualizedConv(last + (1 if group else 0), last, 3), Flat()]
        layers.append(EqualizedLinear(last * height * image_width, last, active=True))
        self.body = nn.Sequential(*layers, EqualizedLinear(last, 1))
        self.classes = EqualizedLinear(last, classes_for(spec), bias=None) if conditional else None

    def forward(self, images: Tensor, y: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W), with y (N,) if it is conditional, to logits (N, 1)."""
        features = self.features(images)
        logits = self.body[-1](features)
        if self.classes is None or y is None:
            return logits
        return logits + self.classes(features).gather(1, y[:, None])

    def resized(self, name: str, value: Tensor, other: _base.Network) -> Tensor:
        """The layer over pixels for other channels: its scale depends on their number."""
        channels = self.shape[0] / other.shape[0]
        return value * channels**0.5 if name == "body.0.weight" else value


NETWORKS = {"generator": Generator, "discriminator": Discriminator}
