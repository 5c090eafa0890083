"""Moving pictures: GIF, WebP, APNG and MP4, chosen by the file's suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gancli import files
from gancli.errors import GancliError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".gif", ".webp", ".apng", ".mp4")
MIN_FPS, MAX_FPS = 0.1, 240
# WebP ends at 16383 pixels a side, and video codecs earlier.
MAX_SIDE = 8192
# Pillow holds all frames of a GIF, WebP or APNG before it writes the first: bytes of pixels that may add up.
MAX_BYTES = 2**31


def check_path(path: Path) -> None:
    """Make sure, before any frame is made, that an animation can be written under this name.

    Raises:
        UsageError: a suffix that is no animation's, MP4 without PyAV, a place that cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"'{path.name}' does not end like an animation", f"end it in one of: {', '.join(SUFFIXES)}")
    if suffix == ".mp4":
        _av()
    files.check_file(path)


def check_fps(fps: float) -> None:
    """Make sure that a rate, in frames a second, can be shown.

    Raises:
        UsageError: not from 0.1 to 240.
    """
    if not MIN_FPS <= fps <= MAX_FPS:
        raise UsageError(f"{fps:g} frames a second cannot be shown", f"choose a rate from {MIN_FPS} to {MAX_FPS}")


def shown_fps(path: Path, fps: float) -> float:
    """The rate at which such a file shows its frames: 50 a second at most in a GIF, where browsers slow down others."""
    return min(fps, 50) if path.suffix.lower() == ".gif" else fps


def save_animation(frames: Iterable[Tensor], path: Path | str, *, fps: float = 24, loop: bool = True) -> float:
    """Write frames as an animation.

    GIF shows grey images exactly and colours with 256 shades a frame, without alpha; WebP and APNG are lossless; MP4 is
    H.264 where this build of PyAV has it, else MPEG-4 part 2, and is written while frames arrive.

    Args:
        frames: uint8 (C, H, W) tensors of one shape, or one tensor (N, C, H, W).
        path: ends in .gif, .webp, .apng or .mp4.
        fps: frames a second, from 0.1 to 240.
        loop: whether GIF, WebP and APNG start again at their end.

    Returns:
        The frames a second that the file shows, on average; see :func:`shown_fps`.

    Raises:
        UsageError: see :func:`check_path` and :func:`check_fps`.
        GancliError: no frame, frames of several shapes, too large ones, or channels that cannot be shown.
    """
    # Not above: a wrong name is told (check_path) before torch has been loaded.
    from gancli.rendering.images import to_pil

    path = Path(path)
    check_path(path)
    check_fps(fps)
    fps = shown_fps(path, fps)
    write = {".gif": _gif, ".webp": _webp, ".apng": _apng, ".mp4": _mp4}[path.suffix.lower()]
    pictures = _alike(map(to_pil, frames))
    first = next(pictures, None)
    if first is None:
        raise GancliError("there is no frame to animate")
    with files.atomic(path) as temporary:
        write(chain([first], pictures), temporary, fps, loop)
    return fps


def _alike(pictures: Iterator[Image.Image]) -> Iterator[Image.Image]:
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
    pictures: Iterator[Image.Image],
    path: Path,
    kind: str,
    fps: float,
    prepare: Callable[[Image.Image], Image.Image],
    unit: int = 1,
    **options: Any,
) -> None:
    """Write with Pillow; the times at which frames begin are rounded to ``unit`` milliseconds."""
    first, *others = map(prepare, _bounded(pictures))
    begins = [unit * round(place * 1000 / fps / unit) for place in range(len(others) + 2)]
    delays = [end - begin for begin, end in pairwise(begins)]
    first.save(path, kind, save_all=True, append_images=others, duration=delays, **options)


def _bounded(pictures: Iterator[Image.Image]) -> Iterator[Image.Image]:
    size = 0
    for picture in pictures:
        size += picture.width * picture.height * len(picture.getbands())
        if size > MAX_BYTES:
            raise GancliError("the animation is too large for this kind of file", "name an .mp4, or make fewer frames")
        yield picture


def _gif(pictures: Iterator[Image.Image], path: Path, fps: float, loop: bool) -> None:
    def prepare(picture: Image.Image) -> Image.Image:
        if picture.mode == "L":
            return picture
        return _opaque(picture).quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)

    _pillow(pictures, path, "GIF", fps, prepare, unit=10, **({"loop": 0} if loop else {}))


def _webp(pictures: Iterator[Image.Image], path: Path, fps: float, loop: bool) -> None:
    def prepare(picture: Image.Image) -> Image.Image:
        return picture.convert("RGB") if picture.mode == "L" else picture

    _pillow(pictures, path, "WEBP", fps, prepare, loop=int(not loop), lossless=True, quality=50)


def _apng(pictures: Iterator[Image.Image], path: Path, fps: float, loop: bool) -> None:
    _pillow(pictures, path, "PNG", fps, lambda picture: picture, loop=int(not loop))


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture on white, in RGB."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture).convert("RGB")


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
        # 4:2:0 halves the resolution of colour, so that both sides have to be even.
        stream.width, stream.height = (side + side % 2 for side in first.size)
        stream.pix_fmt = "yuv420p"
        # Small pictures deserve their sharp edges: near lossless costs little at these sizes.
        stream.options = {"crf": "12"} if codec == "libx264" else {"qscale": "2"}
        for picture in chain([first], pictures):
            frame = av.VideoFrame.from_image(_even(_opaque(picture)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _even(picture: Image.Image) -> Image.Image:
    size = picture.width + picture.width % 2, picture.height + picture.height % 2
    if size == picture.size:
        return picture
    padded = Image.new("RGB", size, "white")
    padded.paste(picture)
    return padded
