"""Tar shards from a server: fetched, shared, gone on with, and refused where an address leads elsewhere."""

import os
import shutil
from pathlib import Path

import pytest
from shard_files import Shelf, serving, shades, shades_of, stream

from gancli.data import load, paths
from gancli.data.shards import index_file, remote
from gancli.data.shards.index_file import POOL
from gancli.errors import GancliError, UsageError


@pytest.fixture
def shelf(monkeypatch):
    with serving(monkeypatch) as here:
        yield here


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
    assert not list(POOL.root.glob("raw-*"))


def test_without_an_index_every_shard_is_fetched_once(home, shelf):
    shades(home / "s", [3, 2, 4])
    name = put(shelf, home / "s")
    for _ in range(2):
        assert shades_of(name, size=(8, 8), channels=1) == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]
    tars_asked = [name for name, _ in shelf.asked if name.endswith(".tar")]
    assert sorted(tars_asked) == [f"set/train-00000{n}.tar" for n in range(3)]


def test_several_readers_share_a_cache(home, shelf):
    """As processes do, each has a lock of its own, and all want the same shards at the same time."""
    everything = shades(home / "s", [6] * 3)
    index_file.write_index(home / "s", None, lambda *_: None)
    name = put(shelf, home / "s")
    readers = [stream(name, size=(8, 8), channels=1) for _ in range(4)]
    for _ in range(3):
        shutil.rmtree(POOL.root)
        futures = [reader.request(number) for number in range(3) for reader in readers]
        found = [future.result(timeout=600).images[:, 0, 0, 0].tolist() for future in futures]
        assert found == [everything[6 * number : 6 * number + 6] for number in range(3) for _ in readers]
        del futures


def test_a_pipe_is_no_shard(home):
    os.mkfifo(home / "a.tar")
    with pytest.raises(UsageError, match=r"a\.tar' is no file"):
        load("a.tar")


def test_a_broken_connection_goes_on(home, shelf):
    shades(home / "s", [3, 2, 4])
    shelf.breaks = 2
    name = put(shelf, home / "s")
    assert shades_of(name)[0] == [0, 1, 2]
    size = len(shelf.files["set/train-000000.tar"])
    parts = [part for asked, part in shelf.asked if asked == "set/train-000000.tar"]
    assert parts == ["", f"bytes={size // 2}-", f"bytes={size // 2 + size // 4}-"]


def test_a_server_without_parts_is_asked_anew(home, shelf):
    shades(home / "s", [3, 2, 4])
    shelf.breaks, shelf.ranges = 2, False
    assert shades_of(put(shelf, home / "s")) == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


def test_a_server_that_always_breaks_off(home, shelf):
    shades(home / "s", [3, 2, 4])
    shelf.breaks, shelf.ranges = 1000, False
    with pytest.raises(GancliError) as error:
        load(put(shelf, home / "s"))
    assert "the connection broke off after" in error.value.message
    assert error.value.message.endswith(", tried 5 times")
    assert not list(POOL.root.glob("raw-*"))
    assert not list(POOL.root.glob(".raw-*"))


def test_what_is_not_there(home, shelf):
    shades(home / "s", [3])
    with pytest.raises(UsageError, match=r"train-000001\.tar' answers 404 Not Found"):
        load(put(shelf, home / "s"))


def test_nobody_answers(home, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(paths, "SCHEMES", ("http",))
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    with pytest.raises(GancliError, match=r"cannot be downloaded: .*refused, tried 5 times"):
        load("http://127.0.0.1:9/a.tar")


def test_a_server_leads_nowhere_that_is_not_allowed(home, shelf, monkeypatch):
    for target in ("ftp://127.0.0.1/x.tar", "file:///etc/passwd"):
        shelf.moved["a.tar"] = target
        with pytest.raises(GancliError, match=r"is not fetched: only https is|is not allowed"):
            load(f"{shelf.url}a.tar")
    shades(home / "s", [2])
    shelf.files["real.tar"] = (home / "s" / "train-000000.tar").read_bytes()
    shelf.moved["a.tar"] = f"{shelf.url}real.tar"
    assert shades_of(f"{shelf.url}a.tar") == [[0, 1]]


def test_shards_are_no_larger_than_the_index_says(home, shelf):
    shades(home / "s", [3, 2, 4])
    index_file.write_index(home / "s", None, lambda *_: None)
    name = put(shelf, home / "s")
    shelf.files["set/train-000000.tar"] += bytes(10)
    with pytest.raises(GancliError, match=r"train-000000\.tar' cannot be downloaded: it has more than"):
        load(name)


def test_shards_have_the_bytes_that_the_index_says(home, shelf):
    shades(home / "s", [3, 2, 4])
    index_file.write_index(home / "s", None, lambda *_: None)
    name = put(shelf, home / "s")
    data = bytearray(shelf.files["set/train-000000.tar"])
    data[600] ^= 1
    shelf.files["set/train-000000.tar"] = bytes(data)
    with pytest.raises(GancliError, match=r"train-000000\.tar' is damaged, or is not the file of its index"):
        load(name)
    assert not list(POOL.root.glob("raw-*"))


def test_an_index_that_does_not_know_a_shard(home, shelf):
    shades(home / "s", [3, 2])
    index_file.write_index(home / "s", None, lambda *_: None)
    with pytest.raises(UsageError, match=r"does not list 'train-000002\.tar'"):
        load(put(shelf, home / "s"))


def test_a_lost_network_takes_the_index_of_last_time(home, shelf, caplog):
    shades(home / "s", [3, 2, 4])
    index_file.write_index(home / "s", None, lambda *_: None)
    name = put(shelf, home / "s")
    first = shades_of(name, size=(8, 8), channels=1)
    shelf.breaks, shelf.ranges = 1000, False
    assert shades_of(name, size=(8, 8), channels=1) == first
    assert "the index that was downloaded before is used" in caplog.text


def test_shards_that_changed_where_they_lie_are_looked_into_anew(home, shelf):
    shades(home / "s", [3, 2, 4])
    name = put(shelf, home / "s")
    old = stream(name, size=(8, 8), channels=1)
    shades(home / "s", [3, 2, 5])
    put(shelf, home / "s")
    for path in POOL.root.glob("raw-*"):
        path.unlink()  # as when they had no room any more
    with pytest.raises(GancliError, match=r"the shard 'train-000002\.tar' has changed"):
        old.get(2)
    assert shades_of(name, size=(8, 8), channels=1) == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9]]


def test_what_the_cache_has_of_a_shard_is_held_against_its_index(home, shelf):
    """A tar that changed may have as many bytes as before."""
    shades(home / "s", [3, 2, 4])
    name = put(shelf, home / "s")
    load(name, size=(8, 8), channels=1)
    assert len(list(POOL.root.glob("raw-*"))) == 2
    shades(home / "s", [3, 2, 5])
    index_file.write_index(home / "s", None, lambda *_: None)
    put(shelf, home / "s")
    assert shades_of(name, size=(8, 8), channels=1) == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9]]
