"""Shards to read: tars made by hand, and a server that gives them out, breaks off, and goes on."""

import io
import json
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from conftest_data import picture

from gancli.data import load, paths
from gancli.data.shards import remote
from gancli.data.shards.stream import Stream


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member with any field of its header set."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(
    path: Path, *members: tuple[tarfile.TarInfo, bytes] | tuple[str, bytes], layout: int = tarfile.PAX_FORMAT
) -> Path:
    """A tar of these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=layout) as archive:
        for name, data in members:
            info, data = member(name, data) if isinstance(name, str) else (name, data)
            archive.addfile(info, io.BytesIO(data) if data else None)
    return path


def grey(shade: int) -> bytes:
    """A PNG of 8x8 pixels of one shade."""
    return picture(shade)


def shades(folder: Path, counts: list[int], labelled: bool = False, prefix: str = "train") -> list[int]:
    """Shards of 8x8 images, each of a shade of its own, whose class is the shade modulo 3; the shades in order."""
    shade = 0
    for number, count in enumerate(counts):
        members: list[tuple[str, bytes]] = []
        for _ in range(count):
            members.append((f"{shade:06d}.png", grey(shade)))
            members += [(f"{shade:06d}.cls", str(shade % 3).encode())] if labelled else []
            shade += 1
        tar(folder / f"{prefix}-{number:06d}.tar", *members)
    return list(range(shade))


def digits(folder: Path) -> Path:
    """The training images of the digits, in a folder for each class."""
    data = load("digits")
    assert data.labels is not None
    for number, (image, label) in enumerate(zip(data.images, data.labels.tolist(), strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)
    return folder


class Shelf:
    """Answers with the bytes of files, whole or from a byte on; counts what was asked for.

    Attributes:
        files: by name.
        asked: names and ranges in their order.
        breaks: how often the next answers break off in the middle.
        ranges: whether it answers with parts of files.
        moved: names, and the addresses that they are said to have moved to.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.breaks, self.ranges = 0, True
        self.moved: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, part = request.path.lstrip("/"), request.headers.get("Range", "")
        self.asked.append((name, part))
        if name in self.moved:
            request.send_response(302)
            request.send_header("Location", self.moved[name])
            request.end_headers()
            return
        if name not in self.files:
            request.send_error(404)
            return
        data = self.files[name]
        start = int(part.removeprefix("bytes=").rstrip("-")) if part and self.ranges else 0
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(data) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        left = data[start:]
        if self.breaks:
            self.breaks -= 1
            left = left[: len(left) // 2]
        request.wfile.write(left)


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A server on this machine, from which plain http is allowed, and no pauses between tries."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(paths, "SCHEMES", ("https", "http"))
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    shelf = Shelf()
    shelf.thread.start()
    try:
        yield shelf
    finally:
        shelf.http.shutdown()
        shelf.http.server_close()
        shelf.thread.join()


def index(folder: Path) -> dict:
    """The index of a folder, as it was written."""
    return json.loads((folder / "index.json").read_text())


def stream(name: str, **options: object) -> Stream:
    found = load(name, **options).stream
    assert found is not None
    return found


def shades_of(name: str, **options: object) -> list[list[int]]:
    """The shade of every image of every shard."""
    read = stream(name, **options)
    return [read.get(number).images[:, 0, 0, 0].tolist() for number in range(len(read.counts))]
