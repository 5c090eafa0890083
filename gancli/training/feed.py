"""From a resident data set to batches on a device, without Python per image."""

from __future__ import annotations

import torch
from torch import Tensor

from gancli.objectives.base import Batch


class Feed:
    """An endless stream of shuffled batches.

    Every image is seen once an epoch, also where an epoch ends within a batch. The order is a function of the seed
    and of how many images were drawn, so that the position is all there is to save.

    Args:
        images: uint8 (N, C, H, W), resident or memory-mapped.
        labels: int64 (N,), or None.
        batch: images a draw.
        seed: of the order.
        device: where batches go; the whole set goes there at once if it fits well.
        limits: (lowest, highest) value that 0 and 255 become.
        mirror: show each image mirrored half of the time.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        batch: int,
        seed: int,
        device: torch.device,
        limits: tuple[float, float],
        mirror: bool = False,
    ) -> None:
        self.images, self.labels, self.batch, self.seed = images, labels, batch, seed
        self.device, self.mirror = device, mirror
        self.low, self.scale = limits[0], (limits[1] - limits[0]) / 255
        self.drawn = 0
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)
        if device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
            self.images = images.to(device)

    def next(self) -> Batch:
        """The next batch, on the device; its images are float32 (batch, C, H, W)."""
        index = self._indices()
        images = self.images[index.to(self.images.device)].to(self.device, non_blocking=True)
        self.drawn += self.batch
        batch = images.float().mul_(self.scale).add_(self.low)
        if self.mirror:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.drawn) % 2**32)
            flip = (torch.rand(self.batch, generator=generator) < 0.5).to(self.device)
            batch = torch.where(flip[:, None, None, None], batch.flip(-1), batch)
        labels = None if self.labels is None else self.labels[index].to(self.device)
        return Batch(batch.contiguous(memory_format=torch.channels_last), labels)

    def _indices(self) -> Tensor:
        """Positions of the next ``batch`` images, from as many epochs as that takes."""
        count, parts, position = len(self.images), [], self.drawn
        while position < self.drawn + self.batch:
            epoch, offset = divmod(position, count)
            if epoch != self._epoch:
                generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**32)
                self._epoch, self._order = epoch, torch.randperm(count, generator=generator)
            part = self._order[offset : offset + self.drawn + self.batch - position]
            parts.append(part)
            position += len(part)
        return torch.cat(parts) if len(parts) > 1 else parts[0]
