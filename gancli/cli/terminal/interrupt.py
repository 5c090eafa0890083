"""Ctrl-C and SIGTERM: both ask for an orderly end; a second Ctrl-C leaves at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from gancli.processes import rank


class Stop:
    """Whether the program was asked to stop.

    Args:
        signal: what asked first; 0 if nothing did.
    """

    def __init__(self, signal: int = 0) -> None:
        self.signal = signal

    def __call__(self) -> bool:
        """Whether it was."""
        return self.signal != 0

    @property
    def code(self) -> int:
        """The exit code that shells give a program which a signal ended: 130 for Ctrl-C, 143 for SIGTERM.

        A process that stops because another was asked to ends as if by SIGTERM.
        """
        return 128 + (self.signal or signal.SIGTERM)


@contextmanager
def graceful() -> Generator[Stop]:
    """Gives what says whether to stop.

    SIGTERM may come any number of times, as schedulers send it to a process and to its group: it only asks. They have
    SIGKILL for what does not end.
    """
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        # Where several processes share the work, whoever started them passes Ctrl-C on, and it comes twice.
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
