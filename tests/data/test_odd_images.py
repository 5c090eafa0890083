"""One odd file never ends the reading of the others; what can be read of it is read."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from conftest_data import picture, write
from PIL import Image

from gancli.data import load


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG with another chunk after its header."""
    png = picture((9, 9, 9))
    return png[:33] + chunk(kind, data) + png[33:]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), (shade, shade, shade)) for shade in (9, 200, 100)]
    return saved(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims so many pixels a side."""
    head = struct.pack(">LLBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")


def palette() -> bytes:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 9, 9, 9])
    return saved(image, "PNG", transparency=0)


def sixteen_bits() -> Image.Image:
    image = Image.new("I;16", (8, 8), 9 * 257)
    image.putpixel((0, 0), 65535)
    return image


LONG = zlib.compress(bytes(80 << 20), 9)
EXIF = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 60_000) + b"\x12\x01\x03\0\xff\xff\xff\xff\x08\0\0\0" * 5_000
READ = {
    "CMYK": saved(Image.new("CMYK", (8, 8), (0, 0, 0, 246)), "JPEG", quality=100),
    "sixteen bits": saved(sixteen_bits(), "PNG"),
    "a palette with transparency": palette(),
    "a huge EXIF": saved(Image.new("RGB", (8, 8), (9, 9, 9)), "JPEG", quality=100, exif=EXIF[:65_000]),
    "an animated GIF": animated("GIF"),
    "an animated PNG": animated("PNG"),
    "an animated WebP": animated("WEBP"),
    "another ending": saved(Image.new("RGB", (8, 8), (9, 9, 9)), "BMP"),
}
LEFT_OUT = {
    "a bomb of a gigapixel": bomb(30_000),
    "a bomb of 2^31 a side": bomb(2**31 - 1),
    "cut in the middle": picture((9, 9, 9), (64, 64), kind="JPEG")[:400],
    "cut in the header": picture((9, 9, 9))[:20],
    "no bytes": b"",
    "text": b"hello, this is no picture",
}
EITHER = {
    "a text of 80 MB": with_chunk(b"zTXt", b"k\0\0" + LONG),
    "an ICC profile of 80 MB": with_chunk(b"iCCP", b"k\0\0" + LONG),
    "a text that is broken": with_chunk(b"zTXt", b"k\0\0nothing"),
    "an ICC profile that is broken": with_chunk(b"iCCP", b"k\0\0nothing"),
    "EXIF that leads in a circle": with_chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0"),
}
"""What PIL is free to pass over or to refuse."""


def shades(path: Path) -> dict[int, int]:
    found = load(str(path), size=(8, 8), channels=1)
    assert len(found.images) + len(found.skipped) == 2
    return {int(image[0, 4, 4]): 1 for image in found.images}


@pytest.mark.parametrize("name", READ)
def test_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "set", {"good.png": picture(200), "odd.jpg": READ[name]})
    assert all(min(abs(shade - wanted) for wanted in (9, 200)) <= 3 for shade in shades(path))
    assert len(shades(path)) == 2


@pytest.mark.parametrize("name", LEFT_OUT)
def test_left_out(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "set", {"good.png": picture(200), "odd.jpg": LEFT_OUT[name]})
    assert shades(path) == {200: 1}


@pytest.mark.parametrize("name", EITHER)
def test_the_good_one_is_read_whatever_the_other(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "set", {"good.png": picture(200), "odd.png": EITHER[name]})
    assert 200 in shades(path)
