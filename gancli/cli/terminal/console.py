"""Consoles: data goes to standard output, messages to standard error, and nothing unprintable to either.

Names come from strangers' files. Terminal escapes and characters that change the direction of writing are shown as
JSON would write them, ``\\u001b``. Nothing is parsed for rich's markup.
"""

import json
import os
import re
import shutil
import sys
import textwrap
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any

from gancli.cli.terminal.commands import as_typed
from gancli.errors import printable
from gancli.processes import rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from gancli.data import Skipped


@cache
def _kind() -> "type[Console]":
    """A rich console that shows escapes in its texts instead of sending them."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        @property
        def file(self) -> IO[str]:
            """The stream itself: this console has sanitized what it writes."""
            stream: Any = super().file
            return stream.rich_proxied_file if isinstance(stream, _Sanitized) else stream

        @file.setter
        def file(self, new_file: IO[str]) -> None:
            self._file = new_file

        def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
            if soft_wrap and self.is_terminal:
                objects = tuple(wrapped(one, self.file) if isinstance(one, str) else one for one in objects)
            super().print(*objects, soft_wrap=soft_wrap, **options)

        def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
            for segment in super().render(*arguments, **options):
                text = segment.text if segment.control else printable(segment.text, lines=True)
                yield segment if text is segment.text else Segment(text, segment.style)

    return Plain


@cache
def stderr() -> "Console":
    """The console on standard error, for progress, notes and warnings; it respects NO_COLOR."""
    return _kind()(stderr=True, highlight=False, markup=False, emoji=False)


@cache
def stdout() -> "Console":
    """The console on standard output, for results; it respects NO_COLOR."""
    return _kind()(highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print one line on standard error, without markup; of several processes only the first does."""
    if not rank():
        stderr().print(printable(as_typed(text)), soft_wrap=True)


def wrapped(text: str, stream: IO[str]) -> str:
    """The text with line ends between words where it goes to a terminal, which would end lines inside a word.

    Commands in backticks stay whole, so that they can be copied.
    """
    if not stream.isatty():
        return text
    wrapper = textwrap.TextWrapper(
        shutil.get_terminal_size().columns, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )
    whole = re.sub("`[^`]*`", lambda command: command[0].replace(" ", "\0"), text)
    return "\n".join(wrapper.fill(line) for line in whole.split("\n")).replace("\0", " ")


def print_json(document: Any) -> None:
    """Print a document for programs."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def tell_which(name: str) -> None:
    """Say which is taken, where a folder or file is called like a built-in data set."""
    from gancli.data.builtin.names import DATASETS

    if name in DATASETS and os.path.lexists(name):
        say(f"note: '{name}' is the built-in data set; the folder or file of that name is './{name}'")


def tell_left_out(skipped: "Sequence[Skipped]", most: int, where: str = "") -> None:
    """Name a file for each reason for which some were left out, and count the others; ``where`` ends such lines."""
    reasons = defaultdict[str, list[str]](list)
    for one in skipped:
        reasons[one.reason].append(one.name)
    for reason, names in list(reasons.items())[:most]:
        say(
            f"left out {names[0]}: {reason}"
            if len(names) == 1
            else f"left out {names[0]} and {len(names) - 1:,} more: {reason}{where}"
        )
    if rest := sum(map(len, list(reasons.values())[most:])):
        say(f"left out {rest:,} more{where}")


class _Sanitized:
    """A stream that escapes what is unprintable."""

    def __init__(self, stream: Any) -> None:
        # rich looks for this attribute and writes its colours, which are escapes, to the stream itself.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        return self.rich_proxied_file.write(printable(text, lines=True))

    def writelines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def sanitized() -> Generator[None]:
    """Escape what is unprintable in all that is printed meanwhile."""
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is not None and not isinstance(stream, _Sanitized):
                if isinstance(stream, TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")  # what another encoding than UTF-8 lacks
                stack.enter_context(redirect(_Sanitized(stream)))  # ty: ignore[invalid-argument-type]
        yield
