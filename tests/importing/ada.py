"""Pickles such as StyleGAN2-ADA writes, by modules and classes of ours that carry NVIDIA's names, with a generator that
computes what the papers' equations say in the plainest way: weights for each image, and zeros between pixels."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SOURCE = "import pathlib; pathlib.Path('canary').touch()"
"""The source code that NVIDIA's pickles bring along, and that runs where they are read by NVIDIA's reader."""


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> Any:
    raise AssertionError("the reader of persistent objects was called")


class EasyDict(dict):
    pass


@contextmanager
def modules() -> Iterator[None]:
    """The modules by whose names a pickle calls its parts."""
    made = {name: ModuleType(name) for name in ("dnnlib", "dnnlib.util", "torch_utils", "torch_utils.persistence")}
    for part, name in ((_reconstruct_persistent_obj, "torch_utils.persistence"), (EasyDict, "dnnlib.util")):
        part.__module__ = name
        setattr(made[name], part.__name__, part)
    sys.modules |= made
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def dumped(value: Any, protocol: int = 4) -> bytes:
    """A real pickle."""
    with modules():
        return pickle.dumps(value, protocol=protocol)


class Persistent(nn.Module):
    """A module whose pickle is the plain state of it."""

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": type(self).__name__}
        return _reconstruct_persistent_obj, ({**meta, "state": self.__dict__},), None


FIR = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def spaced(x: Tensor) -> Tensor:
    """Zeros between pixels: (N, C, 2h - 1, 2w - 1)."""
    made = torch.zeros(*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1)
    made[..., ::2, ::2] = x
    return made


def smoothed(x: Tensor, padding: int) -> Tensor:
    """By the filter, with a gain of 4."""
    kernel = 4 * (FIR[:, None] * FIR).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])


class FullyConnectedLayer(Persistent):
    def __init__(self, inputs: int, outputs: int, activation: str = "linear", rate: float = 1, bias: float = 0) -> None:
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.randn(outputs) / 5 / rate + bias)
        self.weight_gain, self.bias_gain = rate / np.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        x = x @ (self.weight * float(self.weight_gain)).T + self.bias * self.bias_gain
        return x if self.activation == "linear" else F.leaky_relu(x, 0.2) * 2**0.5


class MappingNetwork(Persistent):
    def __init__(self, z: int, classes: int, w: int, layers: int, rate: float) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.num_layers = z, classes, w, layers
        self.num_ws, self.w_avg_beta = 6, 0.995
        if classes:
            self.embed = FullyConnectedLayer(classes, w)
        widths = [z + (w if classes else 0), *[w] * layers]
        for number in range(layers):
            setattr(self, f"fc{number}", FullyConnectedLayer(*widths[number : number + 2], "lrelu", rate))
        self.register_buffer("w_avg", torch.randn(w))

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        parts = [z] if y is None else [z, self.embed(F.one_hot(y, self.c_dim).float())]
        x = torch.cat([part / part.square().mean(1, keepdim=True).sqrt() for part in parts], 1)
        for number in range(self.num_layers):
            x = getattr(self, f"fc{number}")(x)
        return x


class SynthesisLayer(Persistent):
    def __init__(self, inputs: int, outputs: int, w: int, side: int, up: int) -> None:
        super().__init__()
        self.resolution, self.up, self.use_noise, self.activation, self.conv_clamp = side, up, True, "lrelu", 256
        self.register_buffer("resample_filter", FIR[:, None] * FIR)
        self.padding, self.act_gain = 1, np.sqrt(2)
        self.affine = FullyConnectedLayer(w, inputs, bias=1)
        # As in layers whose weights are stored by channel last.
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3).contiguous(memory_format=torch.channels_last))
        self.register_buffer("noise_const", torch.randn(side, side))
        self.noise_strength = nn.Parameter(torch.randn([]))
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        made = []
        for image, style in zip(x, self.affine(w), strict=True):
            weight = self.weight * style[None, :, None, None]
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            if self.up == 2:
                made.append(smoothed(F.conv2d(spaced(image[None]), weight.flip(2, 3), padding=2), 1))
            else:
                made.append(F.conv2d(image[None], weight, padding=1))
        x = torch.cat(made) + self.noise_const * self.noise_strength + self.bias[:, None, None]
        return F.leaky_relu(x, 0.2) * 2**0.5


class ToRGBLayer(Persistent):
    def __init__(self, inputs: int, channels: int, w: int) -> None:
        super().__init__()
        self.conv_clamp = 256
        self.affine = FullyConnectedLayer(w, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.randn(channels))
        self.weight_gain = 1 / np.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * float(self.weight_gain)
        made = [
            F.conv2d(image[None], self.weight * style[None, :, None, None])
            for image, style in zip(x, styles, strict=True)
        ]
        return torch.cat(made) + self.bias[:, None, None]


class SynthesisBlock(Persistent):
    def __init__(self, inputs: int, outputs: int, w: int, side: int, channels: int) -> None:
        super().__init__()
        self.in_channels, self.resolution, self.architecture, self.use_fp16 = inputs, side, "skip", False
        self.register_buffer("resample_filter", FIR[:, None] * FIR)
        if not inputs:
            self.const = nn.Parameter(torch.randn(outputs, side, side))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, w, side, 2)
        self.conv1 = SynthesisLayer(outputs, outputs, w, side, 1)
        self.torgb = ToRGBLayer(outputs, channels, w)

    def forward(self, x: Tensor | None, image: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        x = self.const.expand(len(w), -1, -1, -1) if x is None else self.conv0(x, w)
        x = self.conv1(x, w)
        made = self.torgb(x, w)
        return x, made if image is None else made + smoothed(spaced(image), 2)


class SynthesisNetwork(Persistent):
    def __init__(self, w: int, size: int, channels: int, base: int, most: int) -> None:
        super().__init__()
        self.w_dim, self.img_resolution, self.img_channels = w, size, channels
        self.block_resolutions = [2**power for power in range(2, size.bit_length())]
        inputs = 0
        for side in self.block_resolutions:
            outputs = min(base // side, most)
            setattr(self, f"b{side}", SynthesisBlock(inputs, outputs, w, side, channels))
            inputs = outputs

    def forward(self, w: Tensor) -> Tensor:
        x = image = None
        for side in self.block_resolutions:
            x, image = getattr(self, f"b{side}")(x, image, w)
        assert image is not None
        return image


class Generator(Persistent):
    """Untrained, of images of 16x16 pixels, with all numbers drawn at random."""

    def __init__(
        self, *, classes: int = 0, rate: float = 0.01, size: int = 16, channels: int = 3, seed: int = 0
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.z_dim, self.c_dim, self.w_dim, self.img_resolution, self.img_channels = 5, classes, 6, size, channels
        self.synthesis = SynthesisNetwork(6, size, channels, base=64, most=8)
        self.mapping = MappingNetwork(5, classes, 6, 2, rate)
        self._init_args, self._init_kwargs = (), EasyDict(synthesis_kwargs=EasyDict(channel_base=64))

    def forward(self, z: Tensor, y: Tensor | None = None, psi: float = 1) -> Tensor:
        w = self.mapping(z, y)
        return self.synthesis(self.mapping.w_avg + psi * (w - self.mapping.w_avg))


class Discriminator(Persistent):
    def __init__(self) -> None:
        super().__init__()
        self.fc = FullyConnectedLayer(3, 1)


def snapshot(generator: Generator, protocol: int = 4) -> bytes:
    """What StyleGAN2-ADA saves in training: three networks, and the settings of the data."""
    kwargs = EasyDict(class_name="training.dataset.ImageFolderDataset", path="/data/x.zip", max_size=np.int64(10))
    networks = {"G": Generator(seed=9), "D": Discriminator(), "G_ema": generator, "augment_pipe": None}
    return dumped({"training_set_kwargs": kwargs, **networks}, protocol)


def legacy(value: Any) -> bytes:
    """What PyTorch wrote before there were zips."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=False)
    return file.getvalue()
