"""Feature extractors: small classifiers that the project trained itself and ships, frozen, as safetensors.

A distance between sets of images is measured on features of a classifier that knows the data. Inception knows
photographs, not digits; these know digits. The features are those of the last stage but one, pooled into quadrants:
the last layer's have collapsed onto the ten classes and see little of how images of one class differ.

``python -m gancli.evaluation.train_extractor`` trains them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from gancli.errors import GancliError, UsageError, nearest

WEIGHTS = Path(__file__).parent / "weights"


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class Classifier(nn.Module):
    """A plain convolutional classifier of small grey images.

    Args:
        widths: channels of each stage; a stage is two 3x3 convolutions, and 2x2 max pooling stands between stages.
        classes: number of classes.
    """

    def __init__(self, widths: tuple[int, ...], classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage, width in enumerate(widths):
            if stage:
                layers.append(nn.MaxPool2d(2))
            layers += _block(1 if stage == 0 else widths[stage - 1], width) + _block(width, width)
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        # A stage is six layers, and pooling stands before each but the first.
        self.cut = 7 * (len(widths) - 1) - 1
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 1, H, W) in [0, 1] to features (N, 4 * widths[-2]) and logits (N, classes)."""
        early = self.body[: self.cut]((images - 0.5) / 0.5)
        features = nn.functional.adaptive_avg_pool2d(early, 2).flatten(1)
        return features, self.head(self.body[self.cut :](early))


class Perceptron(nn.Module):
    """A multilayer perceptron, which reads an image as a row of pixels: as different from convolutions as can be.

    Args:
        pixels: of an image.
        widths: of the hidden layers; the first one's output are the features.
        classes: number of classes.
    """

    def __init__(self, pixels: int, widths: tuple[int, ...], classes: int = 10) -> None:
        super().__init__()
        first, *rest = (
            nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())
            for inputs, outputs in pairwise((pixels, *widths))
        )
        self.first, self.rest = first, nn.Sequential(nn.Dropout(0.1), *rest, nn.Dropout(0.1))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 1, H, W) in [0, 1] to features (N, widths[0]) and logits (N, classes)."""
        features = self.first(((images - 0.5) / 0.5).flatten(1))
        return features, self.head(self.rest(features))


Network = Classifier | Perceptron


@dataclass(frozen=True)
class Extractor:
    """What an extractor is: the images it was made for and the network that reads them.

    Attributes:
        name: how reports and ``--extractor`` call it.
        size: (height, width) of the images it takes.
        channels: their number of channels.
        features: feature dimension.
        build: makes the network, without its weights.
        datasets: the data sets whose classes it knows.
    """

    name: str
    size: tuple[int, int]
    channels: int
    features: int
    build: Callable[[], Network]
    datasets: tuple[str, ...]

    @property
    def file(self) -> Path:
        """The shipped weights."""
        return WEIGHTS / f"{self.name}.safetensors"

    def load(self) -> tuple[Network, str]:
        """The frozen network, in evaluation mode, on the CPU, and the digest of its weights.

        Raises:
            GancliError: the file is missing, or does not hold this network.
        """
        from gancli.checkpoint import read

        again = f"install gancli again, or train it anew: python -m gancli.evaluation.train_extractor {self.name}"
        if not self.file.exists():
            raise GancliError(f"the weights of the extractor '{self.name}' are missing: {self.file}", again)
        tensors, _ = read(self.file)
        network = self.build()
        try:
            network.load_state_dict(tensors)
        except RuntimeError:
            raise GancliError(f"{self.file} does not hold the extractor '{self.name}'", again) from None
        return network.eval().requires_grad_(False).to(memory_format=torch.channels_last), digest(tensors)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, over names, types, shapes and values: two files that differ only in their notes are one."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()


EXTRACTORS = {
    extractor.name: extractor
    for extractor in (
        Extractor("mnist-cnn", (28, 28), 1, 4 * 48, partial(Classifier, (16, 48, 128)), ("mnist", "qmnist")),
        Extractor("mnist-mlp", (28, 28), 1, 256, partial(Perceptron, 784, (256, 128)), ("mnist", "qmnist")),
        Extractor("digits-cnn", (8, 8), 1, 4 * 32, partial(Classifier, (32, 64)), ("digits",)),
    )
}


def find(name: str) -> Extractor:
    """The extractor of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in EXTRACTORS:
        raise UsageError(f"unknown extractor '{name}'", nearest(name, EXTRACTORS))
    return EXTRACTORS[name]


def for_data(data: str) -> Extractor:
    """The extractor that knows the classes of a data set; of several, the first.

    Raises:
        UsageError: none does; the hint lists the data sets that have one.
    """
    for extractor in EXTRACTORS.values():
        if data in extractor.datasets:
            return extractor
    known = "; ".join(f"{each.name} knows {' and '.join(each.datasets)}" for each in EXTRACTORS.values())
    raise UsageError(f"no extractor knows '{data}'", f"{known}; --extractor NAME takes one of them all the same")
