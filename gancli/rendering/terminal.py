"""Small pictures in the terminal, two pixels a character."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import interpolate, pad

from gancli.rendering.images import arrange, check, to_pil

if TYPE_CHECKING:
    from rich.console import Console
    from rich_pixels import Pixels

# Images are not made smaller than this; fewer are shown instead.
_LEGIBLE = 8


def picture(images: Tensor, console: Console, *, columns: int = 8, height: int = 24) -> Pixels | None:
    """Images side by side for a terminal, downsampled, or fewer of them, to fit.

    Args:
        images: uint8 (N, C, H, W).
        console: where the picture will be printed.
        columns: images in a row, at most.
        height: lines, at most.

    Returns:
        Something for ``console.print``, or None if it cannot be shown: a pipe, NO_COLOR, a dumb or tiny terminal.

    Raises:
        GancliError: images that cannot be shown.
    """
    images = check(images)
    width = console.width
    if not console.is_terminal or console.is_dumb_terminal or console.no_color or console.color_system is None:
        return None
    if width < _LEGIBLE or 2 * height < _LEGIBLE:
        return None
    from rich_pixels import Pixels

    # One pixel more than the images need, on each side and between them; half a character is one pixel high.
    across, down = width - 1, height * 2 - 1
    cell = [min(side, _LEGIBLE) + 1 for side in images.shape[-2:]]
    columns = max(1, min(columns, len(images), across // cell[1]))
    rows = max(1, min(-(-len(images) // columns), down // cell[0]))
    small = _shrink(images[: rows * columns], down // rows - 1, across // columns - 1)
    if small.shape[1] != 4:  # with an alpha channel, gaps show the terminal's background
        small = pad(small.expand(-1, 3, -1, -1), (0, 0, 0, 0, 0, 1), value=255)
    grid = arrange(small, columns=columns, gap=1, background=0)
    return Pixels.from_image(to_pil(pad(grid, (0, 0, 0, grid.shape[1] % 2))))


def _shrink(images: Tensor, height: int, width: int) -> Tensor:
    """At most ``height`` x ``width`` pixels, by area averaging; smaller images stay as they are."""
    ratio = min(1.0, height / images.shape[2], width / images.shape[3])
    if ratio == 1:
        return images
    size = [max(1, int(side * ratio)) for side in images.shape[2:]]
    return interpolate(images.float(), size=size, mode="area").round().byte()
