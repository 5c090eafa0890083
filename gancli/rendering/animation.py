"""Animations: GIF, WebP, APNG and MP4, chosen by the file's suffix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from gancli import files
from gancli.errors import GancliError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".gif", ".webp", ".apng", ".mp4")
MIN_FPS, MAX_FPS = 0.1, 240
# WebP ends at 16383 pixels a side, and video codecs earlier.
MAX_SIDE = 8192
# Pillow holds all frames of a GIF, WebP or APNG in memory before it writes the first: the limit of their bytes.
MAX_BYTES = 2**31


def check_path(path: Path) -> None:
    """Make sure, before any frame is made, that an animation can be written under this name.

    Raises:
        UsageError: another suffix, MP4 without PyAV, or a path that cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"'{path.name}' does not name an animation", f"end it in one of: {', '.join(SUFFIXES)}")
    if suffix == ".mp4":
        _av()
    files.check_file(path)


def check_fps(fps: float) -> None:
    """Refuse rates outside 0.1 to 240 frames per second.

    Raises:
        UsageError: such a rate.
    """
    if not MIN_FPS <= fps <= MAX_FPS:
        raise UsageError(f"{fps:g} frames a second cannot be shown", f"choose a rate from {MIN_FPS} to {MAX_FPS}")


def save_animation(frames: Iterable[Tensor], path: Path | str, *, fps: float = 24, loop: bool = True) -> float:
    """Write frames as an animation.

    GIF shows grey images exactly and colours with 256 shades a frame, without alpha; WebP and APNG are lossless; MP4 is
    H.264 where this build of PyAV has it, else MPEG-4 part 2, and is written while frames arrive.

    Args:
        frames: uint8 (C, H, W) tensors of one shape, or one tensor (N, C, H, W).
        path: ends in .gif, .webp, .apng or .mp4.
        fps: frames per second, from 0.1 to 240.
        loop: whether GIF, WebP and APNG repeat.

    Returns:
        The frames per second that the file shows: at most 50 for a GIF, since browsers slow down faster ones.

    Raises:
        UsageError: see :func:`check_path` and :func:`check_fps`.
        GancliError: no frame, frames of several shapes, too large ones, or channels that cannot be shown.
    """
    # Not above, so that check_path can refuse a name without loading torch.
    from gancli.rendering.images import to_pil

    path = Path(path)
    check_path(path)
    check_fps(fps)
    if path.suffix.lower() == ".gif":
        fps = min(fps, 50)
    write = {".gif": _gif, ".webp": _webp, ".apng": _apng, ".mp4": _mp4}[path.suffix.lower()]
    pictures = _checked(map(to_pil, frames))
    first = next(pictures, None)
    if first is None:
        raise GancliError("there is no frame to animate")
    with files.atomic(path) as temporary:
        write(chain([first], pictures), temporary, fps, loop)
    return fps


def _checked(pictures: Iterator[Image.Image]) -> Iterator[Image.Image]:
    """Pictures of one size and mode that are not too large."""
    kind = None
    for picture in pictures:
        kind = kind or (picture.size, picture.mode)
        if (picture.size, picture.mode) != kind:
            raise GancliError(f"a frame is {picture.size} {picture.mode}, but the first one is {kind[0]} {kind[1]}")
        if max(picture.size) > MAX_SIDE:
            raise GancliError(
                f"frames of {picture.width} x {picture.height} pixels are too large for an animation",
                f"{MAX_SIDE} a side is the limit",
            )
        yield picture


def _pillow(
    pictures: Iterator[Image.Image], path: Path, kind: str, fps: float, *, unit: int = 1, **options: Any
) -> None:
    """Write with Pillow; the times at which frames begin are rounded to ``unit`` milliseconds."""
    held, size = [], 0
    for picture in pictures:
        size += picture.width * picture.height * len(picture.getbands())
        if size > MAX_BYTES:
            raise GancliError("the animation is too large for this format", "name an .mp4, or make fewer frames")
        held.append(picture)
    begins = [unit * round(frame * 1000 / fps / unit) for frame in range(len(held) + 1)]
    delays = [end - begin for begin, end in pairwise(begins)]
    held[0].save(path, kind, save_all=True, append_images=held[1:], duration=delays, **options)


def _gif(pictures: Iterator[Image.Image], path: Path, fps: float, loop: bool) -> None:
    def indexed(picture: Image.Image) -> Image.Image:
        if picture.mode == "L":
            return picture
        return _opaque(picture).quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)

    _pillow(map(indexed, pictures), path, "GIF", fps, unit=10, **({"loop": 0} if loop else {}))


def _webp(pictures: Iterator[Image.Image], path: Path, fps: float, loop: bool) -> None:
    coloured = (picture.convert("RGB") if picture.mode == "L" else picture for picture in pictures)
    _pillow(coloured, path, "WEBP", fps, loop=int(not loop), lossless=True, quality=50)


def _apng(pictures: Iterator[Image.Image], path: Path, fps: float, loop: bool) -> None:
    _pillow(pictures, path, "PNG", fps, loop=int(not loop))


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture on white, in RGB."""
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise UsageError("MP4 needs PyAV", "pip install 'gancli[video]', or name a .gif or a .webp") from None
    return av


def _mp4(pictures: Iterator[Image.Image], path: Path, fps: float, loop: bool) -> None:
    av = _av()
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    first = next(pictures)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        # 4:2:0 halves the resolution of colour, so both sides must be even.
        odd = first.width % 2, first.height % 2
        stream.width, stream.height = first.width + odd[0], first.height + odd[1]
        stream.pix_fmt = "yuv420p"
        # Near lossless, for the sharp edges of small images, costs little at these sizes.
        stream.options = {"crf": "12"} if codec == "libx264" else {"qscale": "2"}
        for picture in chain([first], pictures):
            padded = ImageOps.expand(_opaque(picture), (0, 0, *odd), "white")
            container.mux(stream.encode(av.VideoFrame.from_image(padded)))
        container.mux(stream.encode())
