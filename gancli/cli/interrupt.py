"""Ctrl-C: the first asks for an orderly end, the second leaves at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from gancli.processes import rank


@contextmanager
def graceful() -> Generator[Callable[[], bool]]:
    """Gives a function that says whether Ctrl-C was pressed."""
    pressed = False

    def press(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        # Where several processes share the work, whoever started them passes Ctrl-C on, and it comes twice.
        if pressed and rank() is None:
            if os.isatty(2):
                os.write(2, b"\x1b[?25h\n")  # the live display has hidden the cursor
            os._exit(130)
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
