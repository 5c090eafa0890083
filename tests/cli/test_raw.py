"""What a stranger wrote reaches no terminal raw: neither escapes nor markup, on any of the ways out."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gancli.cli.terminal import console
from gancli.errors import printable

ESCAPE = "\x1b]0;title\x07\x1b[2J"
ODD = ["\x1b[31m", "\x9b2J", "\x00", "\x07", "\x08", "\x7f", "\u202e", "\u2066", "\u200f", "\u2028", "\udcff", "a\rb"]


@pytest.mark.parametrize("text", ODD)
def test_printable_shows_what_it_takes_away(text: str) -> None:
    shown = printable(f"a{text}b", lines=True)
    assert all(character.isprintable() for character in shown)
    assert json.loads(f'"{shown}"') == f"a{text}b"


def test_printable_leaves_alone_what_is_printable() -> None:
    for text in ("", "plain", "ä é 日本 🙂", "[bold]x[/bold]", "a\nb\tc\r\n"):
        assert printable(text, lines=True) is text
    assert printable("a\nb\tc") == "a\\u000ab\\u0009c"


def test_every_way_out(capfd: pytest.CaptureFixture[str]) -> None:
    console.stderr.cache_clear()
    console.stdout.cache_clear()
    with console.sanitized():
        print(f"plain {ESCAPE}")
        sys.stdout.writelines([f"lines {ESCAPE}\n"])
        print(f"error {ESCAPE}", file=sys.stderr)
        console.say(f"said {ESCAPE}\nnot another line")
        table = Table(f"head {ESCAPE}", "[bold]head[/bold]")
        table.add_row(f"cell {ESCAPE}", "[link=http://a.org]:smile:[/link]")
        console.stdout().print(table, width=200)
    out, err = capfd.readouterr()
    assert "\x1b" not in out + err
    assert out.count("\\u001b]0;title\\u0007\\u001b[2J") == 2
    assert out.count(" \\u001b]0;ti") == 4  # as far as their columns are wide
    assert err.count("\\u001b]0;title\\u0007\\u001b[2J") == 2
    assert "not another line" in err.splitlines()[-1]
    assert "said" in err.splitlines()[-1]
    assert "[bold]head[/bold]" in out
    assert "[link=http://a.org]:smile:[/link]" in out


def test_our_own_colours_stay(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console.stdout.cache_clear()
    with console.sanitized():
        console.stdout().print(f"word {ESCAPE}", style="red")
    console.stdout.cache_clear()
    out = capfd.readouterr().out
    assert out.startswith("\x1b[31m")
    assert "\x1b]" not in out


def test_our_own_colours_stay_in_a_live_panel(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console.stderr.cache_clear()
    with console.sanitized(), Live(Text(f"word {ESCAPE}", "red"), console=console.stderr()):
        print(f"meanwhile {ESCAPE}")
    console.stderr.cache_clear()
    err = capfd.readouterr().err
    assert "\x1b[31m" in err
    assert "\x1b]" not in err
    assert "meanwhile" in err
    assert "\x07" not in err


def test_class_names_of_folders(run_cli: Callable, home: Path) -> None:
    from PIL import Image

    for name in (f"a{ESCAPE}", "b\nerror: no", "[bold]c"):
        (home / "set" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 9).save(home / "set" / name / "1.png")
    (home / "set" / "[bold]c" / f"{ESCAPE}.png").write_bytes(b"no picture")
    result = run_cli("data", "show", "set", "--out", "x.png")
    assert result.code == 0
    assert "\x1b" not in result.out + result.err
    assert "b\\u000aerror: no 1" in result.out
    assert "[bold]c 1" in result.out
    assert "left out [bold]c/\\u001b]0;title\\u0007\\u001b[2J.png: not an image that PIL reads" in result.err
    facts = run_cli("data", "show", "set", "--out", "x.png", "--json")
    assert set(json.loads(facts.out)["classes"]) == {printable(f"a{ESCAPE}"), "b\\u000aerror: no", "[bold]c"}


@pytest.mark.parametrize(
    "words", [("sample", f"{ESCAPE}"), ("data", "show", f"{ESCAPE}"), (f"{ESCAPE}",), ("sample", "--x", "\udcff")]
)
def test_words_come_back_printable(run_cli: Callable, words: tuple[str, ...]) -> None:
    result = run_cli(*words)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert "\x1b" not in result.err
    assert "unexpected" not in result.err


def test_a_long_word_is_cut(run_cli: Callable) -> None:
    result = run_cli("data", "show", "x" * 100_000)
    assert result.code == 2
    assert len(result.err) < 5000


def test_names_of_a_stranger_s_run(run_cli: Callable, home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "recipe.toml").write_text(
        'model = "\\u001b[2J"\n[data]\nname = "\\u001b[2J"\n[training]\nrounds = "x"\n'
    )
    row = {
        "round": 1,
        "images": 8,
        "loss/generator": 0.5,
        "loss/\x1b[2J": 1,
        "loss/$x_{$": 2,
        "stopped": ESCAPE,
        "health": {},
    }
    lines = [row, row | {"round": 2, "diverged": ESCAPE}, row | {"round": 3}]
    (home / "run" / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = run_cli("doctor", "run")
    assert result.code == 0, result.err
    assert "\x1b" not in result.out + result.err
    assert "\\u001b[2J on \\u001b[2J, 3 rounds" in result.out
    assert run_cli("doctor", "run", "--json").code == 0
