"""Feature extractors: small classifiers that the project trained itself and ships, frozen, as safetensors, and others.

A distance between sets of images is measured on features of a classifier that knows the data. Inception knows
photographs, not digits; the shipped ones know digits, or small photographs. Their features are those of the last stage
but one, pooled into quadrants: the last layer's have collapsed onto the ten classes and see little of how images of one
class differ. ``python -m gancli.evaluation.train_extractor`` trains them anew.

Without a classifier that knows the data, images are compared as pixels. Other packages add extractors by entry points
of the group ``gancli.extractors``, each of which leads to an :class:`Extractor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gancli import registry
from gancli.checkpoint import digest
from gancli.errors import GancliError, UsageError, nearest

if TYPE_CHECKING:
    from gancli.metrics import Metric

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


class Stacked(nn.Module):
    """A classifier of grey images that reads each colour by itself: three digits make one of a thousand classes.

    Args:
        one: reads one colour.
    """

    def __init__(self, one: nn.Module) -> None:
        super().__init__()
        self.one = one

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [0, 1] to features (N, 3 D) and logits (N, K^3), the first colour's digit first."""
        features, logits = self.one(images.transpose(0, 1).flatten(0, 1)[:, None])
        first, second, third = logits.log_softmax(1).view(3, len(images), -1)
        together = first[:, :, None, None] + second[:, None, :, None] + third[:, None, None, :]
        return features.view(3, len(images), -1).transpose(0, 1).flatten(1), together.flatten(1)


class ColourClassifier(nn.Module):
    """A convolutional classifier of small colour images.

    Fixed filters that whiten patches of 3x3 pixels, then three stages of two 3x3 convolutions, of which the first is
    followed by 2x2 max pooling: after Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", section 3, a few
    sizes smaller and with ReLU.

    Args:
        widths: channels of the first and of the second convolution of each stage.
        classes: number of classes.
    """

    def __init__(self, widths: tuple[tuple[int, int], ...], classes: int = 10) -> None:
        super().__init__()
        whitened = 24
        whiten = nn.Conv2d(3, whitened, 3, padding=1, bias=False).requires_grad_(False)
        inputs = (whitened, *(second for _, second in widths))
        *early, late = (
            nn.Sequential(
                nn.Conv2d(entering, first, 3, padding=1, bias=False),
                nn.MaxPool2d(2),
                nn.BatchNorm2d(first),
                nn.ReLU(),
                *_block(first, second),
            )
            for entering, (first, second) in zip(inputs, widths, strict=False)
        )
        self.early = nn.Sequential(whiten, nn.ReLU(), *early)
        self.late = nn.Sequential(late, nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1][1], classes)

    @property
    def whitening(self) -> Tensor:
        """The fixed filters, (24, 3, 3, 3)."""
        whiten = self.early[0]
        assert isinstance(whiten, nn.Conv2d)
        return whiten.weight

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [0, 1] to features (N, 4 * widths[-2][1]) and logits (N, classes)."""
        early = self.early((images - 0.5) / 0.25)
        features = nn.functional.adaptive_avg_pool2d(early, 2).flatten(1)
        return features, self.head(self.late(early))


class Pixels(nn.Module):
    """No network at all: the features are the pixels, and no classes are known."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) in [0, 1] to features (N, C * H * W) and logits (N, 0)."""
        return images.flatten(1), images.new_zeros(len(images), 0)


def _three_digits() -> Mapping[str, Tensor]:
    from gancli.checkpoint import read

    return {f"one.{name}": value for name, value in read(EXTRACTORS["mnist-cnn"].file)[0].items()}


def _inception() -> nn.Module:
    # Imported when it is asked for: torch-fidelity takes seconds.
    from gancli.evaluation.inception import Inception

    return Inception()


def _inception_weights() -> Mapping[str, Tensor]:
    from gancli.evaluation import inception

    return inception.read()


BICUBIC = "bicubic, antialiased"
OF_CLASSES = ("imbalance", "score", "modes")
"""Metrics that ask what an extractor reads, whatever classes the data have."""


@dataclass(frozen=True)
class Extractor:
    """What an extractor is: the images it was made for and the network that reads them.

    Attributes:
        name: how reports and ``--extractor`` call it.
        size: (height, width) of the images it takes.
        channels: their number of channels, 1 or 3.
        features: feature dimension.
        build: makes the network, without its weights: a module that turns float32 (N, channels, *size) in [0, 1] into
            features (N, features) and logits (N, classes).
        datasets: the data sets whose classes it knows.
        weights: gives the network's weights; None reads the shipped file.
        classless: whether it knows no classes, so that its logits are (N, 0).
        filter: how images are brought to ``size``; where it is not :data:`BICUBIC`, in the words of reports, the
            network takes all sizes and does it itself.
        caution: what to be careful with, whatever the data.
        rounds: whether its network rounds images to 8 bits, which swallows the small steps of paths.
    """

    name: str
    size: tuple[int, int]
    channels: int
    features: int
    build: Callable[[], nn.Module]
    datasets: tuple[str, ...]
    weights: Callable[[], Mapping[str, Tensor]] | None = None
    classless: bool = False
    filter: str = BICUBIC
    caution: str = ""
    rounds: bool = False

    @property
    def file(self) -> Path:
        """The shipped weights."""
        return WEIGHTS / f"{self.name}.safetensors"

    def load(self) -> tuple[nn.Module, str]:
        """The frozen network, in evaluation mode, on the CPU, and the digest of its weights.

        Raises:
            GancliError: the file is missing, or does not hold this network.
        """
        tensors = self.weights() if self.weights else self._shipped()
        network = self.build()
        try:
            network.load_state_dict(tensors)
        except RuntimeError:
            where = "what was found" if self.weights else self.file
            raise GancliError(f"{where} does not hold the extractor '{self.name}'", self._again) from None
        return network.eval().requires_grad_(False).to(memory_format=torch.channels_last), digest(tensors)

    def _shipped(self) -> Mapping[str, Tensor]:
        from gancli.checkpoint import read

        if not self.file.exists():
            raise GancliError(f"the weights of the extractor '{self.name}' are missing: {self.file}", self._again)
        return read(self.file)[0]

    @property
    def _again(self) -> str:
        if self.weights:
            return "another extractor can be named with --extractor"
        return f"install gancli again, or train it anew: python -m gancli.evaluation.train_extractor {self.name}"

    def allowed(self, metrics: Sequence[Metric], named: bool) -> tuple[Metric, ...]:
        """The metrics that it can give: one that knows no classes has no score and no imbalance.

        Args:
            metrics: those wanted.
            named: whether they were asked for by name: then none is left out.

        Raises:
            UsageError: one that was named and is not possible.
        """
        refused = [metric.name for metric in metrics if self.classless and metric.name in OF_CLASSES]
        if refused and named:
            raise UsageError(f"{refused[0]} needs classes, and {self.name} knows none", "fid needs no classes")
        return tuple(metric for metric in metrics if metric.name not in refused)

    def cautions(self, data: str) -> tuple[str, ...]:
        """Warnings about figures of a data set by this extractor."""
        if self.caution:
            return (self.caution,)
        if data in self.datasets:
            return ()
        return (f"{self.name} was not trained on '{data}': its features may miss what matters there",)


_DIGITS = partial(Classifier, (16, 48, 128))
_CIFAR = ((32, 48), (128, 64), (192, 192))

EXTRACTORS = {
    extractor.name: extractor
    for extractor in (
        Extractor("mnist-cnn", (28, 28), 1, 4 * 48, _DIGITS, ("mnist", "qmnist")),
        Extractor("mnist-mlp", (28, 28), 1, 256, partial(Perceptron, 784, (256, 128)), ("mnist", "qmnist")),
        Extractor("digits-cnn", (8, 8), 1, 4 * 32, partial(Classifier, (32, 64)), ("digits",)),
        Extractor(
            "stacked-cnn",
            (28, 28),
            3,
            3 * 4 * 48,
            lambda: Stacked(_DIGITS()),
            ("stacked-mnist",),
            weights=_three_digits,
        ),
        Extractor("cifar", (32, 32), 3, 4 * 64, partial(ColourClassifier, _CIFAR), ("cifar10",)),
        Extractor(
            "pixels",
            (8, 8),
            3,
            8 * 8 * 3,
            Pixels,
            (),
            weights=dict,
            classless=True,
            caution="pixels compares images as 8x8 pixels, not by features of a network: a small shift counts as a "
            "difference, and fine detail does not count",
        ),
        Extractor(
            "inception",
            (299, 299),
            3,
            2048,
            _inception,
            (),
            weights=_inception_weights,
            filter="bilinear as in TensorFlow 1",
            rounds=True,
            caution="figures by inception are unverified: they have not been compared with those that torch-fidelity's "
            "own command prints (docs/evaluation.md names it)",
        ),
    )
}


def find(name: str) -> Extractor:
    """The extractor of that name, one of ours or of another package.

    Raises:
        UsageError: there is none.
        GancliError: another package offers it, and it cannot be loaded.
    """
    if name in EXTRACTORS:
        return EXTRACTORS[name]
    names = sorted({*EXTRACTORS, *registry.plugins("extractor")})
    if name not in names:
        close, everything = nearest(name, names), f"one of: {', '.join(names)}"
        raise UsageError(f"unknown extractor '{name}'", close if close == everything else f"{close} {everything}")
    return registry.plugin("extractor", name, Extractor)


def usual(data: str) -> Extractor:
    """The extractor that images are compared by unless another is named.

    It is the first that knows the classes of the data set, or pixels where none does.
    """
    return next((each for each in EXTRACTORS.values() if data in each.datasets), EXTRACTORS["pixels"])


def for_data(data: str) -> Extractor:
    """The extractor that knows the classes of a data set; of several, the first.

    Raises:
        UsageError: none does; the hint lists the data sets that have one.
    """
    found = usual(data)
    if data in found.datasets:
        return found
    known = [f"{each.name} knows {' and '.join(each.datasets)}" for each in EXTRACTORS.values() if each.datasets]
    raise UsageError(
        f"no extractor knows '{data}'", f"{'; '.join(known)}; --extractor NAME takes one of them all the same"
    )
