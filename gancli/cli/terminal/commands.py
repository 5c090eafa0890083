"""How messages name commands, options and recipe values: as the user would type them.

The rest of gancli writes in backticks what a library user would type: a parameter, such as ``truncation``, or a recipe
value, such as ``data.size=[64,64]``. On the command line these are options, and shown as such.
"""

import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_QUOTED = re.compile(r"`(?P<key>[\w.-]+)(?P<value>=[^`]*)?`|`gancli(?P<words>[ `])")


@cache
def program() -> str:
    """The words that start gancli, as this process was started: ``gancli``, ``uv run gancli``, ``python -m gancli``."""
    if Path(sys.argv[0]).name == "__main__.py":
        return "python -m gancli"
    # `uv run` sets the first for what it starts; only an environment that was activated has the second.
    outside = "UV_RUN_RECURSION_DEPTH" in os.environ and "VIRTUAL_ENV_PROMPT" not in os.environ
    return "uv run gancli" if outside else "gancli"


def as_typed(text: str, options: Mapping[str, str] | None = None) -> str:
    """The text with commands, parameters and recipe values as this user types them.

    Args:
        text: of a message.
        options: the options of the command in use by the name of their parameter, as in ``{"seeds": "--seeds"}``.
    """

    def typed(found: re.Match[str]) -> str:
        key, value = found["key"], found["value"] or ""
        if key is None or key == "gancli":
            return f"`{program()}{found['words'] or '`'}"
        if "." in key and value:
            return f"--set {key}{value}"
        option = (options or {}).get(key)
        return f"{option}{value.replace('=', ' ', 1)}" if option else found[0]

    return _QUOTED.sub(typed, text)
