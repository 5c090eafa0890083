"""Decode image files to uint8 arrays, and convert batches of uint8 images to another size or number of channels."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from threading import Lock
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageColor, ImageOps
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

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
_COMMON = {"AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "TIFF", "WEBP"}
HEIC_HINT = "HEIC needs `pip install 'gancli[heic]'`"

_DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_DNG = 50706
"""The tag of a TIFF that makes it a DNG."""
_GREY_MODES = {"1", "L", "LA", "La"} | _DEEP_MODES


_TOPS = {False: (255, 1023, 4095, 16383, 65535), True: (1, 255)}
"""What becomes white, of integers of 8 to 16 bits and of floats."""
Range = tuple[bool, float, float]
"""Whether values are floating-point numbers, the least and the greatest."""


log = logging.getLogger("gancli")


class BadImageError(Exception):
    """A file that cannot be decoded as an image; the text is the reason."""


@cache
def formats() -> tuple[str, ...]:
    """The formats that PIL decodes by itself, the common ones first: PIL tries them in this order on every file.

    HEIF is one of them where pillow-heif is installed. EPS is left out, since it would start Ghostscript on an
    untrusted file.
    """
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    known = set(Image.OPEN) - {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
    return tuple(sorted(known, key=lambda name: (name not in _COMMON, name)))


@cache
def suffixes() -> frozenset[str]:
    """File name suffixes of those formats, lower case with the dot."""
    known = set(formats())
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in known)


def is_known(head: bytes) -> bool:
    """Whether the first 16 bytes of a file are those of a common format."""
    known = (Image.OPEN[name][1] for name in formats() if name in _COMMON)
    return any(accepts is not None and accepts(head) for accepts in known)


def is_heic(head: bytes) -> bool:
    """Whether the first 16 bytes of a file are those of an HEIC image, with or without a reader for it."""
    return head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")


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


def value_range(file: BinaryIO) -> Range | None:
    """The values of an image of more than 8 bits; None for others, of which only the header is read.

    Raises:
        BadImageError: see :func:`decode`.
    """
    with _opened(file) as image:
        return _range(image) if image.mode in _DEEP_MODES else None


def _range(image: Image.Image) -> Range:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise BadImageError("broken: pixels that are not finite")
    return image.mode == "F", low, high


class Scale:
    """Which values of images of more than 8 bits become 0 and 255: the same for all images of a set.

    Integers range from 0 to the greatest of 8, 10, 12, 14 or 16 bits, floats from 0 to 1 or 255, whichever holds the
    values of all images; values outside of that are scaled from the least to the greatest. Ends are looked up when the
    first such image is decoded; thread-safe.

    Args:
        ranges: gives :func:`value_range` of every image of the set.
        title: of the set, for a note; empty for none.
    """

    def __init__(self, ranges: Callable[[], Iterable[Range | BadImageError | None]], title: str = "") -> None:
        self._ranges, self._title = ranges, title
        self._ends: dict[bool, tuple[float, float]] | None = None
        self._lock = Lock()

    def ends(self, floats: bool) -> tuple[float, float]:
        """The values of floating-point images, or of integers, that become 0 and 255."""
        with self._lock:
            if self._ends is None:
                ranges = [each for each in self._ranges() if isinstance(each, tuple)]
                self._ends = {kind: _ends(kind, [each[1:] for each in ranges if each[0] == kind]) for kind in _TOPS}
                if self._title and any(not each[0] for each in ranges) and (top := self._ends[False][1]) < 65535:
                    log.warning("'%s': 16-bit images without values above %d, shown as white", self._title, top)
        return self._ends[floats]


def _ends(floats: bool, ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    low, high = min((low for low, _ in ranges), default=0), max((high for _, high in ranges), default=_TOPS[floats][-1])
    held = [top for top in _TOPS[floats] if high <= top]
    return (0, held[0]) if held and low >= 0 else (low, max(high, low + 1))


def decode(
    file: BinaryIO,
    size: tuple[int, int],
    channels: int,
    fit: Fit,
    background: tuple[int, int, int],
    scale: Scale | None = None,
) -> np.ndarray:
    """Decode an image file.

    The first frame of an animation is taken; the EXIF orientation is applied; colours are converted from the file's ICC
    profile to sRGB; 16 and 32 bits are scaled to 8, not clipped; resizing is antialiased. With four channels
    transparency is alpha, beside straight colours (see :mod:`gancli.alpha`) that are black where nothing is seen; with
    fewer it is composited onto ``background``.

    Args:
        file: an image in any of :func:`formats`.
        size: (height, width) of the result.
        channels: 1, 3 or 4.
        fit: how another aspect ratio is brought to ``size``.
        background: (red, green, blue) from 0 to 255; with four channels padding is transparent instead.
        scale: of the set that the image belongs to; None for that of the image alone.

    Returns:
        uint8 (channels, height, width).

    Raises:
        BadImageError: broken, truncated, too small or too large.
    """
    with _opened(file) as image:
        # JPEG can be decoded at an eighth, a quarter or half of its size: never below three times the target.
        image.draft(None, (3 * max(size), 3 * max(size)))
        return _array(_upright(image), size, channels, fit, background, scale)


def common_format(file: BinaryIO, scale: Scale | None = None) -> tuple[bytes, str]:
    """The bytes and the suffix of an image in a format that every reader knows.

    JPEG, PNG and WebP files are returned unchanged, others re-encoded as PNG; ``scale`` is that of :func:`decode`.

    Raises:
        BadImageError: broken, truncated, too small or too large.
    """
    with _opened(file) as image:
        image.load()
        if image.format in _SUFFIXES:
            file.seek(0)
            return file.read(), _SUFFIXES[image.format]
        image = _upright(image)
        flat = image.convert("RGBA") if image.has_transparency_data else _flatten(image, (255, 255, 255), scale)
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
            # The first image of a camera's raw file is often a thumbnail (TIFF 6.0, tag 254, bit 0).
            if isinstance(image, TiffImageFile) and (image.tag_v2.get(254, 0) & 1 or _DNG in image.tag_v2):
                raise BadImageError("a camera raw file, of which PIL reads the thumbnail alone")
            yield image
    except BadImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImageError(f"more than {LARGEST_IMAGE // 10**6} megapixels") from None
    except Image.UnidentifiedImageError:
        file.seek(0)
        head = file.read(16)
        reason = (
            HEIC_HINT
            if is_heic(head) and "HEIF" not in formats()
            else "not an image that PIL reads"
            if head
            else "empty: 0 bytes"
        )
        raise BadImageError(reason) from None
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


def _upright(image: Image.Image) -> Image.Image:
    """Load the pixels, apply the EXIF orientation, and convert the colours to sRGB."""
    image.load()
    # Damaged EXIF data: the image itself may be whole.
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    profile = image.info.pop("icc_profile", None)
    if not profile or image.mode in _DEEP_MODES:
        return image
    if image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    transform = _to_srgb(profile, image.mode)
    return image if transform is None else ImageCms.applyTransform(image, transform) or image


@lru_cache(maxsize=64)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from an ICC profile to sRGB; None where it changes almost nothing, or the profile is broken."""
    colours = np.moveaxis(51 * np.indices((6,) * len(mode)), 0, -1).astype(np.uint8)
    tried = Image.frombytes(mode, (colours.size // len(mode), 1), colours.tobytes())
    out = "RGBA" if mode == "RGBA" else "RGB"
    try:
        transform = ImageCms.buildTransform(io.BytesIO(profile), ImageCms.createProfile("sRGB"), mode, out)
        made = ImageCms.applyTransform(tried, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if made is None or (mode != "CMYK" and _near(made, tried.convert(out))):
        return None
    return transform


def _near(one: Image.Image, other: Image.Image) -> bool:
    """Whether no value differs by more than 2 of 255."""
    return bool(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max() <= 2)


def _flatten(image: Image.Image, background: tuple[int, int, int], scale: Scale | None) -> Image.Image:
    """Any mode to L or RGB without transparency."""
    if image.mode in _DEEP_MODES:
        return _shallow(image, scale or Scale(lambda: [_range(image)]))
    if image.has_transparency_data:
        over = _in_mode(image, "RGBA")
        flat = Image.new("RGBA", over.size, (*background, 255))
        flat.alpha_composite(over)
        return flat.convert("RGB")
    return _in_mode(image, "L" if image.mode in _GREY_MODES else "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """``image.convert(mode)`` without its copy of an image that is in that mode already."""
    image.load()
    return image if image.mode == mode else image.convert(mode)


def _shallow(image: Image.Image, scale: Scale) -> Image.Image:
    """16-bit, 32-bit and floating-point grey to 8 bits."""
    floats, _, _ = _range(image)
    low, high = scale.ends(floats)
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.rint((values - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8))


def _fit(image: Image.Image, size: tuple[int, int], fit: Fit, background: tuple[int, int, int]) -> Image.Image:
    across = size[::-1]
    if fit == "crop":
        return ImageOps.fit(image, across)
    if fit == "pad":
        if image.mode == "RGBA":
            return ImageOps.pad(image, across, color=(0, 0, 0, 0))
        return ImageOps.pad(_in_mode(image, "RGB"), across, color=background)
    return image.resize(across)


def _array(
    image: Image.Image,
    size: tuple[int, int],
    channels: int,
    fit: Fit,
    background: tuple[int, int, int],
    scale: Scale | None = None,
) -> np.ndarray:
    """An image of any mode as uint8 (channels, height, width); arguments of :func:`decode`."""
    if channels == 4:
        deep = image.mode in _DEEP_MODES
        image = _in_mode(_flatten(image, background, scale) if deep else image, "RGBA")
        array = np.array(_fit(image, size, fit, background))
        array[array[:, :, 3] == 0] = 0  # colours that cannot be seen
        return array.transpose(2, 0, 1)
    resized = _fit(_flatten(image, background, scale), size, fit, background)
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
