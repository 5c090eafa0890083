"""Feature extractors: small classifiers that the project trained itself and ships, frozen, as safetensors, and others.

A distance between sets of images is measured on features of a classifier that knows the data. Inception knows
photographs, not digits; the shipped ones know digits, or small photographs. Their features are those of the last stage
but one, pooled into quadrants: the last layer's have collapsed onto the ten classes, and distances between them miss
how images of one class differ. ``benchmarks/train_extractor.py`` of the repository trained them.

All other images are compared by ``imagenet``, an EfficientNet-Lite. Other packages add extractors by entry points of
the group ``gancli.extractors``, each of which leads to an :class:`Extractor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gancli import checkpoint, registry
from gancli.data import DATASETS
from gancli.errors import GancliError, UsageError
from gancli.evaluation.extractors import imagenet
from gancli.evaluation.extractors.networks import Classifier, ColourClassifier, Perceptron, Stacked
from gancli.plugins import offered

WEIGHTS = Path(__file__).parent / "weights"
BICUBIC = "bicubic, antialiased"


def _stacked_weights() -> Mapping[str, Tensor]:
    return {f"one.{name}": value for name, value in checkpoint.read(EXTRACTORS["mnist-cnn"].file)[0].items()}


def _inception() -> nn.Module:
    # Imported only when it is used: torch-fidelity takes seconds.
    from gancli.evaluation.extractors.inception import Inception

    return Inception()


def _inception_weights() -> Mapping[str, Tensor]:
    from gancli.evaluation.extractors import inception

    return inception.read()


@dataclass(frozen=True)
class Extractor:
    """The images that an extractor was made for and its network.

    Attributes:
        name: in reports and ``--extractor``.
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

    @property
    def file(self) -> Path:
        """The shipped weights."""
        return WEIGHTS / f"{self.name}.safetensors"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that it knows, as far as they have names."""
        facts = DATASETS.get(self.datasets[0]) if self.datasets else None
        return facts.classes if facts else ()

    def load(self) -> tuple[nn.Module, str]:
        """The frozen network, in evaluation mode, on the CPU, and the digest of its weights.

        Raises:
            GancliError: the file does not hold this network.
        """
        tensors = self.weights() if self.weights else checkpoint.read(self.file)[0]
        network = self.build()
        try:
            network.load_state_dict(tensors)
        except RuntimeError:
            hint = "another extractor can be named with `extractor`"
            raise GancliError(f"the weights are not those of the extractor '{self.name}'", hint) from None
        network.eval().requires_grad_(False)
        return network.to(memory_format=torch.channels_last), checkpoint.digest(tensors)

    def cautions(self, data: str) -> tuple[str, ...]:
        """Warnings about figures of a data set by this extractor."""
        if self.caution:
            return (self.caution,)
        if data in self.datasets or not self.datasets:
            return ()
        return (f"{self.name} was not trained on '{data}': its features may miss what matters there",)


def _imagenet(name: str, variant: imagenet.Variant) -> Extractor:
    build, weights = partial(imagenet.build, variant), partial(imagenet.read, variant)
    return Extractor(name, imagenet.SIZE, 3, imagenet.FEATURES, build, (), weights=weights, classless=True)


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
            weights=_stacked_weights,
        ),
        Extractor("cifar", (32, 32), 3, 4 * 64, partial(ColourClassifier, _CIFAR), ("cifar10",)),
        _imagenet("imagenet", imagenet.LITE0),
        _imagenet("imagenet-lite2", imagenet.LITE2),
        Extractor(
            "inception",
            (299, 299),
            3,
            2048,
            _inception,
            (),
            weights=_inception_weights,
            filter="bilinear as in TensorFlow 1",
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
    names = sorted({*EXTRACTORS, *offered("extractor")})
    if name not in names:
        raise UsageError(f"unknown extractor '{name}'", f"one of: {', '.join(names)}")
    return registry.plugin("extractor", name, Extractor)


def usual(data: str) -> Extractor:
    """The extractor that images are compared by unless another is named.

    It is the first that knows the classes of the data set, or imagenet where none does.
    """
    return next((each for each in EXTRACTORS.values() if data in each.datasets), EXTRACTORS["imagenet"])


def for_data(data: str) -> Extractor:
    """The extractor that knows the classes of a data set; of several, the first.

    Raises:
        UsageError: none does.
    """
    found = usual(data)
    if data not in found.datasets:
        raise UsageError(f"no extractor knows '{data}'")
    return found
