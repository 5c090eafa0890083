"""Decode image files to uint8 arrays, and convert batches of uint8 images to another size or number of channels."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageColor, ImageOps
from PIL.PngImagePlugin import PngImageFile

from gancli.data.memory import check_memory
from gancli.data.types import FITS, Fit
from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_SIDE = 4
"""Pixels on the shorter side of an image; a smaller one is a spacer or a tracking dot."""
LARGEST_IMAGE = 89_478_485
"""Pixels of an image; a larger one is refused before decoding, since a few kilobytes can declare gigabytes."""

_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
# Each has a signature of its own, so that none of them can take another format's file.
_COMMON = {"BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"}

_DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_GREY_MODES = {"1", "L", "LA", "La"} | _DEEP_MODES


class BadImageError(Exception):
    """A file that cannot be decoded as an image; the text is the reason."""


@cache
def formats() -> tuple[str, ...]:
    """The formats that PIL decodes by itself, the common ones first: PIL tries them in this order on every file.

    EPS is left out, since it would start Ghostscript on an untrusted file.
    """
    Image.init()
    known = set(Image.OPEN) - {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
    return tuple(sorted(known, key=lambda name: (name not in _COMMON, name)))


@cache
def suffixes() -> frozenset[str]:
    """File name suffixes of those formats, lower case with the dot."""
    known = set(formats())
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in known)


def parse_fit(fit: str) -> Fit:
    """One of crop, pad, stretch; UsageError otherwise."""
    for known in FITS:
        if fit == known:
            return known
    raise UsageError(f"unknown fit '{fit}'", nearest(fit, FITS))


def parse_colour(text: str) -> tuple[int, int, int]:
    """A colour name of CSS, ``#rrggbb`` or ``rgb(r, g, b)`` -> red, green, blue from 0 to 255."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(text)
    except ValueError:
        raise UsageError(f"unknown colour '{text}'", "a name as in white, or a code as in #ff8800") from None
    return red, green, blue


def probe(file: BinaryIO) -> tuple[tuple[int, int], bool, bool]:
    """Read an image's header.

    Returns:
        (height, width) after the EXIF orientation, whether it is grey, and whether it has transparency.

    Raises:
        BadImageError: not an image, or too small or too large.
    """
    with _opened(file) as image:
        size = image.height, image.width
        # Pillow gives the size of a TIFF after the orientation.
        if image.format != "TIFF" and _orientation(image) >= 5:
            size = size[::-1]
        return size, image.mode in _GREY_MODES, image.has_transparency_data


def decode(
    file: BinaryIO, size: tuple[int, int], channels: int, fit: Fit, background: tuple[int, int, int]
) -> np.ndarray:
    """Decode an image file.

    The first frame of an animation is taken; the EXIF orientation is applied; 16 and 32 bits are scaled to 8, not
    clipped; transparency is composited onto ``background``; resizing is antialiased.

    Args:
        file: an image in any of :func:`formats`.
        size: (height, width) of the result.
        channels: 1 or 3.
        fit: how another aspect ratio is brought to ``size``.
        background: (red, green, blue) from 0 to 255.

    Returns:
        uint8 (channels, height, width).

    Raises:
        BadImageError: broken, truncated, too small or too large.
    """
    with _opened(file) as image:
        # JPEG can be decoded at an eighth, a quarter or half of its size: never below three times the target.
        image.draft(None, (3 * max(size), 3 * max(size)))
        _turn_upright(image)
        return _array(_flatten(image, background), size, channels, fit, background)


def common_format(file: BinaryIO) -> tuple[bytes, str]:
    """The bytes and the suffix of an image in a format that every reader knows.

    JPEG, PNG and WebP files are returned unchanged, others re-encoded as PNG.

    Raises:
        BadImageError: broken, truncated, too small or too large.
    """
    with _opened(file) as image:
        image.load()
        if image.format in _SUFFIXES:
            file.seek(0)
            return file.read(), _SUFFIXES[image.format]
        _turn_upright(image)
        flat = image.convert("RGBA") if image.has_transparency_data else _flatten(image, (255, 255, 255))
        out = io.BytesIO()
        flat.save(out, "PNG")
    return out.getvalue(), "png"


@contextmanager
def _opened(file: BinaryIO) -> Generator[Image.Image]:
    """An image whose header is read; every error of opening and decoding it becomes a BadImageError."""
    try:
        with Image.open(file, formats=formats()) as image:
            if image.width * image.height > LARGEST_IMAGE:
                raise Image.DecompressionBombError
            if min(image.width, image.height) < SMALLEST_SIDE:
                raise BadImageError(f"tiny: {image.width}x{image.height} pixels")
            yield image
    except BadImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImageError(f"more than {LARGEST_IMAGE // 10**6} megapixels") from None
    except Image.UnidentifiedImageError:
        raise BadImageError("not an image that PIL reads") from None
    # PIL's decoders may raise anything on a damaged file: it costs this file, not the whole run.
    except Exception as error:
        text = " ".join(str(error).split())[:120]
        raise BadImageError(f"broken: {text}" if text else f"broken ({type(error).__name__})") from None


def _orientation(image: Image.Image) -> int:
    try:
        if isinstance(image, PngImageFile) and image.fp and ("exif" in image.info or not _exif_at_end(image.fp)):
            # PngImageFile's own decodes the pixels, to see what follows them.
            return int(Image.Image.getexif(image).get(274, 1))
        return int(image.getexif().get(274, 1))
    # Damaged EXIF data: the image itself may be whole.
    except Exception:
        return 1


def _exif_at_end(png: IO[bytes]) -> bool:
    """Whether EXIF or XMP data follow the pixels of a PNG, as ExifTool writes them."""
    png.seek(8)
    behind = False
    while len(head := png.read(32)) >= 12:
        length, kind, data = int.from_bytes(head[:4], "big"), head[4:8], head[8:]
        behind |= kind == b"IDAT"
        if behind and (kind == b"eXIf" or data.startswith((b"XML:com.adobe.xmp", b"Raw profile type exif"))):
            return True
        png.seek(length + 12 - len(head), io.SEEK_CUR)
    return False


def _turn_upright(image: Image.Image) -> None:
    """Load the pixels and apply the EXIF orientation."""
    image.load()
    # Damaged EXIF data: the image itself may be whole.
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Any mode to L or RGB without transparency."""
    if image.mode in _DEEP_MODES:
        return _shallow(image)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        flat = Image.new("RGBA", over.size, (*background, 255))
        flat.alpha_composite(over)
        return flat.convert("RGB")
    return _in_mode(image, "L" if image.mode in _GREY_MODES else "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """``image.convert(mode)`` without its copy of an image that is in that mode already."""
    image.load()
    return image if image.mode == mode else image.convert(mode)


def _shallow(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and floating-point grey to 8 bits.

    Integers are taken as 0..65535, floats as 0..1, or as 0..255 when some exceed 1. Values outside of that range are
    scaled from the least to the greatest.
    """
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise BadImageError("broken: pixels that are not finite")
    low, high = float(values.min()), float(values.max())
    top = 65535.0 if image.mode != "F" else 1.0 if high <= 1 else 255.0
    if low < 0 or high > top:
        values, top = values - low, (high - low) or 1.0
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))


def _fit(image: Image.Image, size: tuple[int, int], fit: Fit, background: tuple[int, int, int]) -> Image.Image:
    across = size[::-1]
    if fit == "crop":
        return ImageOps.fit(image, across)
    if fit == "pad":
        return ImageOps.pad(_in_mode(image, "RGB"), across, color=background)
    return image.resize(across)


def _array(
    image: Image.Image, size: tuple[int, int], channels: int, fit: Fit, background: tuple[int, int, int]
) -> np.ndarray:
    """An image without transparency as uint8 (channels, height, width)."""
    resized = _fit(image, size, fit, background)
    array = np.asarray(_in_mode(resized, "L" if channels == 1 else "RGB"), dtype=np.uint8)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def convert(images: Tensor, size: tuple[int, int], channels: int, fit: Fit, background: tuple[int, int, int]) -> Tensor:
    """Convert images of one size and number of channels to another, as :func:`decode` does.

    Args are those of :func:`decode`, but for the images, uint8 (N, C, H, W).

    Returns:
        uint8 (N, channels, height, width).

    Raises:
        UsageError: the result does not fit in memory.
    """
    import torch

    if tuple(images.shape[2:]) == size and images.shape[1] == channels:
        return images
    check_memory(len(images), channels, size)
    out = torch.empty((len(images), channels, *size), dtype=torch.uint8)
    for pixels, target in zip(images.numpy(), out.numpy(), strict=True):
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        target[:] = _array(image, size, channels, fit, background)
    return out
