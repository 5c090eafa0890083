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

_PILLOW: dict[str, dict[str, Any]] = {
    ".gif": {"format": "GIF"},
    ".webp": {"format": "WEBP", "lossless": True, "quality": 50},
    ".apng": {"format": "PNG"},
}
SUFFIXES = (*_PILLOW, ".mp4")
MIN_FPS, MAX_FPS = 0.1, 240
# Pillow holds all frames of a GIF, WebP or APNG in memory before it writes the first: the limit of their bytes.
MAX_BYTES = 2**31


def check(path: Path, fps: float) -> None:
    """Make sure, before any frame is made, that an animation can be written under this name, at this rate.

    Raises:
        UsageError: another suffix, MP4 without PyAV, a path that cannot be written, or a rate outside 0.1 to 240.
    """
    if not MIN_FPS <= fps <= MAX_FPS:
        raise UsageError(f"{fps:g} frames a second cannot be shown", f"choose a rate from {MIN_FPS} to {MAX_FPS}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"'{path.name}' does not name an animation", f"end it in one of: {', '.join(SUFFIXES)}")
    if suffix == ".mp4":
        _av()
    files.check_file(path)


def save_animation(frames: Iterable[Tensor], path: Path | str, *, fps: float = 24) -> None:
    """Write frames as an animation.

    GIF shows grey images exactly and colours with 256 shades a frame; WebP and APNG are lossless, alpha
    included; all three repeat. MP4 is H.264, and is written while frames arrive. GIF and MP4 show alpha on white.

    Args:
        frames: uint8 (C, H, W) tensors of one shape, or one tensor (N, C, H, W).
        path: ends in .gif, .webp, .apng or .mp4.
        fps: frames per second, from 0.1 to 240; at most 50 in a GIF, since browsers slow down faster ones.

    Raises:
        UsageError: see :func:`check`.
        GancliError: no frame, too many pixels for memory, or channels that cannot be shown.
    """
    # Not above, so that check can refuse a name without loading torch.
    from gancli.rendering.images import to_pil

    path = Path(path)
    check(path, fps)
    if path.suffix.lower() == ".gif":
        fps = min(fps, 50)
    write = _mp4 if path.suffix.lower() == ".mp4" else _pillow
    pictures = map(to_pil, frames)
    first = next(pictures, None)
    if first is None:
        raise GancliError("there is no frame to animate")
    with files.atomic(path) as temporary:
        write(chain([first], pictures), temporary, fps, path.suffix.lower())


def _pillow(pictures: Iterator[Image.Image], path: Path, fps: float, suffix: str) -> None:
    from gancli.rendering.images import mark, opaque

    held, size = [], 0
    for picture in pictures:
        size += picture.width * picture.height * len(picture.getbands())
        if size > MAX_BYTES:
            raise GancliError("the animation is too large for this format", "name an .mp4, or make fewer frames")
        if suffix == ".gif" and picture.mode != "L":
            picture = opaque(picture).quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        held.append(picture)
    unit = 10 if suffix == ".gif" else 1  # milliseconds to which the times at which frames begin are rounded
    begins = [unit * round(frame * 1000 / fps / unit) for frame in range(len(held) + 1)]
    delays = [end - begin for begin, end in pairwise(begins)]
    held[0].save(
        path,
        save_all=True,
        append_images=held[1:],
        duration=delays,
        loop=0,
        **_PILLOW[suffix],
        **mark(_PILLOW[suffix]["format"]),
    )


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise UsageError("MP4 needs PyAV", "pip install 'gancli[video]', or name a .gif or a .webp") from None
    return av


def _mp4(pictures: Iterator[Image.Image], path: Path, fps: float, _suffix: str) -> None:
    from gancli.rendering.images import opaque

    av = _av()
    first = next(pictures)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        # 4:2:0 halves the resolution of colour, so both sides must be even.
        odd = first.width % 2, first.height % 2
        stream.width, stream.height = first.width + odd[0], first.height + odd[1]
        stream.pix_fmt = "yuv420p"
        # Near lossless, for the sharp edges of small images, costs little at these sizes.
        stream.options = {"crf": "12"}
        for picture in chain([first], pictures):
            padded = ImageOps.expand(opaque(picture).convert("RGB"), (0, 0, *odd), "white")
            container.mux(stream.encode(av.VideoFrame.from_image(padded)))
        container.mux(stream.encode())
