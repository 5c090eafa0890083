"""Messages show commands, options and recipe values as the user would type them."""

import sys

import pytest

from gancli.cli import _app
from gancli.cli.terminal import commands


@pytest.fixture
def started(monkeypatch):
    """A function that sets how gancli was started."""

    def start(argv0="gancli", **variables):
        monkeypatch.setattr(sys, "argv", [argv0])
        for name in ("UV_RUN_RECURSION_DEPTH", "VIRTUAL_ENV_PROMPT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        commands.program.cache_clear()

    yield start
    commands.program.cache_clear()


@pytest.mark.parametrize(
    ("argv0", "variables", "program"),
    [
        ("/x/bin/gancli", {}, "gancli"),
        ("/x/bin/gancli", {"UV_RUN_RECURSION_DEPTH": "1"}, "uv run gancli"),
        ("/x/bin/gancli", {"UV_RUN_RECURSION_DEPTH": "1", "VIRTUAL_ENV_PROMPT": "gancli"}, "gancli"),
        ("/x/gancli/__main__.py", {}, "python -m gancli"),
    ],
)
def test_commands_start_as_this_process_did(started, argv0, variables, program):
    started(argv0, **variables)
    assert commands.as_typed("train one: `gancli train digits`") == f"train one: `{program} train digits`"


def test_parameters_are_the_options_of_the_command_in_use(started):
    started()
    options = _app._options_of(["train", "digits"])
    assert commands.as_typed("leave out `save_every`", options) == "leave out --save-every"
    assert commands.as_typed("as in `rounds=3`", options) == "as in --rounds 3"
    assert commands.as_typed("no `truncation` here", options) == "no `truncation` here"
    assert commands.as_typed("`seed_start`", _app._options_of(["evaluate", "x"])) == "--seed-start"
    assert commands.as_typed("`discriminator`", _app._options_of(["zoo", "add", "x"])) == "--discriminator"
    assert commands.as_typed("add `allow_plugin=x`", options) == "add --allow-plugin x"


def test_recipe_values_are_assignments(started):
    started()
    assert commands.as_typed("as in `data.size=[64,64]`, or less") == "as in --set data.size=[64,64], or less"
    assert commands.as_typed("see `model.safetensors`") == "see `model.safetensors`"


def test_an_error_shows_what_to_type(started, capsys):
    started("/x/bin/gancli", UV_RUN_RECURSION_DEPTH="1")
    with pytest.raises(SystemExit):
        _app.main(["sample", "no/such/model"])
    assert "`uv run gancli zoo list`" in capsys.readouterr().err
