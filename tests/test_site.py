"""The site of the docs: its reference has every command, its navigation every page, and it asks no other server."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_docs import ROOT, script
from typer.main import get_command

from gancli.cli._app import app

SITE = script("site")


def commands() -> Iterator[tuple[str, Any]]:
    """Words after ``gancli`` and the command, of all commands."""
    found: list[tuple[str, Any]] = [("", get_command(app))]
    for words, command in found:
        found += [(f"{words} {name}".strip(), each) for name, each in getattr(command, "commands", {}).items()]
        yield words, command


def section(pages: dict[str, str], words: str) -> str:
    """The part of the reference that is about one command."""
    name, _, below = words.partition(" ")
    page = pages[f"{name or 'index'}.md"]
    return re.split(r"^#+ ", page.partition(f"# gancli {words}\n")[2], flags=re.MULTILINE)[0] if below else page


def test_the_reference_has_every_command_with_its_arguments_options_and_examples() -> None:
    pages = SITE.reference.pages()
    examples = 0
    for words, command in commands():
        text = section(pages, words)
        assert text, words
        for param in command.params:
            if param.hidden or param.name == "help":
                continue
            names = param.opts if param.param_type_name == "option" else [param.metavar]
            for name in names:
                found = re.search(rf"^- `[^`]*{re.escape(name)}[` ,]", text, flags=re.MULTILINE)
                assert found, f"{words}: {name}"
        for example in re.findall(r"^  (gancli .*)$", command.help or "", flags=re.MULTILINE):
            assert f"\n{example}\n" in text, f"{words}: {example}"
            examples += 1
    assert examples > 50


def test_help_texts_are_not_taken_for_markdown() -> None:
    assert SITE.reference._prose("from [-T, T] by *.png, `as *`") == r"from \[-T, T\] by \*.png, `as *`"


def pages_of(nav: list[dict[str, Any]]) -> Iterator[str]:
    for entry in nav:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else pages_of(target)


def test_the_navigation_has_every_page_once() -> None:
    listed = list(pages_of(tomllib.loads(SITE.CONFIG.read_text(encoding="utf-8"))["project"]["nav"]))
    pages = [path.relative_to(ROOT).as_posix() for pattern in ("*.md", "docs/*.md") for path in ROOT.glob(pattern)]
    assert sorted(listed) == sorted([*pages, "commands/index.md"])


def test_the_site_is_built_and_asks_no_other_server(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the group docs is not installed: uv sync --group docs")
    site = SITE.build(tmp_path)
    built = list(site.rglob("*.html"))
    assert {"index.html", "docs/tutorial.html", "commands/train.html", "zoo/dcgan/index.html"} <= {
        path.relative_to(site).as_posix() for path in built
    }
    for path in built:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"?https?:[^>]*>", text), path
