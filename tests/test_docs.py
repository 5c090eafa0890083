"""What the README says is there now."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_models_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs/tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.updated(README) == README


def test_every_link_and_picture_of_the_docs_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("zoo/*/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def commands() -> list[str]:
    lines = re.findall(r"^gancli [^#\n]*", README, flags=re.MULTILINE)
    return sorted({line.strip() for line in lines})


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_readme_is_understood(command: str, run_cli) -> None:
    """Each parses and finds its model; data that is not here, or nothing to resume, is told in so many words."""
    words = shlex.split(command)[1:]
    if words[0] == "train" and "--resume" not in words:
        words = ["train", "digits", *words[2:], "--dry-run"]
        words = [word for word in words if word not in ("--minutes", "5")]
    if "10000" in words:
        words[words.index("10000")] = "10"
    if words[0] == "evaluate":
        words = ["evaluate", "dcgan/digits", "-n", "20"]
    result = run_cli(*words)
    if "--resume" in words or words[:2] == ["sample", "--seeds"]:
        assert "there is no " in result.err
    else:
        assert result.code == 0, result.err
