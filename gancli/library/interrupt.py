"""Ctrl-C and SIGTERM: both request an orderly stop, and a second Ctrl-C does not wait for it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

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


def exit_at_once() -> NoReturn:
    """End the program."""
    if os.isatty(2):
        os.write(2, b"\x1b[?25h\n")  # the live display has hidden the cursor
    os._exit(130)


def raise_at_once() -> NoReturn:
    """End the call and not the program, which may be a notebook."""
    raise KeyboardInterrupt


@contextmanager
def graceful(again: Callable[[], object] = exit_at_once) -> Generator[Stop]:
    """Handle both signals and give a :class:`Stop` to poll.

    SIGTERM may come repeatedly, since schedulers send it to a process and to its group; only Ctrl-C is not made to
    wait. Signals reach the main thread alone: in another one, nothing is handled.

    Args:
        again: called by a second Ctrl-C.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        # With several processes, the launcher passes Ctrl-C on, and it comes twice.
        if stop.signal and number == signal.SIGINT and rank() is None:
            again()
        stop.signal = stop.signal or number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
