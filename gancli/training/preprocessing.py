"""Pixels as they lie in memory on their way to what networks see."""

from __future__ import annotations

import torch
from torch import Tensor

from gancli.processes import World


class Preprocessor:
    """Makes images that were drawn into a process's part of a batch.

    Args:
        batch: images a draw, of all processes together.
        seed: of what is mirrored.
        device: where batches go.
        limits: (lowest, highest) value that 0 and 255 become.
        mirror: show each image mirrored half of the time.
        world: the processes among which a draw is shared.

    Attributes:
        rows: of a draw, those of this process.
    """

    def __init__(
        self, batch: int, seed: int, device: torch.device, limits: tuple[float, float], mirror: bool, world: World
    ) -> None:
        self.batch, self.seed, self.device, self.mirror = batch, seed, device, mirror
        self.low, self.scale = limits[0], (limits[1] - limits[0]) / 255
        self.rows = world.share(batch)

    def flips(self, drawn: int) -> Tensor | None:
        """Which images of this process are mirrored in a draw, bool (N, 1, 1, 1); None: none ever.

        Args:
            drawn: images so far, which decides it together with the seed.
        """
        if not self.mirror:
            return None
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + drawn) % 2**32)
        chosen = torch.rand(self.batch, generator=generator)[self.rows] < 0.5
        return there(chosen, self.device)[:, None, None, None]

    def floats(self, pixels: Tensor, flips: Tensor | None) -> Tensor:
        """Images uint8 (N, C, H, W) as float32 on the device, channels last."""
        images = there(pixels, self.device).float().mul_(self.scale).add_(self.low)
        if flips is not None:
            images = torch.where(flips, images.flip(-1), images)
        return images.contiguous(memory_format=torch.channels_last)


def there(values: Tensor, device: torch.device) -> Tensor:
    """The same on a device, which is not waited for."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    # From pinned memory they travel while the device computes.
    return values.pin_memory().to(device, non_blocking=True)
