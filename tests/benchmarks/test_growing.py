"""The section on growth measures what it says, and its page says what was measured."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import growth


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip of 70 JPEGs under the name of the one that is measured."""
    monkeypatch.setenv("GANCLI_DATA", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    random = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "shared" / growth.JPEGS, "w") as pack:
        for number in range(70):
            with pack.open(f"{number % 2}/{number}.jpg", "w") as file:
                Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "JPEG")


def test_everything_is_measured_and_told(archive):
    found = json.loads(json.dumps(growth.measure(quick=True)))
    for sweep in ("side", "batch", "count"):
        values = [point[sweep] for point in found[sweep]]
        assert values == sorted(set(values))
        assert all(min(point["train"] + point["draw"]) > 0 for point in found[sweep])
    assert found["folder"]["files"] == [70]
    page = growth.markdown(found)
    assert page.count("Exponents: ") == 3
    assert "Opening a folder of 70 JPEGs" in page


def test_a_folder_that_is_not_here_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("GANCLI_DATA", str(tmp_path))
    assert growth._about_folder(growth._folder(quick=True)) == (
        "Opening a folder of JPEGs: - (cifar10-jpg-train.zip is not under $GANCLI_DATA)."
    )


def test_a_point_in_a_process_of_its_own(tmp_path):
    point = {"side": 8, "batch": 4, "count": 50}
    with growth._in_cache(str(tmp_path)):
        growth._make(point)
    assert set(json.loads(growth._apart("cost", str(tmp_path), point, 0.01))) == {
        "train",
        "draw",
        "peak",
        "own",
        "files",
    }


@pytest.mark.parametrize("power", [0, 1, -2.5])
def test_exponents(power):
    points = [{"side": side, "train": [3 * side**power] * 3} for side in (8, 16, 64)]
    assert growth.exponent(points, "side", "train") == pytest.approx(power)


def test_what_the_system_does_not_tell_is_a_dash():
    unknown = {key: [None] for key in ("peak", "own", "files")}
    points = [{"count": count, "train": [2.0], "draw": [1.0], **unknown} for count in (1, 9)]
    assert growth.exponent(points, "count", "own") is None
    table = growth._table("count", points, "Images").splitlines()
    assert table[2] == "| 1 | 0 | 1000000.00 | 50.00% | - | - | - |"
    assert table[-1] == "Exponents: seconds per image +0.00, loading +0.00, peak -, private memory -."
