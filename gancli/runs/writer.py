"""Files written while the training goes on: nobody waits for a disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

AHEAD = 4
"""Pieces of work that may wait: what they hold in memory stays small where a disk is slow."""


class Writer:
    """Does one piece of work after another, in order, on a thread of its own.

    What fails is raised by the next call, so that a full disk ends a training as it would have without a thread; what
    waits behind it is left undone, since a state on the disk stands for all that was written before it. The work must
    not compute with torch: the second thread would start a team of workers of its own, and they would take
    the cores from each other.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writer")
        self._waiting: deque[Future[None]] = deque()
        self._failed = False

    def do(self, work: Callable[[], None]) -> None:
        """Have it done soon; waits only where too much waits already.

        Raises:
            Exception: that of an earlier piece of work.
        """
        while self._waiting and (len(self._waiting) >= AHEAD or self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._attempt, work))

    def _attempt(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise

    def wait(self) -> None:
        """Return once all is done.

        Raises:
            Exception: the first of those of the work.
        """
        errors = [error for future in self._waiting if (error := future.exception()) is not None]
        self._waiting.clear()
        self._failed = False
        if errors:
            raise errors[0]


def snapshot(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values on the CPU, contiguous, in memory that the training does not touch."""
    layout = torch.contiguous_format
    return {name: tensor.detach().to("cpu", copy=True, memory_format=layout) for name, tensor in tensors.items()}
