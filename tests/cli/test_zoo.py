"""``gancli zoo``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gancli
from gancli.evaluation.scores import score
from gancli.zoo import catalogue


def test_list_gives_each_model_a_line_of_scores_and_a_summary(run_cli) -> None:
    result = run_cli("zoo", "list")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) <= 2 * len(catalogue.models())
    assert max(map(len, lines)) <= 80
    listed = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    assert list(listed) == catalogue.models()
    for entry in catalogue.entries():
        if entry.path is not None:
            assert f" {entry.data} {score(entry.header()['evaluation'])}" in listed[entry.model]


def test_the_reader_of_a_pipe_may_leave(home) -> None:
    command = f"{sys.executable} -m gancli zoo list --json | head -c 9"
    environment = {**os.environ, "PYTHONPATH": str(Path(gancli.__file__).parents[1])}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""


def test_list_as_json(run_cli) -> None:
    rows = json.loads(run_cli("zoo", "list", "--json").out)
    assert [row["name"] for row in rows] == [entry.name for entry in catalogue.entries()]
    assert all(row["parameters"] > 0 and row["metric"] and row["value"] > 0 for row in rows if row["data"])


@pytest.mark.parametrize("name", [entry.name for entry in catalogue.entries()] + catalogue.models())
def test_show(run_cli, name: str) -> None:
    result = run_cli("zoo", "show", name)
    assert result.code == 0
    assert name in result.out
    assert "[optimizer." in result.out
    assert json.loads(run_cli("zoo", "show", name, "--json").out)["name"] == name


def test_help_shows_an_example(run_cli) -> None:
    assert "Example: gancli zoo list" in run_cli("zoo", "--help").out


def test_a_name_like_no_other_gets_the_way_to_all(run_cli) -> None:
    wanted = "error: no model is called 'xxxxxxxx'\n\nhint: `gancli zoo list` shows all\n"
    assert run_cli("zoo", "show", "xxxxxxxx").err == wanted
    assert run_cli("train", "digits", "--model", "xxxxxxxx").err == wanted


def test_an_unknown_name(run_cli) -> None:
    result = run_cli("zoo", "show", "dcgan/minst")
    assert result.code == 2
    assert result.err == "error: no model is called 'dcgan/minst'\n\nhint: did you mean 'dcgan/mnist'?\n"


def test_only_finished_runs_are_added(run_cli, home) -> None:
    (home / "r").mkdir()
    result = run_cli("zoo", "add", "r")
    assert result.code == 2
    assert result.err == "error: r is not a finished run\n\nhint: finish it: `gancli train --resume r`\n"
