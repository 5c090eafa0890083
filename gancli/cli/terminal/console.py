"""Where words go: standard output is data, standard error is talk. What is unprintable reaches no terminal.

Names come from files, and files from strangers. A terminal obeys what begins with an escape, and letters that turn the
direction of writing make a name look like another: both are written as JSON would, ``\\u001b``. Nothing is ever parsed
for rich's markup.
"""

import sys
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from typing import IO, TYPE_CHECKING, Any

from gancli.errors import printable
from gancli.processes import rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from gancli.data import Skipped


@cache
def _kind() -> "type[Console]":
    """A console that shows what its texts hold, and obeys none of it."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        @property
        def file(self) -> IO[str]:
            """The stream itself: what is written there was looked at."""
            stream: Any = super().file
            return stream.rich_proxied_file if isinstance(stream, _Shown) else stream

        @file.setter
        def file(self, new_file: IO[str]) -> None:
            self._file = new_file

        def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
            for segment in super().render(*arguments, **options):
                text = segment.text if segment.control else printable(segment.text, lines=True)
                yield segment if text is segment.text else Segment(text, segment.style)

    return Plain


@cache
def talk() -> "Console":
    """The console on standard error, for progress, notes and warnings; NO_COLOR is respected."""
    return _kind()(stderr=True, highlight=False, markup=False, emoji=False)


@cache
def screen() -> "Console":
    """The console on standard output, for results; NO_COLOR is respected."""
    return _kind()(highlight=False, markup=False, emoji=False)


def say(text: str, *, style: str | None = None) -> None:
    """One plain line on standard error; never wrapped, never parsed for markup. Of several processes one speaks."""
    if not rank():
        talk().print(printable(text), style=style, markup=False, soft_wrap=True)


def tell_left_out(skipped: "Sequence[Skipped]", most: int, where: str = "") -> None:
    """Say which files are no part of a data set, each with the reason; of the rest how many, and where to see them."""
    for one in skipped[:most]:
        say(f"left out {one.name}: {one.reason}")
    if len(skipped) > most:
        say(f"left out {len(skipped) - most:,} more{where}")


class _Shown:
    """A stream to which nothing unprintable is written; for all else it is the stream itself."""

    def __init__(self, stream: Any) -> None:
        # Where rich finds the stream itself: it writes colours, which are escapes, after our console has looked at
        # every text.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        return self.rich_proxied_file.write(printable(text, lines=True))

    def writelines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def nothing_raw() -> Generator[None]:
    """Meanwhile, what is printed is printable."""
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is not None and not isinstance(stream, _Shown):
                stack.enter_context(redirect(_Shown(stream)))  # ty: ignore[invalid-argument-type]
        yield
