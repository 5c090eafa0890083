"""Photos lie upright in every format that states an orientation, on every path that decodes them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest_data import pack, write
from PIL import Image
from torch import Tensor

from gancli.data import load, user_images
from gancli.data.shards.writing import write_shards

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
# What the camera stored is turned by these to be seen upright (TIFF 6.0, tag 274); here the other way around.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
KINDS = ("AVIF", "HEIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP")


def seen() -> Image.Image:
    """A picture of four areas: red and green above blue and white."""
    image = Image.new("RGB", (48, 32), (255, 255, 255))
    for place, colour in (((0, 0), RED), ((24, 0), GREEN), ((0, 16), BLUE)):
        image.paste(colour, (*place, place[0] + 24, place[1] + 16))
    return image


def photo(kind: str, orientation: int) -> bytes:
    turn, exif, file = STORED[orientation], Image.Exif(), io.BytesIO()
    exif[274] = orientation
    (seen() if turn is None else seen().transpose(turn)).save(file, kind, exif=exif.tobytes(), quality=95)
    return file.getvalue()


def in_folder(tmp_path: Path, data: bytes) -> Tensor:
    return load(str(write(tmp_path / "set", {"a": data}))).images


def in_zip(tmp_path: Path, data: bytes) -> Tensor:
    return load(str(pack(tmp_path / "set.zip", {"a": data}))).images


def in_shards(tmp_path: Path, data: bytes) -> Tensor:
    write_shards(str(write(tmp_path / "set", {"a": data})), tmp_path / "shards", 9)
    return load(str(tmp_path / "shards")).images


def named(tmp_path: Path, data: bytes) -> Tensor:
    return user_images.read(str(write(tmp_path / "set", {"a": data}) / "a"), (3, 32, 48)).images


@pytest.mark.parametrize("path", [in_folder, in_zip, in_shards, named])
@pytest.mark.parametrize("kind", KINDS)
def test_photos_are_upright(tmp_path: Path, kind: str, path: Callable[[Path, bytes], Tensor]) -> None:
    for orientation in STORED:
        folder = tmp_path / str(orientation)
        folder.mkdir()
        found = path(folder, photo(kind, orientation))
        assert tuple(found.shape) == (1, 3, 32, 48), orientation
        corners = found[0][:, [8, 8, 24], [12, 36, 12]].int().numpy().T
        assert np.abs(corners - [RED, GREEN, BLUE]).max() <= 24, orientation
