"""Zips that were made to do harm: refused in words, or read as far as they are honest."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from conftest_data import noise, pack, picture

from benchmarks import hostile
from gancli.data import Skipped, load
from gancli.data.folder import files
from gancli.data.pixels import BadImageError
from gancli.errors import UsageError

MADE = hostile.archives(picture(1))


@pytest.fixture
def bring(tmp_path: Path):
    """A zip of the benchmark's by its name."""

    def make(name: str) -> Path:
        (tmp_path / "x.zip").write_bytes(MADE[name])
        return tmp_path / "x.zip"

    return make


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a name that leaves", "has an entry that leaves the archive: '../a.png'"),
        ("a name from the root", "has an entry that leaves the archive: '/a.png'"),
        ("no directory", "is a broken zip"),
        ("nothing", "is a broken zip"),
    ],
)
def test_refused_in_words(bring, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load(str(bring(name)))


@pytest.mark.parametrize(
    ("name", "skipped"),
    [
        ("a bomb", [Skipped("zeros.png", "not an image that PIL reads")]),
        ("a bomb in a bomb", [Skipped("more.png", "not an image that PIL reads")]),
        ("an encrypted entry", [Skipped("b.png", "encrypted")]),
        ("a name that a terminal obeys", [Skipped("\\u001b[2Ja.png", "not an image that PIL reads")]),
        ("a name that turns around", [Skipped("a\\u202egnp.exe.png", "not an image that PIL reads")]),
        ("a name of two lines", []),
    ],
)
def test_one_odd_file_is_left_out_and_named(bring, name: str, skipped: list[Skipped]) -> None:
    path = bring(name)
    tracemalloc.start()
    try:
        data = load(str(path), size=(8, 8), channels=1)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data.images) == 1
    assert list(data.skipped) == skipped
    assert taken < 8e6  # the bombs are of 40 MB


def test_an_entry_twice_counts_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", picture(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", picture(2))
    assert load(str(tmp_path / "x.zip")).images[:, 0, 0, 0].tolist() == [2]


def test_the_number_of_entries_that_it_claims_does_not_matter(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {f"{n}.png": picture(n) for n in range(9)})
    raw = bytearray(path.read_bytes())
    end = raw.rfind(b"PK\5\6")
    raw[end + 8 : end + 12] = b"\1\0\1\0"  # "one entry"
    path.write_bytes(raw)
    assert len(load(str(path)).images) == 9


def test_a_large_directory_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "x.zip", {f"{n}.png": picture(n) for n in range(9)})
    monkeypatch.setattr(files, "LARGEST_DIRECTORY", 300)
    with pytest.raises(UsageError, match="is a broken zip: its directory has more than"):
        load(str(path))


def test_large_entries_are_read_as_far_as_they_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is unpacked bit by bit is the same picture."""
    whole = load(str(pack(tmp_path / "a.zip", {"a.png": noise(1, (300, 200))}, zipfile.ZIP_DEFLATED)), size=(300, 200))
    monkeypatch.setattr(files, "_AT_ONCE", 0)
    again = load(str(pack(tmp_path / "b.zip", {"a.png": noise(1, (300, 200))}, zipfile.ZIP_DEFLATED)), size=(300, 200))
    assert (whole.images == again.images).all()


def test_an_unpacked_entry_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 1024
    path = pack(tmp_path / "a.zip", {"a": data}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(files, "_AT_ONCE", 0)
    ours, theirs = files.Zip(path).open("a"), io.BytesIO(data)
    for move in ((10, 0), (-5, 1), (-7, 2), (300_000, 0), (0, 0), (70_000, 0)):
        assert ours.seek(*move) == theirs.seek(*move)
        assert (ours.read(9), ours.tell()) == (theirs.read(9), theirs.tell())
    assert ours.read() == theirs.read()
    monkeypatch.setattr(files, "LARGEST_FILE", 100_000)
    with pytest.raises(BadImageError, match="larger than 0 MiB"):
        files.Unpacked(zipfile.ZipFile(path), zipfile.ZipFile(path).getinfo("a")).read()
