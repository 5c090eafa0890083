"""``gancli zoo``."""

import json

import pytest

from gancli.evaluation.scores import score
from gancli.zoo import catalogue


def test_list_names_every_model(run_cli) -> None:
    result = run_cli("zoo", "list")
    assert result.code == 0
    assert result.err == ""
    assert max(map(len, result.out.splitlines())) <= 80
    for entry in catalogue.entries():
        assert entry.name in result.out


def test_list_as_json(run_cli) -> None:
    rows = json.loads(run_cli("zoo", "list", "--json").out)
    assert [row["name"] for row in rows] == [entry.name for entry in catalogue.entries()]
    assert all(row["values"] > 0 and row["metric"] and row["value"] > 0 for row in rows if row["data"])


@pytest.mark.parametrize("name", [entry.name for entry in catalogue.entries()] + catalogue.models())
def test_show(run_cli, name: str) -> None:
    result = run_cli("zoo", "show", name)
    assert result.code == 0
    assert name in result.out
    assert "[optimizer." in result.out
    assert json.loads(run_cli("zoo", "show", name, "--json").out)["name"] == name


def test_list_tells_small_scores_apart(run_cli) -> None:
    listed = {line.split()[0]: line for line in run_cli("zoo", "list").out.splitlines()[1:]}
    for entry in catalogue.entries():
        if entry.path is not None:
            found = score(entry.header()["evaluation"])
            assert found is not None
            assert f"{found}  " in listed[entry.name]
            assert f"  {found.beside}  " in listed[entry.name]


def test_the_columns_say_what_is_counted(run_cli) -> None:
    assert run_cli("zoo", "list").out.splitlines()[0].split() == ["model", "score", "beside", "what", "it", "is"]


def test_help_shows_an_example(run_cli) -> None:
    assert "Example: gancli zoo list" in run_cli("zoo", "--help").out


def test_an_unknown_name_names_each_known_one_once(run_cli) -> None:
    names = {entry.name for entry in catalogue.entries()} | set(catalogue.models())
    hint = f"one of: {', '.join(sorted(names))}"
    assert run_cli("zoo", "show", "xxxxxxxx").err == f"error: no model is called 'xxxxxxxx'\n\nhint: {hint}\n"


def test_an_unknown_name(run_cli) -> None:
    result = run_cli("zoo", "show", "dcgan/minst")
    assert result.code == 2
    assert result.err == "error: no model is called 'dcgan/minst'\n\nhint: did you mean 'dcgan/mnist'?\n"


def test_only_finished_runs_are_added(run_cli, home) -> None:
    (home / "r").mkdir()
    result = run_cli("zoo", "add", "r")
    assert result.code == 2
    assert result.err == "error: r is not a finished run\n\nhint: finish it: gancli train --resume r\n"
