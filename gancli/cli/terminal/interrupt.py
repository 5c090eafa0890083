"""Ctrl-C and SIGTERM: both request an orderly stop; a second Ctrl-C exits at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from gancli.processes import rank


class Stop:
    """Whether a signal requested a stop.

    Args:
        signal: the first such signal; 0 for none.
    """

    def __init__(self, signal: int = 0) -> None:
        self.signal = signal

    def __call__(self) -> bool:
        """Whether a stop was requested."""
        return self.signal != 0

    @property
    def code(self) -> int:
        """The exit code of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM.

        A process that stops because another one got the signal counts as stopped by SIGTERM.
        """
        return 128 + (self.signal or signal.SIGTERM)


@contextmanager
def graceful() -> Generator[Stop]:
    """Handle both signals and give a :class:`Stop` to poll.

    SIGTERM may come repeatedly, since schedulers send it to a process and to its group; only Ctrl-C exits at once.
    """
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        # With several processes, the launcher passes Ctrl-C on, and it comes twice.
        if stop.signal and number == signal.SIGINT and rank() is None:
            if os.isatty(2):
                os.write(2, b"\x1b[?25h\n")  # the live display has hidden the cursor
            os._exit(130)
        stop.signal = stop.signal or number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
