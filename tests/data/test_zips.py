"""Zips that were made to do harm: refused in words, or read as far as they are honest."""

import tracemalloc
import zipfile
from pathlib import Path

import pytest
from conftest_data import pack, picture

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
    assert taken < 1e8  # the bombs are of 40 MB


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


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_decompress_without_a_limit_are_not_used(tmp_path: Path, method: int) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": picture(1)}, method)
    with pytest.raises(UsageError, match="compressed by another method than deflate"):
        load(str(path))


def test_no_more_is_unpacked_than_an_entry_declares(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.png": bytes(2**26)}, zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    place = raw.rfind(b"PK\1\2") + 24
    raw[place : place + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(BadImageError, match="broken entry of the zip"):
            files.Zip(path).open("a.png")
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "classes"),
    [
        ("utf-8", ("Bär", "猫")),
        ("gbk", ("狗", "猫")),
        ("gbk", ("貓", "龍")),
        ("cp932", ("ネコ", "犬")),
        ("cp437", ("Bär", "Vögel")),
        ("cp437", ("für", "été")),
        ("ascii", ("cat", "dog")),
    ],
)
def test_names_of_other_encodings(tmp_path: Path, encoding: str, classes: tuple[str, ...]) -> None:
    names = [name.encode(encoding) for name in classes]
    # The names that zipfile writes here are as long, and do not say their encoding.
    path = pack(tmp_path / "x.zip", {f"{number:0{len(name)}d}/a.png": picture(99) for number, name in enumerate(names)})
    raw = path.read_bytes()
    for number, name in enumerate(names):
        raw = raw.replace(b"%0*d/a.png" % (len(name), number), name + b"/a.png")
    path.write_bytes(raw)
    assert load(str(path)).classes == classes


def test_names_that_only_claim_to_be_utf_8(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"é/a.png": picture(1)})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xe9\xe9"))
    with pytest.raises(UsageError, match="has names that are said to be UTF-8, and are not"):
        load(str(path))
