"""What may not grow: work a file, readers tried a file, memory of a set that is mapped. Counted, not timed."""

import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import torch
from conftest_data import noise, picture, write
from PIL import Image

from gancli.data import cache, load, memory, pixels
from gancli.data.folder import files
from gancli.training.batches import ImageBatches

OPENED: list[str] = []
WATCHED: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _hear_of_openings() -> None:
    """Audit hooks stay until Python ends; this one hears nothing but what lies in a folder of WATCHED."""

    def hear(event: str, arguments: tuple) -> None:
        if WATCHED and event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(str(WATCHED[0])):
            OPENED.append(arguments[0])

    sys.addaudithook(hear)


@contextmanager
def opened_in(folder: Path) -> Iterator[Counter[str]]:
    """How often each file of a folder was opened, once the block has ended."""
    OPENED.clear()
    WATCHED.append(folder)
    counted: Counter[str] = Counter()
    try:
        yield counted
    finally:
        WATCHED.clear()
        counted.update(OPENED)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write(tmp_path / "set", {f"{'abc'[i % 3]}/{i:02d}.png": noise(i) for i in range(30)})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each path was asked for its size and time."""
    counted: Counter[str] = Counter()
    stat = os.stat

    def ask(path: object, **options: object) -> os.stat_result:
        counted[str(path)] += 1
        return stat(path, **options)

    monkeypatch.setattr(files.os, "stat", ask)
    return counted


def test_the_second_opening_asks_each_file_once_and_opens_none(pictures, asked):
    first = load(str(pictures))
    asked.clear()
    with opened_in(pictures) as opened:
        second = load(str(pictures))
    assert second.fingerprint == first.fingerprint
    assert {path: asked[str(path)] for path in pictures.rglob("*.png")} == dict.fromkeys(pictures.rglob("*.png"), 1)
    assert opened == {}


@pytest.mark.parametrize(("view", "times"), [({}, 2), ({"size": (8, 8), "channels": 3}, 1)])
def test_the_first_opening_reads_headers_only_where_nobody_says_the_size(pictures, view, times):
    with opened_in(pictures) as opened:
        load(str(pictures), **view)
    assert opened == {str(path): times for path in pictures.rglob("*.png")}


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_common_formats_are_tried_first(monkeypatch, kind):
    tried = []
    for name in pixels.formats():
        factory, accept = Image.OPEN[name]

        def noted(*arguments, name=name, factory=factory):
            tried.append(name)
            return factory(*arguments)

        monkeypatch.setitem(Image.OPEN, name, (noted, accept))
    pixels.probe(io.BytesIO(picture((1, 2, 3), kind=kind)))
    assert tried == [kind]


def own_memory() -> int:
    """Bytes that this process holds and no file backs."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="own memory is known for Linux only")
def test_own_memory_does_not_grow_with_a_cached_set(home):
    size, shape = 96 * 2**20, (1, 256, 256)

    def write(file: IO[bytes]) -> cache.Contents:
        file.truncate(size)
        return None, (), ()

    before = own_memory()
    images = cache.store("zeros", size // 2**16, shape, write).images
    feed = ImageBatches(images, None, 16, 0, torch.device("cpu"), (-1.0, 1.0))
    while feed.drawn < len(images):
        feed.next()
    assert own_memory() - before < size // 3


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_drawn_images_are_those_of_the_order(layout):
    images = torch.arange(20 * 3 * 4 * 5).view(20, 3, 4, 5).byte()
    if layout == "columns":
        images = images.transpose(2, 3)
    feed = ImageBatches(images, None, 7, 5, torch.device("cpu"), (-1.0, 1.0))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(5 * 1_000_003))
    for start in (0, 7):
        batch = feed.next().images
        expected = images[order[start : start + 7]].float() * (2 / 255) - 1
        assert torch.equal(batch, expected)
        assert batch.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("file", range(2))
def test_a_container_may_hold_less_than_the_machine(tmp_path, monkeypatch, file):
    monkeypatch.setattr(memory, "CONTROL_GROUPS", ())
    machine = memory.total_memory()
    groups = [tmp_path / "memory.max", tmp_path / "none"]
    monkeypatch.setattr(memory, "CONTROL_GROUPS", tuple(groups[file:] + groups[:file]))
    groups[0].write_text("max\n")
    assert memory.total_memory() == machine
    groups[0].write_text("4096\n")
    assert memory.total_memory() == 4096
