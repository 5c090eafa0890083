"""One thread for all that takes long, so that the server answers meanwhile. No torch is imported here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gancli.errors import GancliError

Result = TypeVar("Result")

MOST_WAITING = 32
"""Requests that wait for the thread at most."""


class Busy(GancliError):
    """Too much waits already."""


class Worker:
    """Does one thing after the other in a thread of its own, which alone uses torch.

    Attributes:
        busy: whether it does something now.
    """

    busy = False

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._waiting = 0

    def _do(self, work: Callable[..., Result], *arguments: object) -> Result:
        self.busy = True
        try:
            return work(*arguments)
        finally:
            self.busy = False

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """What a function returns, called in the thread.

        Args:
            work: called with the arguments.
            arguments: of the call.

        Raises:
            Busy: :data:`MOST_WAITING` calls wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise Busy(f"{self._waiting} requests wait already", "try again once the page has caught up")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work, *arguments)
        finally:
            self._waiting -= 1
