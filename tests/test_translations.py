"""The Chinese pages say what the English ones say: the same headings, commands, code, pictures, links and figures."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/tutorial.md")
MODELS = re.compile(r"<!-- models: .*?<!-- /models -->\n", re.DOTALL)
"""The README's table, which the Chinese one links to."""


def english(page: str) -> str:
    return MODELS.sub("", (ROOT / page).read_text(encoding="utf-8"))


def chinese(page: str) -> str:
    return (ROOT / page).with_suffix(".zh-CN.md").read_text(encoding="utf-8")


def headings(text: str) -> list[str]:
    """Levels, and numbers at their beginning."""
    return re.findall(r"^(#+ (?:\d+\.)?)", text, flags=re.MULTILINE)


def code(text: str) -> list[str]:
    """Code without its comments: lines of blocks, then quotations in their alphabetical order."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [*"".join(blocks).splitlines(), *re.findall(r"^    .*", text, flags=re.MULTILINE)]
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    quoted = [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", rest)]
    return [*(re.split(r"\s+#", line)[0] for line in lines), *sorted(quoted)]


def pictures(text: str) -> list[str]:
    return re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)


def links(text: str) -> set[str]:
    """Targets of links, those to other languages left out."""
    found = re.findall(r"(?<!!)\[[^\]!]+\]\(([^)]+)\)", text)
    return {target.replace(".zh-CN", "") for target in found if "README" not in target} - {"tutorial.md"}


def figures(text: str) -> Counter[str]:
    """Numbers of the prose, with how often each is there."""
    prose = re.sub(r"^```.*?^```|`[^`]+`|\]\([^)]*\)|^ {4}.*?$", "", text, flags=re.MULTILINE | re.DOTALL)
    return Counter(re.findall(r"(?<![\w.])-?\d[\d.,]*\d|(?<![\w.])-?\d", prose))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("part", [headings, code, pictures, links, figures], ids=lambda part: part.__name__)
def test_a_page_in_chinese_is_in_step(page: str, part) -> None:
    assert part(chinese(page)) == part(english(page))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_chinese_has_no_break_within_a_paragraph(page: str) -> None:
    # Browsers show a space there.
    assert not re.search(r"[\u4e00-\u9fff，。；：、）]\n *[\u4e00-\u9fff（]", chinese(page))


def test_what_is_not_in_step_is_found() -> None:
    text = english("docs/tutorial.md")
    for part, old, new in (
        (headings, "## 2.", "### 2."),
        (code, "--rounds 1000", "--rounds 100"),
        (code, "`gancli doctor`", "`gancli runs`"),
        (pictures, "tutorial-sine.png", "tutorial-grid.png"),
        (links, "formulas.md", "data.md"),
        (figures, "69 %", "96 %"),
    ):
        assert part(text.replace(old, new)) != part(text)
