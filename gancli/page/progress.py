"""Work that takes long, with its progress for the browser that waits; it ends when that one waits no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse

from gancli.errors import GancliError

INTERVAL = 0.1
"""Seconds from one line to the next."""


class Cancelled(Exception):
    """Nobody waits for the work any more."""


def followed(start: Callable[[Callable[[int], None]], Awaitable[dict[str, Any]]]) -> StreamingResponse:
    """An answer of JSON lines: ``{"steps": N}`` while work is done, then ``{"result": ...}`` or ``{"error": ...}``.

    Args:
        start: begins the work. Its argument, called in any thread with the number of steps just made, raises
            :class:`Cancelled` once the browser has closed the connection.
    """
    return StreamingResponse(_lines(start), media_type="application/x-ndjson")


async def _lines(start: Callable[[Callable[[int], None]], Awaitable[dict[str, Any]]]) -> AsyncIterator[str]:
    made, open_ = 0, True

    def progress(steps: int) -> None:
        nonlocal made
        if not open_:
            raise Cancelled
        made += steps

    work = asyncio.ensure_future(start(progress))
    try:
        while not (await asyncio.wait([work], timeout=INTERVAL))[0]:
            yield json.dumps({"steps": made}) + "\n"
        try:
            last = {"result": work.result()}
        except GancliError as error:
            last = {"error": error.message, "hint": error.hint}
        yield json.dumps(last) + "\n"
    finally:
        open_ = False
        work.cancel()
