"""Files written on a thread while the training goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli import checkpoint

AHEAD = 4
"""Writes that may wait: this bounds the memory that they hold where a disk is slow."""


class Writer:
    """Does one piece of work after another, in order, on a thread of its own.

    An error is raised by the next call, so that a full disk ends a training as it would have without a thread; work
    queued behind it is dropped, since a state on the disk stands for all that was written before it. The work must not
    compute with torch: a second thread that does starts a second pool of workers, which compete for the cores.

    Args:
        check: called before each piece of work; what it raises counts as that work's error.
        active: whether this is the process that writes; in the others every call does nothing.
    """

    def __init__(self, check: Callable[[], None] = lambda: None, *, active: bool = True) -> None:
        self._check, self._active = check, active
        self._thread = ThreadPoolExecutor(1, "writer")
        self._waiting: deque[Future[None]] = deque()
        self._failed = False

    def do(self, work: Callable[[], None]) -> None:
        """Queue a piece of work; waits only while too much is queued.

        Raises:
            Exception: that of an earlier piece of work.
        """
        if not self._active:
            return
        while self._waiting and (len(self._waiting) >= AHEAD or self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._attempt, work))

    def write(self, path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Queue :func:`gancli.checkpoint.write` of the present values, into a folder that exists."""
        if self._active:
            self.do(partial(checkpoint.write, path, snapshot(tensors), header, make=False))

    def _attempt(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            self._check()
            work()
        except BaseException:
            self._failed = True
            raise

    def wait(self) -> None:
        """Return once all is done.

        Raises:
            Exception: the first error of the work.
        """
        errors = [error for future in self._waiting if (error := future.exception()) is not None]
        self._waiting.clear()
        self._failed = False
        if errors:
            raise errors[0]


def snapshot(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU, contiguous, that further training does not change."""
    layout = torch.contiguous_format
    return {name: tensor.detach().to("cpu", copy=True, memory_format=layout) for name, tensor in tensors.items()}
