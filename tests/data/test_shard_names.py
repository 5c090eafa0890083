"""Names of shards: patterns, folders, addresses, and splits."""

import pytest
from conftest_data import write

from gancli.data.shards.names import expand, is_sharded, of_split, title
from gancli.errors import UsageError

SECRET = "the address of '/a.tar' holds a password, which every run would store in its recipe"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a-{000..002}.tar", ["a-000.tar", "a-001.tar", "a-002.tar"]),
        ("a-{8..10}.tar", ["a-8.tar", "a-9.tar", "a-10.tar"]),
        ("a-{08..10}.tar", ["a-08.tar", "a-09.tar", "a-10.tar"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
        ("a-{7..7}.tar", ["a-7.tar"]),
        ("*.tar", ["a.tar", "b.tar"]),
        ("{b,a}.tar", ["b.tar", "a.tar"]),
        ("[a-b].tar", ["a.tar", "b.tar"]),
        ("a{,}.tar", ["a.tar"]),
        ("./", ["a.tar", "b.tar"]),
    ],
)
def test_names_stand_for_shards(home, name, expected):
    folder = home / "s"
    for each in [*expected, *(["a.tar", "b.tar"] if "*" in name else [])]:
        write(folder, {each: b""})
    assert expand(f"{folder}/{name}") == [str(folder / each) for each in expected]
    assert is_sharded(f"{folder}/{name}")


def test_addresses_stand_for_shards():
    name = "https://example.org/set/train-{00..02}.tar?key=1"
    assert expand(name) == [f"https://example.org/set/train-0{n}.tar?key=1" for n in range(3)]
    assert title(name) == "set"
    assert title("https://example.org/{0..1}.tar") == "example.org"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a-{3..1}.tar", "'{3..1}' in 'a-{3..1}.tar' is no range"),
        ("a-{x}.tar", "'{x}' in 'a-{x}.tar' is no range"),
        ("a-{0..999999999999}.tar", "'a-{0..999999999999}.tar' names more than 100,000 shards"),
        ("{0..999}{0..999}.tar", "'{0..999}{0..999}.tar' names more than 100,000 shards"),
        ("missing-{0..1}.tar", "there is no shard 'missing-0.tar'"),
        ("none-*.tar", "there is no shard 'none-*.tar'"),
        ("http://example.org/a.tar", "'http://example.org/a.tar' is not fetched: only https is"),
        ("file:///etc/a.tar", "'file:///etc/a.tar' is not fetched: only https is"),
        ("https://me:secret@example.org/a.tar", SECRET),
        ("https:///a.tar", "'https:///a.tar' is not an address"),
        ("https://example.org/a b.tar", "'https://example.org/a b.tar' is not an address"),
        ("https://[x/a.tar", "'https://[x/a.tar' is not an address: Invalid IPv6 URL"),
        ("https://example.org/a.zip", "'https://example.org/a.zip' is no shard"),
        ("https://example.org/a.tar.gz", "'https://example.org/a.tar.gz' is no shard"),
        ("{https://example.org/a,b}.tar", "there is no shard 'https://example.org/a.tar'"),
    ],
)  # fmt: skip
def test_names_that_stand_for_nothing(home, name, message):
    with pytest.raises(UsageError) as error:
        expand(name)
    assert error.value.message == message
    assert error.value.hint


def test_a_file_may_be_called_like_a_pattern(home):
    (home / "a{0..1}.tar").touch()
    assert expand("a{0..1}.tar") == ["a{0..1}.tar"]


def test_what_is_sharded(home):
    write(home / "plain", {"a.tar": b"", "b.png": b""})
    write(home / "tars", {"a.tar": b"", "index.json": b"", ".hidden": b""})
    write(home / "empty", {})
    names = ["plain", "tars", "empty", "x.zip", "x.tar", "x.tgz", "digits", "", "https://x/y"]
    assert [is_sharded(name) for name in names] == [False, True, False, False, True, False, False, False, True]
    assert [title(name) for name in ("tars", "tars/a.tar", "tars/*.tar", "tars/{a,b}.tar")] == [
        "tars",
        "a",
        "tars",
        "tars",
    ]


def test_splits_go_by_the_beginning_of_names():
    both = ["s/train-0.tar", "s/val-0.tar", "s/test-0.tar", "s/train-1.tar"]
    assert of_split(both, "train", "s") == ["s/train-0.tar", "s/train-1.tar"]
    assert of_split(both, "test", "s") == ["s/test-0.tar"]
    assert of_split(both[:2], "test", "s") == ["s/val-0.tar"]
    mixed = [*both, "s/other.tar"]
    assert of_split(mixed, "train", "s") == mixed
    with pytest.raises(UsageError, match="'s' has no held-out split"):
        of_split(mixed, "test", "s")
