"""Tar shards: how they are read, indexed and cached; and what hostile ones cannot do."""

import gzip
import io
import itertools
import os
import struct
import tarfile
import zlib

import pytest
from conftest_data import picture
from shard_files import grey, member, shades, shades_of, stream, tar

from gancli.data import cache, load
from gancli.data.shards import index_file
from gancli.data.shards import tar as tars
from gancli.data.shards.stream import Stream
from gancli.data.shards.tar import Tar
from gancli.errors import GancliError, UsageError

# Members


def test_members_are_grouped_by_key(home):
    path = tar(
        home / "a.tar",
        ("x/1.png", grey(1)),
        ("x/1.cls", b"2\n"),
        ("x/2.seg.png", grey(9)),
        ("x/2.JPG", picture(2, kind="JPEG")),
        ("x/2.json", b'{"label": 0, "caption": "two"}'),
        ("y/1.json", b'{"label": 1}'),
        ("y/1.webp", picture(3, kind="WEBP")),
        ("y/1.txt", b"a caption"),
        ("y/1.png", grey(4)),
        ("README", b""),
        (".3.png", grey(5)),
    )
    found = Tar(path)
    assert found.names == ["x/1.png", "x/2.JPG", "y/1.webp"]
    assert found.labels == [2, 0, 1]
    assert found.others == {"seg.png": 1, "txt": 1, "": 1, "3.png": 1}
    assert [(one.name, one.reason) for one in found.skipped] == [("y/1.png", "a second image of its key")]
    assert found.open("x/1.png").read() == grey(1)


def test_a_shard_that_was_removed_is_read_to_its_end(home):
    path = tar(home / "a.tar", ("a.png", grey(1)), ("b.png", grey(2)))
    found = Tar(path)
    tar(home / "b.tar", ("b.png", b"other")).replace(path)
    path.unlink()
    assert [found.open(name).read() for name in found.names] == [grey(1), grey(2)]


@pytest.mark.parametrize(
    ("suffix", "data", "label"),
    [
        ("cls", b"7", 7),
        ("cls", b" 7\n", 7),
        ("cls", b"-1", None),
        ("cls", b"1.0", None),
        ("cls", b"cat", None),
        ("cls", b"65536", None),
        ("cls", b"9" * 5000, None),
        ("cls", b"", None),
        ("cls", "٣".encode(), None),
        ("json", b'{"label": 7}', 7),
        ("json", b'{"label": true}', None),
        ("json", b'{"label": "7"}', None),
        ("json", b'{"label": -7}', None),
        ("json", b'{"caption": "x"}', None),
        ("json", b"[7]", None),
        ("json", b"[" * 60_000, None),
        ("json", b'{"label": ' + b"9" * 5000 + b"}", None),
        ("json", b'{"label": 7}' + b" " * 2**16, None),
        ("json", b"\xff", None),
    ],
)
def test_labels(home, suffix, data, label):
    assert Tar(tar(home / "a.tar", (f"a.{suffix}", data), ("a.png", grey(1)))).labels == [label]


def test_a_set_has_classes_where_every_image_has_one(home):
    tar(home / "a" / "0.tar", ("a.png", grey(1)), ("a.cls", b"3"))
    tar(home / "a" / "1.tar", ("b.png", grey(2)), ("b.json", b'{"label": 1}'))
    found = load("a")
    assert found.classes == ("0", "1", "2", "3")
    assert found.labels is not None
    assert found.labels.tolist() == [3]
    assert (found.name, found.count, found.split) == ("a", 2, "train")
    tar(home / "a" / "2.tar", ("c.png", grey(2)))
    found = load("a")
    assert (found.classes, found.labels, found.count) == ((), None, 3)
    assert [one.reason for one in found.skipped] == ["1 images have no class: the set is loaded without classes"]


def test_size_and_channels_are_those_of_the_first_shard(home):
    tar(home / "a" / "0.tar", ("a.png", picture(1, (6, 8))), ("b.png", picture(2, (6, 8))), ("c.png", grey(3)))
    tar(home / "a" / "1.tar", ("d.png", picture((0, 200, 0), (12, 16))))
    assert load("a").images.shape == (3, 1, 6, 8)
    found = stream("a", size=(4, 4), channels=3)
    assert found.get(1).images.unique(dim=0).tolist() == [[[[0] * 4] * 4, [[200] * 4] * 4, [[0] * 4] * 4]]


def test_other_suffixes_are_told_once(home):
    for number in range(2):
        tar(home / "a" / f"{number}.tar", ("a.png", grey(1)), ("a.txt", b"x"), ("b.npy", b"x"))
    assert [(one.name, one.reason) for one in load("a").skipped] == [
        ("*.txt", "no image and no class, 2 of them"),
        ("*.npy", "no image and no class, 2 of them"),
    ]


# Hostile


def raw_header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """A header with any bytes as the size."""
    block = bytearray(512)
    block[: len(name)] = name.encode()
    block[100:108], block[124:136], block[136:148] = b"0000644\0", size, b"00000000000\0"
    block[156:157], block[257:265] = kind, b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def binary(size: int) -> bytes:
    """A size in base 256."""
    return bytes([0x80 if size >= 0 else 0xFF]) + (size % 2**88).to_bytes(11, "big")


def file_of(data: bytes, name: str = "ok.png") -> bytes:
    return raw_header(name, b"%011o\0" % len(data)) + data + bytes(-len(data) % 512)


GOOD = file_of(grey(7))
END = bytes(1024)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (member("../up.png", grey(1)), "a name that leaves the archive"),
        (member("a/../../up.png", grey(1)), "a name that leaves the archive"),
        (member("a\\..\\up.png", grey(1)), "a name that leaves the archive"),
        (member("/root.png", grey(1)), "a name that leaves the archive"),
        (member("C:/x.png", grey(1)), "a name that leaves the archive"),
        (member("l.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link, a device or a file with holes"),
        (member("l.png", type=tarfile.LNKTYPE, linkname="ok.png"), "a link, a device or a file with holes"),
        (member("d.png", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "a link, a device or a file with holes"),
        (member("d.png", type=tarfile.BLKTYPE), "a link, a device or a file with holes"),
        (member("f.png", type=tarfile.FIFOTYPE), "a link, a device or a file with holes"),
        (member("c.cls", b"cat"), "no class number"),
    ],
    ids=lambda value: value[0].name if isinstance(value, tuple) else "",
)
def test_members_that_are_no_files_are_passed_over(home, bad, reason):
    path = tar(home / "a.tar", ("ok.png", grey(7)), bad, ("more.png", grey(8)))
    found = Tar(path)
    assert found.names == ["ok.png", "more.png"]
    assert [(one.name, one.reason) for one in found.skipped] == [(bad[0].name, reason)]
    assert shades_of(str(path)) == [[7, 8]]
    assert sorted(each.name for each in home.iterdir()) == ["a.tar", "cache"]


SPARSE = {"major": "1", "minor": "0", "name": "h.png", "realsize": str(2**60)}
SPARSE = {f"GNU.sparse.{key}": value for key, value in SPARSE.items()}


def test_files_with_holes_are_passed_over(home):
    pax = tar(
        home / "pax.tar",
        member("hole.png", b"0\n", pax_headers=SPARSE),
        ("ok.png", grey(7)),
    )  # fmt: skip
    old = home / "old.tar"
    old.write_bytes(raw_header("hole.png", b"%011o\0" % 0, b"S") + GOOD + END)
    for path, reasons in (
        (pax, ["a link, a device or a file with holes"]),
        (old, ["a link, a device or a file with holes"]),
    ):
        found = Tar(path)
        assert [one.reason for one in found.skipped] == reasons, path
        assert found.names == ["ok.png"]


@pytest.mark.parametrize(
    "tail",
    [
        raw_header("huge.png", binary(2**60)),
        raw_header("huge.png", binary(2**87 - 1)),
        raw_header("back.png", binary(-512)),
        raw_header("back.png", binary(-(2**60))),
        raw_header("x", binary(-1024), b"x"),
        raw_header("huge.dev", binary(2**70), b"Z"),
        raw_header("pax", binary(2**40), b"x"),
        raw_header("long", binary(2**40), b"L"),
        raw_header("long", b"%011o\0" % 2**21, b"L") + bytes(2**21) + GOOD,
        raw_header("pax", b"%011o\0" % 2**21, b"x") + b"9" * 2**21 + GOOD,
        (raw_header("pax", b"%011o\0" % 512, b"x") + b"13 path=abcd\n".ljust(512, b"\0")) * 1500 + GOOD,
        raw_header("sp.png", b"%011o\0" % 0, b"S")[:482] + b"\x01" + bytes(29),
        b"\xff" * 512,
        raw_header("bad", b"zzzzzzzzzzz\0"),
        raw_header("cut.png", b"%011o\0" % 900) + grey(1),
        GOOD[:700],
        GOOD[:100],
    ],
    ids=range(17),
)
def test_of_a_damaged_tar_what_is_whole_is_used(home, tail):
    path = home / "a.tar"
    path.write_bytes(GOOD + tail)
    found = Tar(path)
    assert found.names == ["ok.png"]
    assert len(found.skipped) <= 2
    assert found.skipped[-1].reason.startswith("damaged after 1 images (")
    assert shades_of(str(path)) == [[7]]


def test_a_cut_tar_is_told_of(home):
    path = home / "a.tar"
    path.write_bytes(GOOD + file_of(grey(7), "no.png")[:540])
    notes = load(str(path)).skipped
    assert [(one.name, one.reason) for one in notes] == [
        ("a.tar", "damaged after 1 images (it ends within a member): the rest is left out")
    ]


def test_a_header_is_not_read_whatever_its_size(home, monkeypatch):
    """What a header claims is refused before it is read."""
    path = home / "a.tar"
    with path.open("wb") as file:
        file.write(raw_header("long", b"%011o\0" % 2**32, b"L"))
        file.truncate(2**32 + 2048)
    asked = []
    real = tars._Guarded.read
    monkeypatch.setattr(tars._Guarded, "read", lambda self, size=-1: asked.append(size) or real(self, size))
    assert "a header of more than 1 MiB" in Tar(path).skipped[0].reason
    assert asked == [512, 2**32]


def test_members_beyond_the_bounds(home, monkeypatch):
    monkeypatch.setattr(tars, "LARGEST_FILE", 100)
    monkeypatch.setattr(tars, "MOST_MEMBERS", 3)
    monkeypatch.setattr(tars, "MOST_NOTES", 2)
    found = Tar(tar(home / "a.tar", ("big.png", bytes(101)), *((f"{n}.png", b"x") for n in range(5))))
    assert found.names == ["0.png", "1.png"]
    assert [one.reason for one in found.skipped] == [
        "larger than 0 MiB", "damaged after 2 images (more than 3 members): the rest is left out"
    ]  # fmt: skip
    monkeypatch.setattr(tars, "MOST_MEMBERS", 100)
    found = Tar(tar(home / "b.tar", *((f"{n}.s{n}", b"") for n in range(9)), *((f"../{n}", b"") for n in range(9))))
    assert found.others == {f"s{n}": 1 for n in range(9)}
    assert len(found.skipped) == 2


def test_names_cannot_steer_a_terminal(home):
    found = Tar(tar(home / "a.tar", ("../\x1b[31mred\n.png", b"x"), ("a.\x1b[2J", b""), ("b.png", grey(1))))
    assert found.skipped[0].name == r"../\u001b[31mred\u000a.png"
    assert list(found.others) == [r"\u001b[2j"]


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: b"\x28\xb5\x2f\xfd" + data])
def test_compressed_tars_are_refused(home, pack):
    (home / "a.tar").write_bytes(pack(GOOD + END))
    with pytest.raises(UsageError) as error:
        load("a.tar")
    assert error.value.message.endswith("a.tar' is compressed")
    assert "gunzip" in error.value.hint


def test_names_that_are_not_utf_8(home):
    with tarfile.open(home / "a.tar", "w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as archive:
        for folder, shade in (("B\xe4r", 40), ("Hund", 50)):
            for number in range(2):
                info, data = member(f"{folder}/{number}.png", grey(shade))
                archive.addfile(info, io.BytesIO(data))
    found = load("a.tar")
    assert (found.classes, found.labels.tolist()) == (("B\\udce4r", "Hund"), [0, 0, 1, 1])


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 40,000 x 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_odd_images_are_stood_in_for(home, caplog):
    members = [
        ("a.png", grey(99)),
        ("b.png", b"broken"),
        ("c.png", grey(3)),
        ("d.png", bomb()),
        ("e.png", grey(5)[:45]),
    ]
    path = tar(home / "a.tar", *members)
    read = stream(str(path))
    found = read.get(0)
    assert (read.counts, len(read)) == ((5,), 5)
    assert found.images[:, 0, 0, 0].tolist() == [99, 3]
    assert [one.name for one in found.skipped] == ["a.tar: b.png", "a.tar: d.png", "a.tar: e.png"]
    assert "more than 89 megapixels" in found.skipped[1].reason
    assert caplog.messages == [
        "a.tar: 3 of 5 images cannot be used (b.png: not an image that PIL reads); others of the shard replace them"
    ]


def test_shards_without_images(home):
    tar(home / "s" / "0.tar", ("a.txt", b"x"))
    (home / "s" / "1.tar").touch()
    with pytest.raises(UsageError, match="no image in any shard of 's'"):
        load("s")
    tar(home / "s" / "2.tar", ("a.png", grey(5)))
    assert shades_of("s") == [[5]]
    path = tar(home / "bad.tar", ("a.png", b"x"), ("b.png", b"y"))
    with pytest.raises(GancliError, match=r"bad\.tar: 2 of 2 images cannot be used"):
        load(str(path), size=(8, 8), channels=1)


# The index


def test_a_second_look_decodes_nothing(home, monkeypatch):
    shades(home / "s", [3, 2], labelled=True)
    first = load("s", size=(8, 8), channels=1)
    monkeypatch.setattr("gancli.data.shards.stream.Tar", None)
    second = load("s", size=(8, 8), channels=1)
    assert (second.fingerprint, second.classes, second.count) == (first.fingerprint, ("0", "1", "2"), 5)


def test_a_change_is_seen(home):
    shades(home / "s", [3, 2])
    first, kept = load("s"), stream("s")
    tar(home / "s" / "train-000001.tar", ("a.png", grey(9)), ("b.png", grey(8)))
    second = load("s")
    assert second.fingerprint != first.fingerprint
    assert shades_of("s") == [[0, 1, 2], [9, 8]]
    with pytest.raises(GancliError, match=r"the shard 'train-000001\.tar' has changed"):
        kept.get(1)


def test_the_fingerprint_is_the_same_elsewhere(home):
    for place in ("here", "there"):
        shades(home / place, [3, 2], labelled=True)
    here = load("here")
    assert load("there").fingerprint == here.fingerprint
    index_file.write_index(home / "there", None, lambda *_: None)
    assert load("there").fingerprint == here.fingerprint
    assert load("there", size=(4, 4)).fingerprint != here.fingerprint


def test_an_index_beside_local_shards_spares_the_look_and_names_classes(home, monkeypatch):
    shades(home / "s", [3, 2], labelled=True)
    index_file.write_index(home / "s", ("ant", "bee", "cat", "dog"), lambda *_: None)
    monkeypatch.setattr(index_file, "Tar", None)
    assert load("s").classes == ("ant", "bee", "cat", "dog")


def test_an_index_of_other_shards_is_told_of(home):
    shades(home / "s", [3, 2])
    index_file.write_index(home / "s", None, lambda *_: None)
    shades(home / "s", [4, 2])  # as many bytes
    with pytest.raises(GancliError, match=r"train-000000\.tar' has changed, or is not the one of its index"):
        load("s")
    shades(home / "s", [3, 2, 1])
    with pytest.raises(UsageError, match=r"does not list 'train-000002\.tar'"):
        load("s")


def one_shard(fields: str) -> bytes:
    return f'{{"format": 1, "shards": [{{"name": "a", {fields}}}], "classes": []}}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 1, "shards": [], "classes": 3}',
        b'{"format": 1, "shards": [{"name": "a.tar"}], "classes": []}',
        one_shard('"images": -1, "bytes": 1, "fingerprint": "0123456789abcdef"'),
        one_shard('"images": 1e9, "bytes": 1, "fingerprint": "0123456789abcdef"'),
        one_shard('"images": 1, "bytes": 1, "fingerprint": "../../../../x"'),
        one_shard('"images": 1, "bytes": 1, "fingerprint": 7'),
    ],
)  # fmt: skip
def test_faulty_indices_are_told_of(home, text):
    shades(home / "s", [1])
    (home / "s" / "index.json").write_bytes(text)
    with pytest.raises(UsageError) as error:
        load("s")
    assert error.value.message.endswith("index.json' is not an index of shards")


def test_an_index_of_another_format(home):
    shades(home / "s", [1])
    (home / "s" / "index.json").write_text('{"format": 2}')
    with pytest.raises(UsageError, match="is not an index of shards"):
        load("s")


# The cache


def test_what_was_not_used_for_longest_is_dropped(home, monkeypatch):
    """Room for two decoded shards: the third takes the place of the first."""
    shades(home / "s", [4, 4, 4], labelled=True)
    read = stream("s")
    a_shard = sum(each.stat().st_size for each in next(cache.root().glob("*/pixels.bin")).parent.iterdir())
    monkeypatch.setenv("GANCLI_CACHE_GB", str(2.5 * a_shard / 1e9))
    made = []
    real = Stream._decode
    monkeypatch.setattr(
        Stream,
        "_decode",
        lambda self, *rest: made.append(rest[-1][6:12]) or real(self, *rest),
    )
    clock, utime = itertools.count(1), os.utime
    monkeypatch.setattr(cache.os, "utime", lambda path: utime(path, (next(clock),) * 2))
    held = read.get(0)
    for number in (0, 1, 0, 2, 0, 1):
        read.get(number)
        assert len(list(cache.root().glob("*/pixels.bin"))) <= 2
    assert made == ["000001", "000002", "000001"]
    assert held.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]  # what is held stays


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf", ""])
def test_the_cache_has_a_size(home, monkeypatch, text):
    shades(home / "s", [1])
    monkeypatch.setenv("GANCLI_CACHE_GB", text)
    if not text:
        load("s")
        return
    with pytest.raises(UsageError, match=f"GANCLI_CACHE_GB is '{text}'"):
        load("s")


def test_shards_are_mapped_and_not_read(home, monkeypatch):
    shades(home / "s", [3])
    monkeypatch.setattr(cache.np, "fromfile", None)
    assert stream("s").get(0).images.flatten().tolist() == [0] * 64 + [1] * 64 + [2] * 64
