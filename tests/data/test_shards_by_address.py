"""Tar shards from a server: fetched, shared, gone on with, and refused where an address leads elsewhere."""

import os
import shutil
from pathlib import Path

import pytest
from shard_files import Shelf, serving, shades, shades_of, stream

from gancli.data import cache, load, paths
from gancli.data.shards import index_file, remote
from gancli.errors import GancliError, UsageError


@pytest.fixture
def shelf(monkeypatch):
    with serving(monkeypatch) as here:
        yield here


def indexed(folder: Path, counts: list[int]) -> Path:
    """Shards and their index."""
    shades(folder, counts)
    index_file.write_index(folder, None, lambda *_: None)
    return folder


def put(shelf: Shelf, folder: Path) -> str:
    for path in folder.iterdir():
        shelf.files[f"set/{path.name}"] = path.read_bytes()
    return f"{shelf.url}set/train-{{000000..000002}}.tar"


def test_shards_by_address(home, shelf):
    shades(home / "s", [3, 2, 4], labelled=True)
    index_file.write_index(home / "s", ("a", "b", "c"), lambda *_: None)
    name = put(shelf, home / "s")
    found = load(name, size=(8, 8), channels=1)
    assert shelf.asked == [("set/index.json", ""), ("set/train-000000.tar", "")]
    assert (found.name, found.count, found.classes) == ("set", 9, ("a", "b", "c"))
    assert found.fingerprint == load(str(home / "s"), size=(8, 8), channels=1).fingerprint
    assert shades_of(name, size=(8, 8), channels=1) == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]
    assert [name for name, _ in shelf.asked].count("set/train-000000.tar") == 1
    assert not list(cache.root().glob("raw-*"))


def test_addresses_need_an_index(home, shelf):
    shades(home / "s", [3, 2, 4])
    with pytest.raises(UsageError, match=r"index\.json' answers 404") as error:
        load(put(shelf, home / "s"))
    assert "`gancli data index`" in error.value.hint


def test_several_readers_share_a_cache(home, shelf):
    """As processes do, each has a lock of its own, and all want the same shards at the same time."""
    everything = shades(home / "s", [6] * 3)
    index_file.write_index(home / "s", None, lambda *_: None)
    name = put(shelf, home / "s")
    readers = [stream(name, size=(8, 8), channels=1) for _ in range(4)]
    for _ in range(3):
        shutil.rmtree(cache.root())
        futures = [reader.request(number) for number in range(3) for reader in readers]
        found = [future.result(timeout=600).images[:, 0, 0, 0].tolist() for future in futures]
        assert found == [everything[6 * number : 6 * number + 6] for number in range(3) for _ in readers]
        del futures


def test_a_pipe_is_no_shard(home):
    os.mkfifo(home / "a.tar")
    with pytest.raises(UsageError, match=r"a\.tar' is a pipe or a device"):
        load("a.tar")


def test_a_broken_connection_is_tried_again(home, shelf):
    shelf.breaks = 2
    assert shades_of(put(shelf, indexed(home / "s", [3, 2, 4]))) == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


def test_a_server_that_always_breaks_off(home, shelf):
    name = put(shelf, indexed(home / "s", [3, 2, 4]))
    shelf.breaks = 1000
    with pytest.raises(GancliError) as error:
        load(name)
    assert "the connection broke off after" in error.value.message
    assert [name for name, _ in shelf.asked] == ["set/index.json"] * 5
    assert not list(cache.root().glob("*raw-*"))


def test_what_is_not_there(home, shelf):
    name = put(shelf, indexed(home / "s", [3, 2, 4]))
    del shelf.files["set/train-000000.tar"]
    with pytest.raises(UsageError, match=r"train-000000\.tar' answers 404 Not Found"):
        load(name)


def test_nobody_answers(home, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(paths, "SCHEMES", ("http",))
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    with pytest.raises(GancliError, match=r"cannot be downloaded: .*refused"):
        load("http://127.0.0.1:9/a.tar")


def test_a_server_leads_nowhere_that_is_not_allowed(home, shelf, monkeypatch):
    for target in ("ftp://127.0.0.1/x.tar", "file:///etc/passwd"):
        shelf.moved["index.json"] = target
        with pytest.raises(GancliError, match=r"is not fetched: only https is|is not allowed"):
            load(f"{shelf.url}a.tar")
    name = put(shelf, indexed(home / "s", [2, 1, 1]))
    shelf.files["real.tar"] = shelf.files.pop("set/train-000000.tar")
    shelf.moved["set/train-000000.tar"] = f"{shelf.url}real.tar"
    assert shades_of(name) == [[0, 1], [2], [3]]


def test_shards_are_no_larger_than_the_index_says(home, shelf):
    name = put(shelf, indexed(home / "s", [3, 2, 4]))
    shelf.files["set/train-000000.tar"] += bytes(10)
    with pytest.raises(GancliError, match=r"train-000000\.tar' cannot be downloaded: it has more than"):
        load(name)


def test_shards_have_the_bytes_that_the_index_says(home, shelf):
    name = put(shelf, indexed(home / "s", [3, 2, 4]))
    data = bytearray(shelf.files["set/train-000000.tar"])
    data[600] ^= 1
    shelf.files["set/train-000000.tar"] = bytes(data)
    with pytest.raises(GancliError, match=r"train-000000\.tar' is damaged, or is not the file of its index"):
        load(name)
    assert not list(cache.root().glob("raw-*"))


def test_an_index_that_does_not_know_a_shard(home, shelf):
    shades(home / "s", [3, 2])
    index_file.write_index(home / "s", None, lambda *_: None)
    with pytest.raises(UsageError, match=r"does not list 'train-000002\.tar'"):
        load(put(shelf, home / "s"))


def test_shards_that_changed_where_they_lie_are_told_of(home, shelf):
    name = put(shelf, indexed(home / "s", [3, 2, 4]))
    old = stream(name, size=(8, 8), channels=1)
    put(shelf, indexed(home / "s", [3, 2, 5]))
    with pytest.raises(GancliError, match=r"train-000002\.tar' is damaged, or is not the file of its index"):
        old.get(2)
    assert shades_of(name, size=(8, 8), channels=1) == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9]]
    assert not list(cache.root().glob("raw-*"))
