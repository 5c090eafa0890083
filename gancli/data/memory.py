"""How much memory data may take on this machine."""

import contextlib
import os
from pathlib import Path

from gancli.errors import UsageError

CONTROL_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container's memory limit is written: control groups version 2 and version 1."""


def total_memory() -> int:
    """Bytes of memory of the machine, or of the container where that is less."""
    limits = []
    with contextlib.suppress(AttributeError, OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in CONTROL_GROUPS:
        # The file may be missing, or hold the word "max".
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(file.read_text("ascii")))
    return min(limits, default=8 * 2**30)


def check_memory(count: int, channels: int, size: tuple[int, int]) -> None:
    """Make sure, before images are decoded, that they fit in memory.

    Args:
        count: number of images.
        channels: of each.
        size: (height, width).

    Raises:
        UsageError: they take more than three quarters of it.
    """
    needed, available = count * channels * size[0] * size[1], 3 * total_memory() // 4
    if needed > available:
        raise UsageError(
            f"{count:,} images of {size[0]}x{size[1]} pixels take {needed / 2**30:,.1f} GiB of memory, and there are "
            f"{available / 2**30:,.1f}",
            "choose a smaller size, as in `data.size=[64,64]`",
        )
