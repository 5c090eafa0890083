"""The reference of the command line, written from the app itself: what ``--help`` shows, as Markdown.

``docs/site.py`` writes it into the site. It is not stored anywhere, so that it cannot be out of date.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from gancli.cli._app import app

INTRODUCTION = """# Commands

Written from the app, as `gancli COMMAND --help` shows them. Capitals stand for what you type, `[…]` can be left out.
"""


def pages() -> dict[str, str]:
    """Name of each file to its Markdown: one for each command, and ``index.md``."""
    root: Any = get_command(app)
    top = typer.Context(root, info_name="gancli")
    found, overview = {}, []
    for name, command in root.commands.items():
        found[f"{name}.md"] = "\n".join(_section(command, typer.Context(command, info_name=name, parent=top), 1))
        overview.append(f"- [`gancli {name}`]({name}.md): {_prose(command.help.partition(chr(10))[0])}")
    general = [*_list("General options", root, top, "option"), *_text(root.epilog)]
    return {"index.md": "\n".join([INTRODUCTION, *overview, "", *general]), **found}


def _section(command: Any, context: typer.Context, level: int) -> Iterator[str]:
    """A command, and the commands below it one level deeper."""
    yield f"{'#' * level} {context.command_path}\n"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```\n{usage}\n```\n"
    yield from _text(command.help)
    yield from _list("Arguments", command, context, "argument")
    yield from _list("Options", command, context, "option")
    yield from _text(command.epilog)
    for name, child in getattr(command, "commands", {}).items():
        yield from _section(child, typer.Context(child, info_name=name, parent=context), level + 1)


def _text(text: str | None) -> Iterator[str]:
    """Paragraphs; those that help texts keep as they are, such as examples, as code."""
    for paragraph in re.split(r"\n\s*\n", (text or "").strip()):
        if not paragraph.startswith("\b"):
            yield f"{_prose(' '.join(paragraph.split()))}\n"
            continue
        title, *lines = paragraph.lstrip("\b\n").splitlines()
        code = "\n".join(line.removeprefix("  ") for line in lines)
        yield f"**{title.rstrip(':')}**\n\n```\n{code}\n```\n"


def _list(title: str, command: Any, context: typer.Context, kind: str) -> Iterator[str]:
    """The arguments or the options of a command."""
    params = [one for one in command.get_params(context) if one.param_type_name == kind and one.name != "help"]
    records = [record for one in params if (record := one.get_help_record(context))]
    if records:
        yield f"**{title}**\n"
        yield (
            "\n".join(f"- `{names.removesuffix(' <str>')}`: {_prose(_spaced(text))}" for names, text in records) + "\n"
        )


def _spaced(text: str) -> str:
    """What typer adds in square brackets at the end, such as a default, in a sentence's own brackets."""
    return re.sub(r" +\[([^\[\]]*)\]$", r" (\1)", text)


def _prose(text: str) -> str:
    """Plain text as Markdown; what is in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<\[\]])", r"\\\1", part) for part in parts)
