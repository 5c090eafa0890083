"""Help in groups."""

import re
import sys

import pytest
from typer.main import get_command

from gancli.cli._app import app

GROUPS = ["Data", "Model", "Budget", "Hardware", "Evaluation", "Files", "Other"]


def sections(text: str) -> dict[str, str]:
    """The text of help by heading."""
    found = re.split(r"^(\w+):\n", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_every_option_stands_once_in_a_group(run_cli, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run_cli(command, "--help")
    assert result.code == 0
    shown = sections(result.out)
    assert set(shown) == {"Arguments", *GROUPS}
    options = [
        opt for text in shown.values() for opt in re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, flags=re.MULTILINE)
    ]
    known = getattr(get_command(app), "commands")[command].params  # noqa: B009 - typer's groups have no type for it
    assert sorted(options) == sorted([*(max(each.opts, key=len) for each in known if each.name != "data"), "--help"])
    assert max(map(len, result.out.splitlines())) <= 80
    assert "typer.rich_utils" not in sys.modules


def test_options_stand_where_a_reader_looks_for_them(run_cli) -> None:
    shown = sections(run_cli("train", "--help").out)
    for group, option in (
        ("Data", "--hold-out"),
        ("Model", "--from"),
        ("Budget", "--minutes"),
        ("Hardware", "--processes"),
        ("Evaluation", "--best-by"),
        ("Files", "--keep"),
        ("Other", "--dry-run"),
    ):
        assert f"  {option} " in shown[group]
    # Their texts begin in one column.
    columns = {
        line.index(text)
        for text in ("Train for N minutes.", "Where to compute.", "Seconds between saves.")
        for line in "".join(shown.values()).splitlines()
        if text in line
    }
    assert len(columns) == 1
