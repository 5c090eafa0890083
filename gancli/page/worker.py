"""One thread for all that takes long, so that the server answers meanwhile. No torch is imported here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from gancli.errors import GancliError

Result = TypeVar("Result")

MOST_WAITING = 32
"""Requests that wait for the thread at most."""


class Busy(GancliError):
    """Too much waits already."""


class Worker:
    """Does one thing after the other in a thread of its own, which alone uses torch."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._waiting = 0
        self._depth = 0

    @property
    def busy(self) -> bool:
        """Whether it does something now."""
        return self._depth > 0

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
            call: Future[Result] = Future()
            self._calls.append((call, partial(work, *arguments)))
            self._thread.submit(self.next)
            return await asyncio.wrap_future(call)
        finally:
            self._waiting -= 1

    def next(self) -> None:
        """Do the next thing that waits, if any. What takes long calls this in the thread between its steps, so that
        others need not wait for its end."""
        if not self._calls:
            return  # it was done between the steps of another
        call, work = self._calls.popleft()
        if not call.set_running_or_notify_cancel():
            return
        self._depth += 1
        try:
            call.set_result(work())
        except BaseException as error:  # it belongs to whoever waits for the call
            call.set_exception(error)
        finally:
            self._depth -= 1
