import json
import logging
import os
from pathlib import Path

import pytest
import torch
from conftest_data import noise, pack, picture, write

from gancli.data import Skipped, cache, load, types


@pytest.fixture
def pictures(tmp_path):
    return write(tmp_path / "set", {f"{'ab'[i % 2]}/{i:02d}.png": noise(i) for i in range(20)} | {"a/99.png": b"bad"})


def entries() -> list:
    root = cache.root()
    return sorted(root.iterdir()) if root.exists() else []


def no_decoding(monkeypatch) -> None:
    def fail(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr("gancli.data.folder.decoding.decode", fail)
    monkeypatch.setattr("gancli.data.folder.decoding.probe", fail)


def same(one, other) -> bool:
    return (
        torch.equal(one.images, other.images)
        and torch.equal(one.labels, other.labels)
        and (one.name, one.split, one.classes, one.fingerprint, one.skipped)
        == (other.name, other.split, other.classes, other.fingerprint, other.skipped)
    )


def test_second_opening_decodes_nothing(pictures, monkeypatch):
    first = load(str(pictures))
    no_decoding(monkeypatch)
    second = load(str(pictures))
    assert same(first, second)
    assert second.skipped == (Skipped("a/99.png", "not an image that PIL reads"),)
    assert len(entries()) == 1


def mapped_file(images: torch.Tensor) -> str:
    """The file in which the pixels of a tensor lie; "" for memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        if start <= images.data_ptr() < end:
            return line.split(maxsplit=5)[5] if len(line.split()) > 5 else ""
    return ""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="how to see a mapping is known for Linux only")
def test_images_are_mapped(pictures):
    first, second = load(str(pictures)), load(str(pictures))
    assert same(first, second)
    for data in (first, second):
        assert data.images.untyped_storage().nbytes() == 20 * 3 * 64
        assert mapped_file(data.images).endswith("pixels.bin")
    # Written to by mistake, the change stays in this process: the cache is the same for the next.
    second.images[0].zero_()
    assert torch.equal(load(str(pictures)).images, first.images)


@pytest.mark.parametrize("change", ["added", "removed", "written"])
def test_a_change_is_seen(pictures, change):
    before = load(str(pictures))
    match change:
        case "added":
            (pictures / "b" / "zz.png").write_bytes(noise(77))
        case "removed":
            (pictures / "b" / "19.png").unlink()
        case "written":
            file = pictures / "b" / "19.png"
            file.write_bytes(noise(78))
            os.utime(file, ns=(1, 1))
    after = load(str(pictures))
    assert after.fingerprint != before.fingerprint
    assert len(after.images) == 20 + {"added": 1, "removed": -1, "written": 0}[change]
    assert len(entries()) == 2


def test_a_changed_zip_is_seen(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.png": picture(1)})
    before = load(str(path))
    pack(path, {"a.png": picture(1), "b.png": picture(2)})
    assert (len(before.images), len(load(str(path)).images)) == (1, 2)


def test_every_view_has_its_own(pictures):
    views = [{}, {"size": (4, 6)}, {"channels": 1}, {"fit": "pad", "size": (4, 6)}, {"background": "red"}]
    shapes = [tuple(load(str(pictures), **view).images.shape) for view in views]
    assert shapes == [(20, 3, 8, 8), (20, 3, 4, 6), (20, 1, 8, 8), (20, 3, 4, 6), (20, 3, 8, 8)]
    assert len(entries()) == 5


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "pixels.bin").unlink() or (folder / "pixels.bin").write_bytes(b"short"),
        lambda folder: (folder / "pixels.bin").unlink(),
        lambda folder: (folder / "facts.json").unlink(),
        lambda folder: (folder / "facts.json").write_text("{"),
        lambda folder: (folder / "facts.json").write_text("[]"),
    ],
)
def test_a_damaged_entry_is_made_again(pictures, harm):
    before = load(str(pictures))
    harm(entries()[0])
    assert same(before, load(str(pictures)))
    facts = json.loads((entries()[0] / "facts.json").read_text())
    assert facts["shape"] == [20, 3, 8, 8]


def test_a_cache_that_cannot_be_made(pictures, tmp_path, monkeypatch, caplog):
    usual = load(str(pictures))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING, "gancli"):
        assert same(usual, load(str(pictures)))
    assert caplog.messages == [
        f"the cache folder {tmp_path / 'file' / 'images'} cannot be used (Not a directory): the images stay in memory"
    ]


def test_a_full_disk(pictures, monkeypatch, caplog):
    usual = load(str(pictures), channels=1)
    (entries()[0] / "facts.json").unlink()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert same(usual, load(str(pictures), channels=1))
    assert "No space left on device" in caplog.text
    assert entries() == []


def test_an_interruption_leaves_nothing(pictures):
    def interrupt(what: str, *_: int) -> None:
        if what == "decoding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(str(pictures), progress=interrupt)
    assert entries() == []


def test_fingerprint_tells_pixels_shape_and_labels_apart():
    images = torch.arange(64, dtype=torch.uint8).view(4, 1, 4, 4)
    labels = torch.tensor([0, 1, 0, 1])
    others = [
        types.fingerprint_of(images, labels),
        types.fingerprint_of(images, None),
        types.fingerprint_of(images.view(2, 2, 4, 4), None),
        types.fingerprint_of(images, labels.flip(0)),
        types.fingerprint_of(images.flip(3), labels),
    ]
    assert len(set(others)) == 5
    assert all(len(one) == 16 for one in others)
    assert types.fingerprint_of(images.transpose(2, 3).contiguous().transpose(2, 3), labels) == others[0]


def test_digits_have_the_known_fingerprint():
    # Frozen: stored in the header of every published model.
    assert (load("digits").fingerprint, load("digits", split="test").fingerprint) == (TRAIN, TEST)


TRAIN, TEST = "3711e337279e9bed", "71131c7ddbcda73c"
