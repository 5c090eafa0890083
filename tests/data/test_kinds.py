"""Which files are read, which are left out as what, and what their values become."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from conftest_data import pack, picture, write
from PIL import Image, ImageCms

from gancli.data import load, pixels
from gancli.data.folder import kinds
from gancli.data.folder.files import open_source
from gancli.data.shards.writing import write_shards
from gancli.errors import UsageError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def values(array: object, kind: str = "PNG", dtype: type = np.uint16) -> bytes:
    return saved(Image.fromarray(np.array(array, dtype)), kind)


AVIF = saved(Image.new("RGB", (16, 16), (200, 200, 200)), "AVIF")
THUMBNAIL = saved(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 1})
DNG = saved(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={50706: b"\1\4\0\0"})


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(name for name in pixels.formats() if name != "HEIF")
    endings = {suffix for suffix, name in Image.registered_extensions().items() if name in names}
    monkeypatch.setattr(pixels, "formats", lambda: names)
    monkeypatch.setattr(kinds, "suffixes", lambda: endings)


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", picture(1), ""),
        ("a", AVIF, ""),
        ("a.avif", AVIF, ""),
        ("a.heic", HEIC, "HEIC"),
        ("A.HEIF", HEIC, "HEIC"),
        ("a", HEIC, "HEIC"),
        ("a.dng", DNG, "camera raw"),
        ("a.NEF", THUMBNAIL, "camera raw"),
        ("a.jxl", b"\xff\x0a", "JPEG XL"),
        ("a.mov", b"\0\0\0\x14ftypqt  ", "videos"),
        ("notes.txt", b"hello", ".txt files"),
        ("LICENSE", b"hello", "files without an ending"),
    ],
)
def test_kinds(without_heif: None, tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    for path in (write(tmp_path / "set", {f"x.y/{name}": data}), pack(tmp_path / "x.zip", {f"x.y/{name}": data})):
        assert kinds.left_out_as(open_source(path), f"x.y/{name}") == kind


def test_what_is_left_out_is_counted_by_kind(without_heif: None, tmp_path: Path, caplog) -> None:
    files = {"a.jpg": picture(99), "b.heic": HEIC, "c.heic": HEIC, "d.cr2": THUMBNAIL, "notes.txt": b"hello"}
    data = load(str(write(tmp_path / "set", files)))
    assert data.left_out == {"HEIC": 2, "camera raw": 1, ".txt files": 1}
    assert data.summary().endswith("left out: HEIC 2, camera raw 1, .txt files 1")
    assert caplog.messages == [
        "left out 2 of 'set': HEIC needs `pip install 'gancli[heic]'`",
        "left out 1 of 'set': of camera raw files, thumbnails alone could be read: convert them to JPEG, PNG or TIFF",
    ]


@pytest.mark.parametrize(
    ("files", "says", "hint"),
    [
        ({"a.heic": HEIC}, "holds no image, but HEIC 1", "HEIC needs `pip install 'gancli[heic]'`"),
        ({"a.jpg": HEIC}, "(a.jpg: HEIC needs `pip install 'gancli[heic]'`)", "or convert them to JPEG, PNG or TIFF"),
        ({"a.jpg": b"", "b.jpg": b""}, "(a.jpg: empty: 0 bytes)", "copy or download them again"),
        (
            {"a.png": picture(1, (1, 1))},
            "(a.png: tiny: 1x1 pixels)",
            "the shorter side of an image has 4 pixels or more",
        ),
    ],
)
def test_folders_without_an_image_say_what_they_hold(
    without_heif: None, tmp_path: Path, files: dict[str, bytes], says: str, hint: str
) -> None:
    with pytest.raises(UsageError) as error:
        load(str(write(tmp_path / "set", files)))
    assert error.value.message.endswith(says)
    assert error.value.hint == hint


@pytest.mark.parametrize("data", [THUMBNAIL, DNG])
def test_no_thumbnail_stands_for_a_raw_file_whatever_its_name(tmp_path: Path, data: bytes) -> None:
    found = load(str(write(tmp_path / "set", {"a.png": picture(9), "b.tif": data, "c": data})))
    assert [one.name for one in found.skipped] == ["b.tif", "c"]
    assert found.skipped[0].reason == "a camera raw file, of which PIL reads the thumbnail alone"


def test_heic_is_read_with_the_extra(tmp_path: Path) -> None:
    data = saved(Image.new("RGB", (16, 8), (200, 100, 50)), "HEIF", quality=100)
    found = load(str(write(tmp_path / "set", {"a.heic": data, "b": data})))
    assert tuple(found.images.shape) == (2, 3, 8, 16)
    assert np.abs(found.images[:, :, 4, 4].int().numpy() - [200, 100, 50]).max() <= 3


FOUR = np.ones((4, 4))


@pytest.mark.parametrize(
    ("files", "shades"),
    [
        # 8, 10, 12 and 16 bits in 16
        ({"a.png": values(FOUR * 51), "b.png": values(FOUR * 255)}, [51, 255]),
        ({"a.png": values(FOUR * 341), "b.png": values(FOUR * 1023)}, [85, 255]),
        ({"a.png": values(FOUR * 273), "b.png": values(FOUR * 4095)}, [17, 255]),
        ({"a.png": values(FOUR * 257), "b.png": values(FOUR * 65535)}, [1, 255]),
        ({"a.png": values(FOUR * 4095), "b.png": values(FOUR * 65535)}, [16, 255]),
        # floats of one range
        ({"a.tif": values(FOUR * 0.2, "TIFF", np.float32), "b.tif": values(FOUR, "TIFF", np.float32)}, [51, 255]),
        ({"a.tif": values(FOUR, "TIFF", np.float32), "b.tif": values(FOUR * 255, "TIFF", np.float32)}, [1, 255]),
        ({"a.tif": values(FOUR * 2000, "TIFF", np.float32), "b.tif": values(FOUR * 0, "TIFF", np.float32)}, [255, 0]),
        # images of 8 bits are as they are
        ({"a.png": picture(77), "b.png": values(FOUR * 4095)}, [77, 255]),
    ],
)
def test_deep_images_of_a_set_have_one_scale(tmp_path: Path, files: dict[str, bytes], shades: list[int]) -> None:
    for path in (write(tmp_path / "set", files), pack(tmp_path / "set.zip", files)):
        assert load(str(path), size=(4, 4), channels=1).images[:, 0, 0, 0].tolist() == shades
    write_shards(str(path), tmp_path / "shards", 9)
    assert sorted(load(str(tmp_path / "shards"), channels=1).images[:, 0, 0, 0].tolist()) == sorted(shades)


def test_both_splits_have_one_scale(tmp_path: Path) -> None:
    path = write(tmp_path / "set", {"train/a.png": values(FOUR * 273), "test/b.png": values(FOUR * 4095)})
    assert [int(load(str(path), split=split).images.max()) for split in ("train", "test")] == [17, 255]


def test_images_without_light_are_warned_of(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.WARNING)
    load(str(write(tmp_path / "dark", {f"{n}.png": picture(n) for n in range(6)})))
    load(str(write(tmp_path / "light", {f"{n}.png": picture(n * 40) for n in range(6)})))
    assert len(caplog.messages) == 1
    assert "dark' are nearly black: of those tried, none has a value above 5" in caplog.messages[0]


def test_colours_are_converted_to_srgb(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # A profile of which the primaries of red and blue have changed places.
    other = srgb.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")
    image = Image.new("RGB", (8, 8), (255, 0, 0))
    options = {"plain": {}, "same": {"icc_profile": srgb}, "swapped": {"icc_profile": other}}
    files = {f"{name}.png": saved(image, "PNG", **each) for name, each in options.items()}
    files |= {"broken.png": saved(image, "PNG", icc_profile=other[:200])}
    files |= {"palette.png": saved(image.convert("P"), "PNG", icc_profile=other)}
    files |= {"swapped.tif": saved(image, "TIFF", icc_profile=other)}
    wanted = {"broken": (255, 0, 0), "palette": (0, 0, 255), "plain": (255, 0, 0), "same": (255, 0, 0)}
    wanted |= {"swapped.png": (0, 0, 255), "swapped.tif": (0, 0, 255)}
    found = load(str(write(tmp_path / "set", files)))
    assert np.abs(found.images[:, :, 4, 4].int().numpy() - np.array([*wanted.values()])).max() <= 2
    write_shards(str(tmp_path / "set"), tmp_path / "shards", 9)
    shards = load(str(tmp_path / "shards")).images[:, :, 4, 4].int().numpy()
    assert np.abs(np.sort(shards, 0) - np.sort(np.array([*wanted.values()]), 0)).max() <= 2
