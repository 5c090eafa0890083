"""One image file -> one uint8 array, and batches of uint8 images -> another size or number of channels."""

import io
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from PIL import Image, ImageColor

from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from torch import Tensor

Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")

#: The shorter side of an image must have this many pixels; less is a spacer or a tracking dot, not a picture.
SMALLEST_SIDE = 4
#: Images with more pixels are refused unread: a few kilobytes can declare gigabytes.
LARGEST_IMAGE = 89_478_485

_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
# Each has a signature of its own, so that none of them can take another format's file.
_COMMON = {"BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"}

_GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
# How to undo the EXIF orientation (TIFF 6.0, tag 274).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImageError(Exception):
    """This file gives no image; the text says why."""


@cache
def formats() -> tuple[str, ...]:
    """Every format that PIL reads by itself, the common ones first, since PIL tries them in turn on every file.

    EPS would start Ghostscript, which no stranger's file may.
    """
    Image.init()
    known = set(Image.OPEN) - {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
    return tuple(sorted(known, key=lambda name: (name not in _COMMON, name)))


@cache
def suffixes() -> frozenset[str]:
    """The file name endings of those formats, in small letters with their dot."""
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
    """The (height, width) as seen, whether it is grey, and whether it has transparency; from the header alone."""
    with _opened(file) as image:
        height, width = image.height, image.width
        if _orientation(image) >= 5:
            height, width = width, height
        return (height, width), image.mode in _GREY_MODES, image.has_transparency_data


def decode(
    file: BinaryIO, size: tuple[int, int], channels: int, fit: Fit, background: tuple[int, int, int]
) -> np.ndarray:
    """The image of a file as uint8 (channels, height, width).

    The first frame of an animation; upright by its EXIF orientation; 16 and 32 bits scaled to 8, not clipped;
    transparency laid on ``background``; resized with antialiasing.

    Raises:
        BadImageError: broken, truncated, too small or too large.
    """
    with _opened(file) as image:
        try:
            turn = _TURNS.get(_orientation(image))
            # JPEG can be decoded at an eighth, a quarter or half of its size at once: never below thrice the target.
            image.draft(None, (3 * max(size), 3 * max(size)))
            flat = _flatten(image, background)
            if turn is not None:
                flat = flat.transpose(turn)
            small = _fit(flat, size, fit, background)
            array = np.asarray(_in_mode(small, "L" if channels == 1 else "RGB"), dtype=np.uint8)
        except BadImageError:
            raise
        except MemoryError:
            raise BadImageError("too large for the memory") from None
        # A decoder of PIL may raise anything at all on a damaged file: each is one bad file, not the end of the run.
        except Exception as error:
            raise BadImageError(_reason(error)) from None
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def as_shared(file: BinaryIO) -> tuple[bytes, str]:
    """The bytes and the suffix by which any reader knows an image: JPEG, PNG and WebP as they are, others as PNG.

    Raises:
        BadImageError: broken, truncated, too small or too large.
    """
    with _opened(file) as image:
        try:
            image.load()
            if image.format in _SUFFIXES:
                file.seek(0)
                return file.read(), _SUFFIXES[image.format]
            out = io.BytesIO()
            upright = image if (turn := _TURNS.get(_orientation(image))) is None else image.transpose(turn)
            flat = upright.convert("RGBA") if image.has_transparency_data else _flatten(upright, (255, 255, 255))
            flat.save(out, "PNG")
        except BadImageError:
            raise
        except Exception as error:
            raise BadImageError(_reason(error)) from None
    return out.getvalue(), "png"


def _opened(file: BinaryIO) -> Image.Image:
    try:
        image = Image.open(file, formats=formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImageError(f"more than {LARGEST_IMAGE // 10**6} megapixels") from None
    except Image.UnidentifiedImageError:
        raise BadImageError("not an image that PIL reads") from None
    except BadImageError:
        raise
    except MemoryError:
        raise BadImageError("too large for the memory") from None
    except Exception as error:
        raise BadImageError(_reason(error)) from None
    if image.width * image.height > LARGEST_IMAGE:
        raise BadImageError(f"more than {LARGEST_IMAGE // 10**6} megapixels")
    if min(image.width, image.height) < SMALLEST_SIDE:
        raise BadImageError(f"tiny: {image.width}x{image.height} pixels")
    return image


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:120]
    return f"broken: {text}" if text else f"broken ({type(error).__name__})"


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(274, 1))
    # The picture is worth more than a damaged note about the camera.
    except Exception:
        return 1


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Any mode -> L or RGB without transparency."""
    if image.mode in _DEEP_MODES:
        return _shallow(image)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        flat = Image.new("RGBA", over.size, (*background, 255))
        flat.alpha_composite(over)
        return flat.convert("RGB")
    return _in_mode(image, "L" if image.mode in _GREY_MODES else "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The same as ``image.convert(mode)``, without the copy that it makes of an image which is in that mode."""
    image.load()
    return image if image.mode == mode else image.convert(mode)


def _shallow(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and floating-point grey -> 8 bits.

    Integers from 0 to 65535 are taken as 16-bit; floats as 0..1, or as 0..255 when some lie above 1. Values outside
    of that are stretched from the least to the greatest.
    """
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise BadImageError("broken: pixels that are not finite")
    low, high = float(values.min()), float(values.max())
    top = 65535.0 if image.mode != "F" else 1.0 if high <= 1 else 255.0
    if low < 0 or high > top:
        values, top = values - low, (high - low) or 1.0
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))


def _inner(given: tuple[int, int], size: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """The (height, width) to which an image is resized before it is cropped or padded to ``size``."""
    if fit == "stretch":
        return size
    ratios = size[0] / given[0], size[1] / given[1]
    scale = max(ratios) if fit == "crop" else min(ratios)
    return max(1, round(given[0] * scale)), max(1, round(given[1] * scale))


def _fit(image: Image.Image, size: tuple[int, int], fit: Fit, background: tuple[int, int, int]) -> Image.Image:
    height, width = size
    if image.size == (width, height):
        return image
    inner_h, inner_w = _inner((image.height, image.width), size, fit)
    left, top = (inner_w - width) // 2, (inner_h - height) // 2
    if fit == "pad":
        padded = Image.new("RGB", (width, height), background)
        padded.paste(image.resize((inner_w, inner_h), Image.Resampling.BICUBIC), (-left, -top))
        return padded
    # Resize to cover and cut out the centre, in one step: the part that is cut off is never computed.
    across, down = image.width / inner_w, image.height / inner_h
    box = (
        left * across,
        top * down,
        min((left + width) * across, image.width),
        min((top + height) * down, image.height),
    )
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def convert(
    images: "Tensor", size: tuple[int, int], channels: int, fit: Fit, background: tuple[int, int, int]
) -> "Tensor":
    """Images uint8 (N, C, H, W) of one size and number of channels to another, block by block."""
    import torch

    if tuple(images.shape[2:]) == size and images.shape[1] == channels:
        return images
    from gancli.data.types import check_room

    check_room(len(images), channels, size)
    out = torch.empty((len(images), channels, *size), dtype=torch.uint8)
    for block, target in zip(images.split(1024), out.split(1024), strict=True):
        target.copy_(_resized(_recoloured(block, channels), size, fit, background))
    return out


def _recoloured(images: "Tensor", channels: int) -> "Tensor":
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    # The integer luma of ITU-R 601-2 that PIL uses, so that a set looks the same by either way.
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).byte()[:, None]


def _resized(images: "Tensor", size: tuple[int, int], fit: Fit, background: tuple[int, int, int]) -> "Tensor":
    import torch
    from torch.nn import functional as F

    height, width = images.shape[2:]
    if (height, width) == size:
        return images
    inner = _inner((height, width), size, fit)
    # The same filter as PIL's, antialiased when it shrinks.
    floats = F.interpolate(images.float(), inner, mode="bicubic", antialias=True, align_corners=False)
    small = floats.round_().clamp_(0, 255).byte()
    if inner == size:
        return small
    if fit == "crop":
        top, left = (inner[0] - size[0]) // 2, (inner[1] - size[1]) // 2
        return small[:, :, top : top + size[0], left : left + size[1]]
    colour = _recoloured(torch.tensor(background, dtype=torch.uint8).view(1, 3, 1, 1), images.shape[1])
    padded = colour.expand(len(images), -1, *size).contiguous()
    top, left = -((inner[0] - size[0]) // 2), -((inner[1] - size[1]) // 2)
    padded[:, :, top : top + inner[0], left : left + inner[1]] = small
    return padded
