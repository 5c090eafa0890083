"""Images -> features, and what a classifier reads in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.device import float32_products
from gancli.evaluation.extractors import BICUBIC, Extractor
from gancli.processes import distribute

BATCH = 250
"""More at a time is slower on a CPU: the first layers no longer fit its cache."""
CONFIDENT = 0.9
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Features:
    """What an extractor sees in N images.

    Attributes:
        values: float32 (N, D).
        probabilities: float32 (N, K), what it gives each of the classes that it knows; (N, 0) where it knows none.
    """

    values: Tensor
    probabilities: Tensor

    @property
    def classes(self) -> Tensor:
        """int64 (N,), the class it would say; -1 where it knows none."""
        if not self.probabilities.shape[1]:
            return torch.full((len(self.values),), -1)
        return self.probabilities.argmax(1)

    @property
    def confidence(self) -> Tensor:
        """float32 (N,), the probability that it gives that class."""
        return self.probabilities.amax(1)


@dataclass(frozen=True)
class Readout:
    """How readable a set of images is.

    Attributes:
        classes: share of the images that are taken for each class; empty where classes have no names.
        confident: share of the images whose class has a probability above 0.9; None where no classes are known.
    """

    classes: tuple[float, ...]
    confident: float | None


def prepare(images: Tensor, extractor: Extractor) -> Tensor:
    """uint8 (N, C, H, W) -> what an extractor takes: float32 (N, its channels, *size) in [0, 1].

    For a grey extractor colour becomes luma (ITU-R 601-2), for one of colours grey is repeated; other sizes are
    resized, bicubic with antialiasing (Parmar et al. 2022, "On aliased resizing and surprising subtleties in GAN
    evaluation"), unless the network does that itself.
    """
    pixels = images.float()
    if images.shape[1] == 3 and extractor.channels == 1:
        pixels = (pixels * pixels.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if tuple(images.shape[2:]) != extractor.size and extractor.filter == BICUBIC:
        pixels = F.interpolate(pixels, extractor.size, mode="bicubic", antialias=True).clamp_(0, 255)
    return (pixels.expand(-1, extractor.channels, -1, -1) / 255).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Reader:
    """An extractor at work.

    Attributes:
        extractor: which one.
        network: its network, on the device that computes.
        digest: of the network's weights.
        progress: called with what is being read, how many images are done, and of how many.
    """

    extractor: Extractor
    network: nn.Module
    digest: str
    progress: Progress = lambda what, done, total: None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        weights = next(self.network.parameters(), None)
        return torch.device("cpu") if weights is None else weights.device

    @torch.inference_mode()
    def read(self, what: str, batches: Iterable[Tensor], total: int, *, shared: bool = False) -> Features:
        """The features, on the CPU, of ``total`` images in batches of uint8 (N, C, H, W).

        ``shared`` deals the batches out to the processes that share the work: what each of them does anyway, even
        where others find the features in a cache, must not be.
        """
        rows, width = [], 0
        done = 0

        def look(images: Tensor) -> Tensor:
            nonlocal width
            # Prepared on the CPU: the same pixels on every device. TF32 would leave three digits of the features.
            with float32_products(tf32=False):
                features, logits = self.network(prepare(images.cpu(), self.extractor).to(self.device))
            width = features.shape[1]
            return torch.cat([features, logits.softmax(1)], 1).cpu()

        for found in distribute(batches, look) if shared else map(look, batches):
            rows.append(found)
            done += len(found)
            self.progress(what, done, total)
        whole = torch.cat(rows)
        return Features(whole[:, :width].clone(), whole[:, width:].clone())


def readout(features: Features, classes: int) -> Readout:
    """Shares of the classes, and of images that are read with confidence.

    Args:
        features: what an extractor sees.
        classes: how many classes to list; 0 for none.
    """
    if not features.probabilities.shape[1]:
        return Readout((), None)
    counts = torch.bincount(features.classes, minlength=classes)[:classes]
    confident = (features.confidence > CONFIDENT).double().mean()
    return Readout(tuple((counts.double() / len(features.classes)).tolist()), float(confident))
