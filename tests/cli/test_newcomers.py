"""What somebody types who comes from another tool, or whose files and terminal are unlike the developers'."""

import os
import shutil
import subprocess
import sys
import tomllib
from io import StringIO
from pathlib import Path

import pytest

import gancli
from gancli.cli._app import _from_home
from gancli.cli.terminal.console import wrapped

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("group", [[], ["data"], ["zoo"], ["runs"]])
def test_no_summary_of_a_command_is_cut(run_cli, monkeypatch, group) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in run_cli(*group, "--help").out.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--lr", "use --set optimizer.generator.lr=2e-4, and the same for discriminator"),
        ("--batch", "use --set training.batch=64"),
        ("--size", "use --set data.size=[64,64]"),
        ("--image-size", "use --set data.size=[64,64]"),
        ("--gpus", "use --processes 2, one for each GPU; `torchrun` starts them on several machines"),
        ("--data", "name the data without an option, as in `gancli train mnist`, with --resume too"),
        ("--steps", "use --rounds 2000; a round is one step of every network"),
    ],
)
def test_options_of_other_tools_name_what_to_type(run_cli, option, hint) -> None:
    for typed in ([option, "64"], [f"{option}=64"]):
        found = run_cli("train", "digits", *typed)
        assert (found.code, found.err) == (2, f"error: no such option: {option}\n\nhint: {hint}\n")


def test_what_the_hints_name_is_taken(run_cli) -> None:
    keys = ("optimizer.generator.lr=2e-4", "training.batch=64", "data.size=[16,16]", "data.size=16")
    sets = [word for key in keys for word in ("--set", key)]
    made = run_cli("train", "digits", *sets, "--rounds", 9, "--precision", "fp32", "--dry-run", "-q")
    assert made.code == 0, made.err
    table = tomllib.loads(made.out)
    assert (table["data"]["size"], table["training"]["batch"]) == ([16, 16], 64)
    assert table["optimizer"]["generator"]["lr"] == 2e-4


def test_the_home_folder_in_every_path_model_and_data_name(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    taken = {
        "~/run": "/home/ann/run",
        "--out=~/a b/": "/home/ann/a b/",
        "data.source=~/x": "/home/ann/x",
        "--set=data.source=~/x": "/home/ann/x",
    }
    for typed, path in taken.items():
        assert _from_home(typed) == typed.rpartition("=")[0] + "=" * ("=" in typed) + path
    for typed in ("~", "a~/b", "photos/~/x", "--class=~", "3 - ~/x", "~no_such_user/x"):
        assert _from_home(typed) == typed


def test_a_path_in_the_home_folder(run_cli, home, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(home / "ann"))
    assert run_cli("sample", "quick/digits", "-n", "1", "--out=~/x/a.png").out == f"{home}/ann/x/a.png\n"
    shutil.copy(ROOT / "zoo/quick/digits.safetensors", home / "ann/x")
    assert gancli.load("~/x/digits.safetensors", device="cpu").name == "digits"
    assert run_cli("sample", "~/x/digits.safetensors", "-n", "1", "--out", "~/x/b.png").code == 0
    assert {path.name for path in (home / "ann/x").iterdir()} == {"a.png", "b.png", "digits.safetensors"}


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_a_standard_output_that_is_not_utf_8(encoding) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for arguments in (["zoo", "list"], ["zoo", "show", "dcgan/mnist"]):
        done = subprocess.run(
            [sys.executable, "-m", "gancli", *arguments], env=environment, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode(encoding)


def test_names_with_line_breaks_stay_on_their_line(run_cli, home) -> None:
    assert (
        run_cli("sample", "a\nb").err == "error: no model is called 'a\\u000ab'\n\nhint: `gancli zoo list` shows all\n"
    )
    for name, shown in (("a\nb.png", "a\\u000ab.png"), ("a\udcffb.png", "a\\udcffb.png")):
        assert run_cli("sample", "quick/digits", "-n", "1", "--out", name).out == f"{shown}\n"
        assert (home / name).exists()


def test_long_messages_are_wrapped_between_words_on_a_terminal() -> None:
    text = (
        "error: "
        + "several words and /a/path/that-is-longer-than-a-line/"
        + "x" * 60
        + " end\n  kept indent "
        + "word " * 20
    )

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    assert wrapped(text, StringIO()) == text
    shown = wrapped(text, Terminal())
    assert shown.split() == text.split()
    assert all(len(line) <= 80 or " " not in line for line in shown.splitlines())
    command = "`gancli train photos/ --model dcgan --set data.size=[64,64] --out runs/of-a-long-name`"
    assert wrapped(f"some words before it, then {command}", Terminal()).endswith(f"then\n{command}")
