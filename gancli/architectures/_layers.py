"""Layers that several families share, and what is done to all of a network's layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

FEW = 4
"""Up to so many channels, blocks of 2x2 pixels are computed as channels: the same sums over four times as many of them.
PyTorch's kernels for one channel, or three, are several times slower than the arithmetic."""

WEIGHTED = nn.Linear, nn.Conv2d, nn.ConvTranspose2d
"""Layers whose weights are initialised, and divided by their largest singular value."""

LEVELS = 2**16
"""Values of the sixteen bits by which a feature is dropped."""


class Dropout(nn.Dropout):
    """PyTorch's dropout, on a CPU from a quarter of the random bits.

    There PyTorch draws a number for each feature, which costs a small multilayer perceptron a quarter of its training;
    here sixteen bits decide, so that the probability is a multiple of 1/65,536. Features are divided by the probability
    that is used, so that their mean is unchanged (Srivastava et al. 2014, section 10).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Features of any shape to the same."""
        dropped = round(self.p * LEVELS)
        if not self.training or input.device.type != "cpu" or not 0 < dropped < LEVELS:
            return super().forward(input)
        bits = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = (bits[: input.numel()] >= dropped - LEVELS // 2).to(input.dtype).mul_(LEVELS / (LEVELS - dropped))
        # In the order in which features lie in memory, whichever that is.
        dense = torch.empty_like(input)
        return input * kept.as_strided(dense.shape, dense.stride())


def dropping(dropout: float, *, channels: bool = False) -> list[nn.Module]:
    """Dropout of features, or of whole channels; no layer at all for 0, so that tensors keep their names."""
    if not dropout:
        return []
    return [nn.Dropout2d(dropout) if channels else Dropout(dropout)]


def initialise(network: nn.Module, std: float) -> None:
    """Weights N(0, std), scales of batch norm N(1, std), biases 0 (Radford et al. 2016, section 3); 0 changes none."""
    normalised = nn.BatchNorm1d, nn.BatchNorm2d
    for module in network.modules() if std else ():
        if isinstance(module, (*normalised, *WEIGHTED)):
            nn.init.normal_(module.weight, 1.0 if isinstance(module, normalised) else 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normalise_spectrum(network: nn.Module) -> None:
    """Divide the weight of every linear and convolutional layer by its largest singular value (Miyato et al. 2018,
    "Spectral normalization for generative adversarial networks", section 2.1), by one power iteration a pass."""
    for module in list(network.modules()):
        if isinstance(module, WEIGHTED):
            parametrizations.spectral_norm(module)


def halvings(height: int, width: int, most: int, smallest: int = 1) -> list[tuple[int, int]]:
    """(height, width) of the image and after each halving, rounded up: at most ``most`` of them, and none after which a
    side would be under ``smallest`` or is one pixel already."""
    sizes = [(height, width)]
    while len(sizes) <= most and min(sizes[-1]) > 1:
        half = ((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2)
        if min(half) < smallest:
            break
        sizes.append(half)
    return sizes


class Down(nn.Conv2d):
    """A 4x4 convolution of stride 2, which halves the size, rounding down."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h // 2, w // 2)."""
        return strided(input, self.weight, self.bias)


def strided(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The 4x4 convolution of stride 2 of (N, C, h, w): (N, outputs, h // 2, w // 2)."""
    if weight.shape[1] > FEW or not x.requires_grad:
        return F.conv2d(x, weight, bias, stride=2, padding=1)
    # Of the kernels for few channels, the one for the gradient of the input is the slow one.
    height, width = x.shape[2:]
    x = F.pixel_unshuffle(F.pad(x, (1, 1 - width % 2, 1, 1 - height % 2)), 2)
    return F.conv2d(x, F.pixel_unshuffle(weight, 2), bias)


class Up(nn.Module):
    """A transposed convolution of stride 2, 4x4 or 3x3, which doubles the size, cut to ``size``."""

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], bias: bool = True, *, kernel: Literal[3, 4] = 4
    ) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.ConvTranspose2d(
            inputs, outputs, kernel, stride=2, padding=1, output_padding=kernel % 2, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, *size)."""
        layer = self.convolution
        few = layer.out_channels <= FEW and layer.kernel_size == (4, 4)
        doubled = _by_phase(x, layer.weight, layer.bias) if few else layer(x)
        return doubled[..., : self.size[0], : self.size[1]]


def _by_phase(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The 4x4 transposed convolution of stride 2, as a 3x3 convolution that makes the pixels of each 2x2 block."""
    inputs, outputs = weight.shape[:2]
    # An even row of a doubled image is reached from the row above by the last of four taps, and from the same by the
    # second; an odd one from the same by the third, and from the row below by the first.
    taps = F.pad(weight, (1, 1, 1, 1)).view(inputs, outputs, 3, 2, 3, 2)
    kernel = taps.permute(1, 3, 5, 0, 2, 4).reshape(-1, inputs, 3, 3).flip(2, 3)
    return F.pixel_shuffle(F.conv2d(x, kernel, None if bias is None else bias.repeat_interleave(4), padding=1), 2)


class MinibatchDeviation(nn.Module):
    """One more channel: how much the images of a group differ (Karras et al. 2018, "Progressive growing of GANs",
    section 3), their standard deviation at each feature and place, averaged over both.

    Args:
        group: images, one after the other, that are compared with each other, so that a part of a batch has whole
            groups; all of a batch that is not a multiple of it.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C + 1, h, w)."""
        count, *_, height, width = x.shape
        group = self.group if count % self.group == 0 else count
        grouped = x.reshape(count // group, group, -1).float()
        deviation = (grouped.var(1, correction=0) + 1e-8).sqrt().mean(1).to(x.dtype)
        return torch.cat([x, deviation.repeat_interleave(group).view(-1, 1, 1, 1).expand(-1, 1, height, width)], 1)


class Flat(nn.Flatten):
    """(N, C, H, W) to (N, C * H * W), whose gradient comes back in the memory layout that the convolutions use."""

    def forward(self, input: Tensor) -> Tensor:
        """Flat, by channel first."""
        if input.requires_grad:
            input.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return super().forward(input)


class EqualizedLinear(nn.Module):
    """A linear layer with an equalized learning rate: weights of standard deviation 1 are scaled by 1 / sqrt(fan-in)
    when they are used (Karras et al. 2018, "Progressive growing of GANs", section 4.1).

    Args:
        inputs: features.
        outputs: features.
        bias: what it begins with; None for no bias.
        rate: factor on the learning rate of weights and bias.
        active: a leaky ReLU of gain sqrt(2) follows.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: float | None = 0.0, rate: float = 1.0, active: bool = False
    ) -> None:
        super().__init__()
        self.rate, self.active = rate, active
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(outputs, inputs), 0.0, 1 / rate))
        self.bias = None if bias is None else nn.Parameter(torch.full((outputs,), bias / rate))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) to (N, outputs)."""
        gain = self.rate * (ROOT if self.active else 1.0)
        bias = None if self.bias is None else self.bias * gain
        x = F.linear(x, self.weight * (gain / self.weight.shape[1] ** 0.5), bias)
        return F.leaky_relu(x, SLOPE) if self.active else x


class EqualizedConv(nn.Module):
    """A convolution with an equalized learning rate, as :class:`EqualizedLinear`.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: its side; the size stays.
        down: the size is halved, rounding down, after :data:`FILTER`.
        active: a bias and a leaky ReLU follow.
        gain: factor on the result.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, down: bool = False, active: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.down, self.active, self.gain = down, active, gain * (ROOT if active else 1.0)
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(outputs, inputs, kernel, kernel)))
        self.bias = nn.Parameter(torch.zeros(outputs)) if active else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w), or half of the size."""
        # A leaky ReLU passes positive factors, so that all of them are those of the few weights.
        weight = self.weight * (self.gain / self.weight[0].numel() ** 0.5)
        bias, kernel = None if self.bias is None else self.bias * self.gain, weight.shape[-1]
        if not self.down:
            x = F.conv2d(x, weight, bias, padding=kernel // 2)
        elif kernel == 1:
            x = F.conv2d(filtered(x, padding=1, stride=2), weight, bias)
        else:
            x = F.conv2d(filtered(x, padding=1 + kernel // 2), weight, bias, stride=2)
        return F.leaky_relu(x, SLOPE) if self.active else x


SLOPE, ROOT = 0.2, 2**0.5
"""Of leaky ReLUs after equalized layers, and the gain that keeps their variance near 1 (He et al. 2015)."""

FILTER = (1.0, 3.0, 3.0, 1.0)
"""What a doubled or halved image is smoothed by, along rows and columns (Karras et al. 2020, appendix B)."""


@cache
def _filter(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The filter (4, 4), of sum 1; cached, since a GPU waits for it."""
    with torch.inference_mode(mode=False):  # gradients pass through it later
        row = torch.tensor(FILTER, device=device, dtype=dtype)
        return row[:, None] * row / row.sum() ** 2


def _by_channel(x: Tensor, convolve: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The filter over each channel by itself; in float32 on a CPU, many of which take ten times as long in bf16."""
    with torch.autocast(x.device.type, enabled=False):
        wide = x.float() if x.device.type == "cpu" and x.dtype == torch.bfloat16 else x
        return convolve(wide, _filter(x.device, wide.dtype).expand(x.shape[1], 1, -1, -1)).to(x.dtype)


def filtered(x: Tensor, padding: int, stride: int = 1) -> Tensor:
    """(N, C, h, w) smoothed by :data:`FILTER`, with zeros around it: (N, C, (h + 2 padding - 4) // stride + 1, …)."""
    return _by_channel(x, lambda x, f: F.conv2d(x, f, stride=stride, padding=padding, groups=len(f)))


def upsampled(x: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C, 2h, 2w) with :data:`FILTER`."""
    return _by_channel(x, lambda x, f: F.conv_transpose2d(x, 4 * f, stride=2, padding=1, groups=len(f)))


class NoiseInput(nn.Module):
    """One channel of noise, the same for all channels of the feature maps (Karras et al. 2019, "A style-based generator
    architecture", section 2): drawn anew for each image in training, and constant otherwise, so that a seed is an
    image.

    Args:
        size: (height, width) of the feature maps.
    """

    constant: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.draw: Callable[..., Tensor] = torch.randn  # where a batch is worked on in parts, each takes its rows
        self.strength = nn.Parameter(torch.zeros(1))
        self.register_buffer("constant", nn.init.normal_(torch.empty(1, 1, *size)))

    def forward(self, count: int) -> Tensor:
        """For so many images: (count, 1, h, w), or (1, 1, h, w) where it is constant."""
        noise = self.constant
        if self.training:
            noise = self.draw((count, *noise.shape[1:]), device=noise.device, dtype=noise.dtype)
        return noise * self.strength


class BilinearUp(nn.Module):
    """Upsampling x2 by the filter [1, 2, 1]: pixels, and between two of them their mean; cut to ``size``."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, *size)."""
        height, width = x.shape[2:]
        # With corners aligned, 2n + 1 pixels of n + 1 lie on them and halfway between.
        made = F.interpolate(
            F.pad(x, (0, 1, 0, 1), mode="replicate"),
            (2 * height + 1, 2 * width + 1),
            mode="bilinear",
            align_corners=True,
        )
        return made[..., : self.size[0], : self.size[1]]


class BilinearDown(nn.Module):
    """Downsampling by 2 with the filter [1, 2, 1] about every other pixel, beginning with the first; rounding up."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, ceil(h / 2), ceil(w / 2))."""
        height, width = x.shape[2:]
        x = F.pad(x, (1, width % 2, 1, height % 2), mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(x, 2, 1), 2)


def upsampled_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Nearest upsampling x2, then a 3x3 convolution: (N, C, h, w) to (N, outputs, 2h, 2w).

    As one transposed convolution, whose kernel is the sum of the four that the copies of a pixel are seen by: the same
    sums with 4/9 of the multiplications.
    """
    return F.conv_transpose2d(x, _four(weight).flip(2, 3).transpose(0, 1), bias, stride=2, padding=1)


def pooled_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, then the mean of each 2x2 block, rounding up: (N, C, h, w) to (N, outputs, (h + 1) // 2, …).

    Of even sides as one convolution of stride 2, with 4/9 of the multiplications.
    """
    if x.shape[2] % 2 or x.shape[3] % 2:
        return F.avg_pool2d(F.conv2d(x, weight, bias, padding=1), 2, ceil_mode=True)
    return F.conv2d(x, _four(weight) / 4, bias, stride=2, padding=1)


def _four(weight: Tensor) -> Tensor:
    """A 3x3 kernel at the four places of a 2x2 block, added up: (…, 4, 4)."""
    return sum(
        (F.pad(weight, (left, 1 - left, top, 1 - top)) for left in (0, 1) for top in (0, 1)),
        torch.zeros((), dtype=weight.dtype, device=weight.device),
    )


class SelfAttention(nn.Module):
    """Every place of the feature maps draws on all others (Zhang et al. 2019, "Self-attention generative adversarial
    networks", equations 1 to 3): o_j = v(sum_i softmax_i(f(x_i) . g(x_j)) h(x_i)), then
    gamma o + x, where gamma begins at 0.

    Args:
        channels: of input and output; f, g and h make an eighth of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.f, self.g, self.h = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3))
        self.v = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) to the same."""
        keys, queries, values = (layer(x).flatten(2).transpose(1, 2) for layer in (self.f, self.g, self.h))
        mixed = (queries @ keys.transpose(1, 2)).softmax(2) @ values
        return x + self.gamma * self.v(mixed.transpose(1, 2).unflatten(2, x.shape[2:]))
