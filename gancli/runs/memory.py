"""When memory runs out: one error, with what takes less."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from contextlib import contextmanager

import torch

from gancli.errors import GancliError
from gancli.processes import ALONE, World
from gancli.recipe import Recipe

WORDS = ("not enough memory", "out of memory", "can't allocate memory", "bad_alloc")
"""What allocators say in a plain RuntimeError: those of the CPU, of Apple's GPU, of the CUDA driver."""


class OutOfMemory(GancliError):
    """The device has not the memory for the batch."""


@contextmanager
def explain_out_of_memory(recipe: Recipe, device: torch.device, world: World = ALONE) -> Generator[None]:
    """Turn what allocators say within into one error that names a smaller batch, or smaller images.

    Args:
        recipe: what is trained.
        device: where.
        world: the processes that share its batch.

    Raises:
        OutOfMemory: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in WORDS)
        if not known:
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the networks that there was no room for
        batch, parts = recipe.training.batch, world.size * recipe.training.accumulate
        hint = "make images or networks smaller, as in `data.size=[32,32]`"
        if (smaller := batch // 2 // parts * parts) >= 2:
            hint = f"start a new run with `training.batch={smaller}`"
            if batch % (2 * parts) == 0 and batch >= 4 * parts:  # not one image a part, which cannot be normalized
                finer = 2 * recipe.training.accumulate
                hint += f", or with `training.accumulate={finer}`, which keeps the batch and works on it in parts"
            hint += "; a run that is there keeps its recipe"
        raise OutOfMemory(f"the memory of {device} is too small for a batch of {batch:,}", hint) from error
