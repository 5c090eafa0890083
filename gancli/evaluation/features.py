"""Images to features, and the classes that an extractor predicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gancli.alpha import composite, has_alpha
from gancli.data.types import Progress, no_progress
from gancli.device import float32_products
from gancli.evaluation.extractors import BICUBIC, Extractor
from gancli.evaluation.report import Readout
from gancli.metrics.base import Features
from gancli.processes import distribute

BATCH = 250
"""More at a time is slower on a CPU: the first layers no longer fit its cache."""
CONFIDENT = 0.9
BACKGROUNDS = {"black": 0, "white": 255}
"""Shades over which images with alpha are shown to an extractor."""


def prepare(images: Tensor, extractor: Extractor, background: str | None = None) -> Tensor:
    """uint8 (N, C, H, W) to what an extractor takes: float32 (N, its channels, *size) in [0, 1].

    Images with alpha are composited over one of :data:`BACKGROUNDS`. For a grey extractor colour becomes luma (ITU-R
    601-2), for one of colours grey is repeated; other sizes are resized, bicubic with antialiasing (Parmar et al. 2022,
    "On aliased resizing and surprising subtleties in GAN evaluation"), unless the network does that itself.
    """
    pixels = images.float()
    if has_alpha(images):
        assert background is not None
        pixels = composite(pixels, BACKGROUNDS[background])
    if pixels.shape[1] == 3 and extractor.channels == 1:
        pixels = (pixels * pixels.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if tuple(images.shape[2:]) != extractor.size and extractor.filter == BICUBIC:
        pixels = F.interpolate(pixels, extractor.size, mode="bicubic", antialias=True).clamp_(0, 255)
    return (pixels.expand(-1, extractor.channels, -1, -1) / 255).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Reader:
    """An extractor with its network on a device.

    Attributes:
        extractor: which one.
        network: its network, on the device that computes.
        digest: of the network's weights.
        progress: called with what is being read, how many images are done, and of how many.
        background: over which images with alpha are shown; None where there are none.
    """

    extractor: Extractor
    network: nn.Module
    digest: str
    progress: Progress = no_progress
    background: str | None = None

    @classmethod
    def load(cls, extractor: Extractor, device: torch.device, progress: Progress = no_progress) -> Reader:
        """With the extractor's weights.

        Raises:
            GancliError: they are missing, or not the network's.
        """
        network, digest = extractor.load()
        return cls(extractor, network.to(device), digest, progress)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        weights = next(self.network.parameters(), None)
        return torch.device("cpu") if weights is None else weights.device

    @torch.inference_mode()
    def read(self, what: str, batches: Iterable[Tensor], total: int, *, shared: bool = False) -> Features:
        """The features, on the CPU, of ``total`` images in batches of uint8 (N, C, H, W).

        ``shared`` distributes the batches over the processes: only for images that every process has to read, not for
        those that one of them may find in a cache.
        """
        rows, width, done = [], 0, 0

        def compute(images: Tensor) -> Tensor:
            nonlocal width
            # Prepared on the CPU: the same pixels on every device. TF32 would leave three digits of the features.
            with float32_products(tf32=False):
                features, logits = self.network(prepare(images.cpu(), self.extractor, self.background).to(self.device))
            width = features.shape[1]
            return torch.cat([features, logits.softmax(1)], 1).cpu()

        for found in distribute(batches, compute) if shared else map(compute, batches):
            rows.append(found)
            done += len(found)
            self.progress(what, done, total)
        whole = torch.cat(rows)
        return Features(whole[:, :width].clone(), whole[:, width:].clone())


def readout(features: Features, classes: int) -> Readout:
    """Shares of the predicted classes, and of images that are predicted with confidence.

    Args:
        features: of the images.
        classes: how many classes to list; 0 for none.
    """
    if not features.probabilities.shape[1]:
        return Readout()
    counts = torch.bincount(features.classes, minlength=classes)[:classes]
    confident = (features.confidence > CONFIDENT).double().mean()
    return Readout(tuple((counts.double() / len(features.classes)).tolist()), float(confident))
