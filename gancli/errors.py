"""The one error that users see.

Everything that can go wrong because of what a user typed, or of a file that a user named, ends as a
:class:`GancliError`. The command line prints it as ``error: …`` and ``hint: …``; library users catch it.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class GancliError(Exception):
    """What is wrong, with the offending value, and what to do instead.

    Args:
        message: one sentence without a final full stop that quotes the offending value.
        hint: what to type instead; empty when there is nothing useful to say.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GancliError):
    """The fault is in what the user typed (exit code 2), not in what happened later (exit code 1)."""

    exit_code = 2


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known one, or all of them when none is near."""
    known = sorted(names)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"one of: {', '.join(known)}" if known else ""
