"""What a release needs beside code: a citation that tools read, and one version everywhere."""

import re
from datetime import date
from pathlib import Path

import yaml

from gancli import __version__

ROOT = Path(__file__).parents[1]


def test_the_citation_has_what_its_format_requires() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
    assert found["cff-version"] == "1.2.0"
    assert found["type"] == "software"
    assert [author.keys() for author in found["authors"]] == [{"name"}]  # an entity; a person has family-names
    assert found["version"] == __version__
    assert isinstance(found["date-released"], date)


def test_the_changelog_begins_with_what_is_unreleased_and_then_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    released = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["date-released"]
    assert headings[:2] == ["[Unreleased]", f"[{__version__}] - {released}"]
