"""Points of the plane from a CSV."""

from pathlib import Path

import pytest
import torch

from gancli.data import load
from gancli.data.points import FEWEST, read
from gancli.data.types import NoHeldOutError
from gancli.errors import UsageError
from gancli.library.recipes import default_model

ROWS = [(0.25 * number, -1.5 + number) for number in range(12)]


def table(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "lines",
    [
        [f"{x},{y}" for x, y in ROWS],
        ["x,y", *(f"{x}, {y}" for x, y in ROWS)],
        ["\ufeffseed,Y,X", *(f"{number},{y},{x}" for number, (x, y) in enumerate(ROWS))],
        [*(f"{x},{y}" for x, y in ROWS[:6]), "", *(f"{x},{y}" for x, y in ROWS[6:])],
    ],
    ids=["plain", "named", "others", "gaps"],
)
def test_both_layouts_are_read(tmp_path: Path, lines: list[str]) -> None:
    points = read(table(tmp_path / "mine.csv", lines))
    assert torch.equal(points.rows, torch.tensor(ROWS))
    assert (points.name, points.limits) == ("mine", (-1.25 * 9.5, 1.25 * 9.5))


def test_every_point_is_drawn_alike(tmp_path: Path) -> None:
    points = read(table(tmp_path / "mine.csv", [f"{x},{y}" for x, y in ROWS]))
    drawn = points.draw(6000, torch.Generator().manual_seed(0))
    counts = (drawn[:, None] == points.rows).all(2).sum(0)
    assert counts.sum() == 6000
    assert counts.min() > 400
    assert torch.equal(drawn, points.draw(6000, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1", "line 13 is '1'"),
        ("1,2,3", "line 13 is '1,2,3'"),
        ("a,b", "line 13 is 'a,b'"),
        ("nan,1", r"the point of line 13 is \(nan, 1\)"),
        ("1,5000", r"the point of line 13 is \(1, 5000\), and none may be beyond 1,000"),
    ],
)
def test_what_is_no_point_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        load(str(table(tmp_path / "mine.csv", [*(f"{x},{y}" for x, y in ROWS), line])))
    assert refused.value.hint.startswith("a line for each point, as in `0.5,-1.25`")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"has {FEWEST - 1} points"):
        read(table(tmp_path / "few.csv", ["1,2"] * (FEWEST - 1)))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00" * 50)
    with pytest.raises(UsageError, match="is no table of points"):
        read(tmp_path / "bytes.csv")
    with pytest.raises(UsageError, match="has 0 points"):
        read(table(tmp_path / "empty.csv", []))
    with pytest.raises(UsageError, match="there is no data set"):
        load(str(tmp_path / "absent.csv"))


def test_a_data_set_of_points(tmp_path: Path) -> None:
    path = str(table(tmp_path / "mine.csv", [f"{x},{y}" for x, y in ROWS]))
    dataset = load(path)
    assert dataset.images.shape[1:] == (1, 1, 2)
    assert dataset.summary() == "mine: 2 numbers a sample, drawn from 12 points"
    assert load(path, size=(1, 2), channels=1).fingerprint == dataset.fingerprint
    table(tmp_path / "mine.csv", [f"{x},{y}" for x, y in ROWS[:-1]])
    assert load(path).fingerprint != dataset.fingerprint
    assert default_model(path) == "points-gan"
    with pytest.raises(NoHeldOutError, match="have no test split"):
        load(path, split="test")
    with pytest.raises(UsageError, match="is 2 numbers a sample, not images"):
        load(path, size=(8, 8))


def test_points_are_trained_sampled_and_not_evaluated(tmp_path: Path, run_cli) -> None:
    path = table(tmp_path / "mine.csv", [f"{x},{y}" for x, y in ROWS])
    small = ["--set", "training.samples=4", "--set", "training.batch=8", "-q"]
    assert run_cli("train", path, "--rounds", 2, "--out", "run", *small).code == 0
    assert run_cli("train", "--resume", "run", "--rounds", 1, "-q").code == 0
    assert run_cli("sample", "run", "-n", 20, "--csv", "made.csv").code == 0
    assert len(read(tmp_path / "made.csv").rows) == 20
    refused = run_cli("evaluate", "run")
    assert (refused.code, refused.out) == (2, "")
    assert "there are no figures for the points of" in refused.err
    path.unlink()
    gone = run_cli("sample", "run", "--out", "plot.png")
    assert gone.code == 2
    assert "no formula is known by that name" in gone.err
