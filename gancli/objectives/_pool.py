"""Fakes of earlier rounds for a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gancli.terms.step import Step


class ImagePool(nn.Module):
    """Fakes of earlier rounds, shown to a discriminator half of the time (Shrivastava et al. 2017, section 2.3).

    A discriminator that sees only the latest fakes forgets older ones, and the generator may return to them. The pool
    is part of a checkpoint.

    Args:
        size: fakes stored; 0 for none.
        shape: (C, H, W) of one.
    """

    images: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))

    def exchange_in(self, step: Step, fakes: Tensor, rounds: int) -> Tensor:
        """The fakes to score in a step: all processes have the same pool, and each scores its rows.

        Args:
            step: of the discriminator.
            fakes: (N, C, H, W) of this process.
            rounds: in which the discriminator was trained before.
        """
        world, batch = step.world, step.random.batch
        whole = world.together(fakes)
        # Further steps of a round fill the same slots again, parts of a batch the slots after each other.
        before = step.random.start - world.share(batch).start
        seen = rounds * batch + world.size * before
        return self.exchange(whole, seen, step.batch_generator)[world.share(len(whole))]

    def exchange(self, fresh: Tensor, seen: int, generator: torch.Generator) -> Tensor:
        """Each fake is fresh or, once the pool is full, with probability one half a stored one, which it replaces.

        Args:
            fresh: (N, C, H, W).
            seen: fakes that came before these.
            generator: on the CPU.
        """
        size, count = len(self.images), len(fresh)
        if size == 0:
            return fresh
        if seen < size:
            slots = torch.arange(seen, min(seen + count, size))
            self.images[slots] = fresh[: len(slots)].to(self.images.dtype)
            return fresh
        few = min(count, size)  # one slot serves one fake
        swapped = (torch.rand(few, generator=generator) < 0.5).nonzero().flatten()
        slots = torch.randperm(size, generator=generator)[: len(swapped)]
        mixed = fresh.clone()
        mixed[swapped] = self.images[slots].to(fresh.dtype)
        self.images[slots] = fresh[swapped].to(self.images.dtype)
        return mixed
