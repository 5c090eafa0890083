"""Where words go: standard output is data, standard error is talk."""

from functools import cache
from typing import TYPE_CHECKING

from gancli.processes import rank

if TYPE_CHECKING:
    from rich.console import Console


@cache
def talk() -> "Console":
    """The console on standard error, for progress, notes and warnings; NO_COLOR is respected."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@cache
def screen() -> "Console":
    """The console on standard output, for results; NO_COLOR is respected."""
    from rich.console import Console

    return Console(highlight=False)


def say(text: str, *, style: str | None = None) -> None:
    """One plain line on standard error; never wrapped, never parsed for markup. Of several processes one speaks."""
    if not rank():
        talk().print(text, style=style, markup=False, soft_wrap=True)
