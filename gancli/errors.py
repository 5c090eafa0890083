"""The one error that users see.

Everything that can go wrong because of what a user typed, or of a file that a user named, ends as a
:class:`GancliError`. The command line prints it as ``error: …`` and ``hint: …``; library users catch it.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

# Controls of a terminal; what turns the direction of writing; half characters, which no file can hold.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)
_OF_LINES = re.compile(f"{_UNPRINTABLE.pattern}|[\t\n\r]")


def printable(text: str, *, lines: bool = False) -> str:
    """The text with what a terminal would obey written as JSON writes it, as in ``\\u001b``; the same text if it is so.

    Args:
        text: from anywhere, such as a name in a stranger's file.
        lines: whether ends of lines and tabs may stay.
    """
    unwanted = _UNPRINTABLE if lines else _OF_LINES
    return unwanted.sub(lambda found: f"\\u{ord(found[0]):04x}", text) if unwanted.search(text) else text


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


FEW = 16
"""Names that a hint lists."""


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known one, or all of them if they are few and none is near."""
    known = sorted(names)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"one of: {', '.join(known)}" if 0 < len(known) <= FEW else ""
