"""From uint8 pixels to the float images that networks take."""

from __future__ import annotations

import torch
from torch import Tensor

from gancli.alpha import premultiply
from gancli.processes import World


class Preprocessor:
    """Makes a process's rows of a batch from pixels.

    Args:
        batch: images of a batch, in all processes together.
        seed: of mirroring.
        device: where batches go.
        limits: (lowest, highest) value that 0 and 255 become.
        mirror: show each image mirrored half of the time.
        world: the processes that share a batch.

    Attributes:
        rows: of a batch, those of this process.
    """

    def __init__(
        self, batch: int, seed: int, device: torch.device, limits: tuple[float, float], mirror: bool, world: World
    ) -> None:
        self.batch, self.seed, self.device, self.mirror = batch, seed, device, mirror
        self.low, self.scale = limits[0], (limits[1] - limits[0]) / 255
        self.rows = world.share(batch)

    def flips(self, drawn: int) -> Tensor | None:
        """Which images of this process are mirrored in a batch, bool (N, 1, 1, 1); None: none ever.

        Args:
            drawn: images so far, which decides it together with the seed.
        """
        if not self.mirror:
            return None
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + drawn) % 2**32)
        chosen = torch.rand(self.batch, generator=generator)[self.rows] < 0.5
        return to_device(chosen, self.device)[:, None, None, None]

    def floats(self, pixels: Tensor, flips: Tensor | None) -> Tensor:
        """Images uint8 (N, C, H, W) as float32 on the device, channels last; with alpha, in premultiplied colours."""
        images = premultiply(to_device(pixels, self.device).float()).mul_(self.scale).add_(self.low)
        if flips is not None:
            images = torch.where(flips, images.flip(-1), images)
        return images.contiguous(memory_format=torch.channels_last)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """The same on a device, without synchronising."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    # From pinned memory they are copied while the device computes.
    return values.pin_memory().to(device, non_blocking=True)
