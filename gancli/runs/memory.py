"""When memory runs out: one error, with a batch that should fit."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from gancli.data import Dataset
from gancli.errors import GancliError
from gancli.processes import ALONE, World
from gancli.recipe import Recipe
from gancli.runs.planning import saved_bytes, state_bytes
from gancli.training.loop import Trainer

WORDS = ("not enough memory", "out of memory", "can't allocate memory", "bad_alloc")
"""What allocators say in a plain RuntimeError: those of the CPU, of Apple's GPU, of the CUDA driver."""

TRIAL = 8
"""Images in the batch by which a larger one is reckoned."""

SHARE = 0.7
"""Of the memory that is free, what a suggested batch may take: workspaces and gaps between tensors take the rest."""


class OutOfMemory(GancliError):
    """The device has not the memory for the batch."""


@contextmanager
def suggesting(recipe: Recipe, dataset: Dataset, device: torch.device, world: World = ALONE) -> Generator[None]:
    """Turn what allocators say within into one error that names a smaller batch.

    Args:
        recipe: what was to be trained.
        dataset: what on.
        device: where.
        world: the processes that share its batch.

    Raises:
        OutOfMemory: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _ran_out(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the networks that there was no room for
        raise _told(recipe, dataset, device, world.size * recipe.training.accumulate) from error


def _ran_out(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in WORDS)


def _told(recipe: Recipe, dataset: Dataset, device: torch.device, parts: int) -> OutOfMemory:
    batch = recipe.training.batch
    fits = largest_batch(recipe, dataset, device, parts)
    smaller = max(2, batch // 2 // parts * parts) if fits is None else fits
    if smaller < 2 or batch == 2:
        hint = "not even a batch of 2 fits: make images or networks smaller, as in --set data.size=[32,32]"
    else:
        why = "it is half of that" if fits is None else "by what a small batch takes, it fits"
        hint = f"start a new run with --set training.batch={smaller} ({why}); a run that is there keeps its batch"
    return OutOfMemory(f"the memory of {device} is too small for a batch of {batch:,}", hint)


def largest_batch(recipe: Recipe, dataset: Dataset, device: torch.device, parts: int = 1) -> int | None:
    """The largest batch, at most half of the recipe's, that should fit; below 2 where none does.

    Args:
        recipe: what was to be trained.
        dataset: what on.
        device: where.
        parts: that a batch is worked on in, by processes or one after the other; each is a power of two.

    Returns:
        None where the free memory is not known, or not enough for the trial.
    """
    _forget(device)
    free, half = free_bytes(device), recipe.training.batch // (2 * parts)
    if free is None or half < 2:
        return None
    few = max(2, min(TRIAL, half // 2))
    try:
        one, two = (_cost(recipe, dataset, device, batch) for batch in (few, 2 * few))
    except (MemoryError, RuntimeError):
        return None
    finally:
        _forget(device)
    an_image = max(1, (two - one) // few)
    room = int(SHARE * free) - (one - few * an_image)
    most = max(0, min(half, room // an_image))
    return parts << (most.bit_length() - 1) if most else 0


def _cost(recipe: Recipe, dataset: Dataset, device: torch.device, batch: int) -> int:
    """Bytes that a training of such a batch takes."""
    before = 0
    if device.type == "cuda":
        _forget(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
    trainer = Trainer(recipe.with_values(training={"batch": batch, "accumulate": 1}), dataset, device)
    with saved_bytes() as kept:
        trainer.round()
    trainer.round()  # with the optimizers' moments
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) - before
    return state_bytes(trainer) + kept[0]


def _forget(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def free_bytes(device: torch.device) -> int | None:
    """Bytes that this process may still take on a device; None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu" or sys.platform != "linux":
        return None
    import resource

    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        found.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable"))))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError):
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
            found.append(max(0, limit - pages * os.sysconf("SC_PAGE_SIZE")))
    return min(found, default=None)
