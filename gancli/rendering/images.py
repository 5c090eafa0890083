"""Images as files: one grid, or one PNG for each seed in a folder or zip archive.

Images are uint8 tensors (N, C, H, W) with C = 1 (grey), 3 (RGB) or 4 (RGB and alpha). Formats without alpha show
the last on white.
"""

import math
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn.functional import interpolate

from gancli import files
from gancli.alpha import has_alpha, premultiply, straighten
from gancli.errors import GancliError, UsageError

MAX_GRID_PIXELS = 2**27
MAX_SIDE = 65535
MAX_WEBP_SIDE = 16383
# Of the lines between cells and of empty cells, which are transparent where images have alpha.
BACKGROUND = 255
# From this factor on, enlarging is bicubic.
SMOOTH = 4


def check(images: Tensor) -> Tensor:
    """The images on the CPU, if they are uint8 (N, C, H, W) with 1, 3 or 4 channels and N > 0.

    Raises:
        GancliError: anything else.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3, 4) or not images.numel():
        found = f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
        raise GancliError(f"pictures are made from uint8 (N, C, H, W) with 1, 3 or 4 channels, not from {found}")
    return images.detach().cpu()


def default_scale(height: int, width: int, near: int = 64) -> int:
    """The integer factor that brings the longer side near 64 pixels: 8 for 8x8, 2 for 28x28, 1 from 64x64 on."""
    return max(1, round(near / max(height, width)))


def enlarge(images: Tensor, scale: int) -> Tensor:
    """(N, C, H, W) to (N, C, H*s, W*s): nearest for small factors, else bicubic, as squares would hide the shape."""
    if scale < SMOOTH:
        return images if scale == 1 else images.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    enlarged = interpolate(premultiply(images.float()), scale_factor=scale, mode="bicubic")
    return straighten(enlarged).round_().clamp_(0, 255).byte()


def grid_size(
    n: int, height: int, width: int, *, columns: int | None = None, scale: int = 1, gap: int = 2
) -> tuple[int, int]:
    """The columns and rows of a grid of ``n`` images, if it fits into one picture.

    Raises:
        UsageError: more than 2**27 pixels in all, or than 65535 in a row or a column.
    """
    columns = min(columns or math.ceil(math.sqrt(n)), n)
    rows = math.ceil(n / columns)
    sides = columns * (width * scale + gap) + gap, rows * (height * scale + gap) + gap
    if sides[0] * sides[1] > MAX_GRID_PIXELS or max(sides) > MAX_SIDE:
        raise UsageError(
            f"a grid of {columns} x {rows} images would have {sides[0]} x {sides[1]} pixels, too many for one picture",
            "show fewer images at once",
        )
    return columns, rows


def arrange(
    images: Tensor, *, columns: int | None = None, scale: int = 1, gap: int = 2, background: int = BACKGROUND
) -> Tensor:
    """One picture of many: uint8 (N, C, H, W) to (C, H', W'), row by row, with lines of ``gap`` pixels between cells.

    Args:
        images: uint8 (N, C, H, W).
        columns: cells in a row; by default the square root of N, rounded up. An unfinished last row is filled.
        scale: integer factor of enlargement; see :func:`enlarge`.
        gap: pixels between cells and around all of them; 0 for none.
        background: the value of pixels between and after the images, in every channel but alpha, which is 0 there.

    Raises:
        UsageError: too many pixels; see :func:`grid_size`.
        GancliError: not such images; see :func:`check`.
    """
    images = check(images)
    n, channels, height, width = images.shape
    columns, rows = grid_size(n, height, width, columns=columns, scale=scale, gap=gap)
    height, width = height * scale + gap, width * scale + gap
    shade = images.new_full((channels, 1, 1), background)
    if has_alpha(images):
        shade[3] = 0
    cells = shade.repeat(rows * columns, 1, height, width)
    cells[:n, :, gap:, gap:] = enlarge(images, scale)
    body = cells.view(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    picture = shade.repeat(1, rows * height + gap, columns * width + gap)
    picture[:, : rows * height, : columns * width] = body.reshape(channels, rows * height, columns * width)
    return picture


def save_grid(images: Tensor, path: Path | str, *, columns: int | None = None, scale: int | None = None) -> None:
    """Write many images as one picture; see :func:`save_picture` for its formats.

    Args:
        images: uint8 (N, C, H, W).
        path: the file.
        columns: cells in a row; by default the square root of N, rounded up.
        scale: integer factor of enlargement; :func:`default_scale` by default.

    Raises:
        UsageError: a path that cannot be written.
        GancliError: images that cannot be shown; see :func:`arrange`.
    """
    save_picture(grid(images, columns=columns, scale=scale), Path(path))


def grid(images: Tensor, *, columns: int | None = None, scale: int | None = None) -> Image.Image:
    """One Pillow image of many, with the arguments of :func:`save_grid`."""
    height, width = images.shape[-2:]
    return to_pil(arrange(images, columns=columns, scale=scale or default_scale(height, width)))


def save_picture(picture: Image.Image, path: Path, *, make: bool = True) -> None:
    """Write one picture, without torch, so that a writer thread does not compete with training.

    The suffix decides the format: a JPEG of high quality on white, a lossless WebP, or else a PNG.

    Args:
        picture: to write.
        path: of the file.
        make: make its folder if need be.

    Raises:
        UsageError: more pixels in a row or a column than the format has room for, or a path that cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == ".webp" and max(picture.size) > MAX_WEBP_SIDE:
        raise UsageError(f"{picture.width} x {picture.height} pixels are too many for a WebP", "name a .png")
    with files.atomic(path, make=make) as temporary:
        if suffix in (".jpg", ".jpeg"):
            opaque(picture).save(temporary, "JPEG", quality=95, subsampling=0, **mark("JPEG"))
        elif suffix == ".webp":
            picture.save(temporary, "WEBP", lossless=True, **mark("WEBP"))
        else:
            picture.save(temporary, "PNG", **mark("PNG"))


def mark(kind: str) -> dict[str, Any]:
    """Options of Pillow for a file of this kind that say who drew it, so that it is not taken for a photo."""
    if kind == "PNG":
        info = PngInfo()
        info.add_text("Comment", files.DRAWN.decode())
        return {"pnginfo": info}
    if kind == "WEBP":
        exif = Image.Exif()
        exif[0x0131] = files.DRAWN.decode()  # software
        return {"exif": exif}
    return {"comment": files.DRAWN}


def opaque(picture: Image.Image) -> Image.Image:
    """The picture, on white where it is transparent."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def to_pil(image: Tensor) -> Image.Image:
    """One image uint8 (C, H, W) as a Pillow image of mode L, RGB or RGBA.

    Raises:
        GancliError: see :func:`check`.
    """
    image = check(image[None])[0]
    pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
    # Pillow copies if this is not contiguous; torch would start threads of its own in each encoding thread.
    return Image.fromarray(pixels.numpy())


def encode_png(image: Tensor) -> bytes:
    """One image uint8 (C, H, W) as the bytes of a PNG file."""
    buffer = BytesIO()
    # Level 1: half the time of level 6 for about a tenth more bytes.
    to_pil(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def file_name(seed: int) -> str:
    """The name of a seed's image: seed0000123.png."""
    return f"seed{seed:07d}.png"


def save_images(
    batches: Iterable[Tensor],
    names: Iterable[int | str],
    path: Path | str,
    *,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write one PNG for each image into a folder or .zip archive; memory does not grow with their number.

    Each batch is encoded on all cores. An interruption leaves only whole files in a folder, and no archive.

    Args:
        batches: uint8 (N, C, H, W) tensors, in the order of the names.
        names: one for every image: its seed, or a file name, which may have a folder.
        path: a folder, created if necessary, or a file that ends in .zip.
        progress: called with the number of images just written.

    Returns:
        How many images were written.

    Raises:
        UsageError: a path that cannot be written.
        GancliError: images that cannot be shown.
    """
    path, written = Path(path), 0
    remaining = (name if isinstance(name, str) else file_name(name) for name in names)
    with ExitStack() as stack:
        archive = None
        if path.suffix.lower() == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(files.atomic(path)), "w"))
        else:
            files.check_folder(path)
        pool = stack.enter_context(ThreadPoolExecutor())
        for images in batches:
            for data, name in zip(pool.map(encode_png, check(images)), remaining, strict=False):
                if archive:
                    # ZipInfo without the time of day: the same seeds give the same archive.
                    archive.writestr(zipfile.ZipInfo(name), data)
                else:
                    with files.whole(path / name) as temporary:
                        temporary.write_bytes(data)
            written += len(images)
            if progress:
                progress(len(images))
    return written
