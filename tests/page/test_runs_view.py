"""Watching runs: metrics that are being written, curves, findings, sample grids, and the page beside a training."""

import json
import subprocess
import sys
from dataclasses import replace
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from PIL import Image
from starlette.testclient import TestClient

from gancli.errors import GancliError, UsageError
from gancli.page import runs, server
from gancli.page.access import Access
from gancli.runs import listing
from gancli.runs.following import MOST_POINTS, Curves, Followed
from gancli.runs.metrics_log import MetricsTail, append, read_metrics, rewrite

HERE = "http://127.0.0.1:8642"


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"round": number, "images": 64 * number, "seconds": number / 10, "images_per_second": 640.0, **values}


def losses(number: int) -> dict[str, Any]:
    return row(number, **{"loss/discriminator": 1 + 1 / number, "loss/generator": 0.5})


def collapsed(number: int) -> dict[str, Any]:
    found = {"diversity": 0.9 if number <= 100 else 0.05, "nearest": 0.5, "probability/real": 0.6}
    return row(number, health={}, **found, **{"probability/fake": 0.4, "loss/discriminator": 1.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with metrics and two sample grids, as far as files are read here."""
    made = tmp_path / "mine"
    (made / "samples").mkdir(parents=True)
    for number in (1, 20):
        append(made / "metrics.jsonl", losses(number))
        Image.new("RGB", (8, 8), (number, 0, 0)).save(made / f"samples/{number:08d}.png")
    return made


def client(*folders: Path) -> TestClient:
    """A client that has opened the page."""
    access = Access("127.0.0.1", 8642)
    found = TestClient(server.create([runs.view(folders)], access), base_url=HERE, headers={"origin": HERE})
    found.get("/", params={"token": access.token})
    return found


# Metrics that are being written.


def test_rows_are_read_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsTail(path)
    assert metrics.read() == []
    append(path, losses(1))
    line = json.dumps(losses(2))
    with path.open("a") as file:
        file.write(line[:20])
    assert [each["round"] for each in metrics.read()] == [1]
    with path.open("a") as file:
        file.write(line[20:] + "\nnonsense\n[1]\n" + json.dumps(losses(3)) + "\n")
    assert [each["round"] for each in metrics.read()] == [2, 3]
    assert (metrics.read(), metrics.generation) == ([], 0)
    assert [each["round"] for each in read_metrics(path)] == [1, 2, 3]


def test_a_line_that_is_none_of_a_training_s_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MetricsTail, "CHUNK", 200)
    path = tmp_path / "metrics.jsonl"
    path.write_text("x" * 1000 + "\n")
    for number in range(1, 9):
        append(path, losses(number))
    metrics = MetricsTail(path)
    assert [each["round"] for each in metrics.read()] == list(range(1, 9))
    assert metrics.read() == []


@pytest.mark.parametrize("how", ["rewritten", "shorter", "removed"])
def test_another_file_is_read_from_its_beginning(tmp_path: Path, how: str) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsTail(path)
    for number in (1, 2, 3):
        append(path, losses(number))
    metrics.read()
    if how == "rewritten":  # as a run that is resumed does
        rewrite(path, [losses(1), losses(2), losses(4), losses(5)])
    elif how == "shorter":
        path.write_text(json.dumps(losses(4)) + "\n")
    else:
        path.unlink()
        assert metrics.read() == []
        append(path, losses(7))
    expected = {"rewritten": [1, 2, 4, 5], "shorter": [4], "removed": [7]}[how]
    assert [each["round"] for each in metrics.read()] == expected
    assert metrics.generation == 1


def test_curves_are_thinned_to_means() -> None:
    curves, count = Curves(), 5 * MOST_POINTS
    for number in range(1, count + 1):
        curves.add(losses(number) | ({"diversity": float(number)} if number % 100 == 0 else {}))
    columns = curves.columns()
    assert MOST_POINTS < len(columns["round"]) <= 2 * MOST_POINTS
    first = next(at for at, value in enumerate(columns["round"]) if value)
    assert columns["round"][first] == 2.5  # of rounds 1 to 4
    assert sum(value is not None for value in columns["diversity"]) == count // 100
    assert len({len(column) for column in columns.values()}) == 1


def test_values_that_are_no_numbers_are_gaps() -> None:
    curves = Curves()
    curves.add({"round": 1, "loss/generator": float("nan"), "health": {"a": "b"}, "stopped": "x", "flag": True})
    assert curves.columns() == {"round": [1.0]}


# What a run looks like.


def test_findings_are_the_doctor_s(folder: Path) -> None:
    rewrite(folder / "metrics.jsonl", [collapsed(50 * number) for number in range(1, 12)])
    followed = Followed(folder)
    followed.update()
    (finding,) = followed.status()["findings"]
    assert (finding["name"], finding["active"]) == ("mode-collapse", True)
    assert finding["meaning"].startswith("Whatever the latent")
    assert finding["advice"]


def test_speed_and_time_that_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = listing.read
    facts = {"state": "running", "broken": "", "rounds": 11, "budget": 121}
    monkeypatch.setattr(listing, "read", lambda path: replace(read(path), **facts))
    rewrite(folder / "metrics.jsonl", [losses(1), losses(11), losses(21)])  # ten rounds a second
    followed = Followed(folder)
    followed.update()
    status = followed.status()
    assert (status["round"], status["images_per_second"], status["eta"]) == (21, 640.0, pytest.approx(10.0))
    monkeypatch.setitem(facts, "state", "finished")
    assert followed.status()["eta"] is None


def test_evaluations_come_in_words(folder: Path) -> None:
    results = {"fid": {"value": 1.23456}, "recall": {"value": float("nan")}}
    found = {"results": results, "fingerprint": "a", "by": "fid", "best": True, "seconds": 1.0}
    append(folder / "metrics.jsonl", row(30, evaluation=found))
    append(folder / "metrics.jsonl", row(40, evaluation={"failed": "no memory", "seconds": 1.0}))
    followed = Followed(folder)
    followed.update()
    first, second = followed.status()["evaluations"]
    assert (first["round"], first["best"], first["by"]) == (30, True, "FID")
    assert first["figures"] == [{"name": "FID", "value": 1.23456, "text": "1.2346"}]
    assert (second["failed"], second["figures"]) == ("no memory", [])


# The API.


def test_several_runs_in_one_page(folder: Path, tmp_path: Path) -> None:
    page = client(folder, tmp_path / "later")
    first, second = page.get("/api/runs/state").json()
    assert [first["label"], second["label"]] == ["mine", "later"]
    assert (second["state"], second["samples"]) == ("waiting", [])
    assert first["samples"] == [1, 20]
    columns = page.get("/api/runs/0/curves").json()
    assert (columns["version"], columns["columns"]["loss/generator"]) == (first["version"], [0.5, 0.5])
    append(folder / "metrics.jsonl", losses(21))
    assert page.get("/api/runs/state").json()[0]["version"] != first["version"]
    grid = page.get("/api/runs/0/samples/20.png")
    assert (grid.headers["content-type"], grid.content) == ("image/png", (folder / "samples/00000020.png").read_bytes())


@pytest.mark.parametrize(
    "path",
    [
        "0/samples/2.png", "0/samples/-1.png", "0/samples/..%2f..%2fsecret.png", "0/samples/secret.png",
        "0/samples/000000020.png", "1/curves", "8/curves", "-1/curves", "x/curves",
    ],
)  # fmt: skip
def test_no_other_file_is_read(folder: Path, path: str) -> None:
    (folder.parent / "secret.png").write_bytes(b"secret")
    (folder / "samples/00000002.png").symlink_to(folder.parent / "secret.png")
    answer = client(folder).get(f"/api/runs/{path}")
    assert answer.status_code in (400, 404, 422) or (path.endswith("000000020.png") and answer.status_code == 200)
    assert b"secret" not in answer.content.replace(b"secret.png", b"")


def test_too_many_and_the_same_run_twice(folder: Path) -> None:
    with pytest.raises(UsageError, match="9 runs cannot be shown together"):
        runs.view([folder.parent / str(number) for number in range(9)])
    with pytest.raises(UsageError, match="named twice"):
        runs.view([folder, folder])


def test_a_file_that_no_training_writes_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancli.runs.metrics_log.LARGEST", 10)
    answer = client(folder).get("/api/runs/state")
    assert answer.status_code == 400
    assert "is larger than any training's" in answer.json()["error"]
    with pytest.raises(GancliError):
        Followed(folder).update()


# Beside a training.

LIGHT = """
import sys
from pathlib import Path
from gancli.page import runs, server
from gancli.page.access import Access
server.create([runs.view([Path("absent")])], Access("127.0.0.1", 1))
print(sorted({"torch", "torchvision", "matplotlib"} & set(sys.modules)))
"""


def test_the_view_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"


def test_the_page_beside_a_training_ends_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gancli.cli import _page

    monkeypatch.setenv("BROWSER", "true")  # a browser that opens nothing
    said: list[str] = []
    monkeypatch.setattr(_page, "say", said.append)
    page = _page.Page()
    page.show(folder)
    assert said[0].startswith("the page of this training, which ends with it: http://127.0.0.1:")
    address = said[0].rpartition(" ")[2]
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    assert browser.open(address, timeout=20).status == 200
    (state,) = json.load(browser.open(f"{address.partition('?')[0]}api/runs/state", timeout=20))
    assert state["round"] == 20
    page.close()
    with pytest.raises(OSError, match="refused"):
        browser.open(address, timeout=20)


def test_page_without_a_training_or_its_extra_is_refused_first(run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run_cli("train", "digits", "--page", "--dry-run")
    assert (refused.code, refused.err.splitlines()[0]) == (
        2,
        "error: --page shows a training, and --dry-run makes none",
    )
    monkeypatch.setattr("gancli.page.find_spec", lambda _name: None)
    refused = run_cli("train", "absent", "--page")
    assert refused.code == 2
    assert refused.err.startswith("error: the page needs the package fastapi\n\nhint: pip install 'gancli[page]'")
