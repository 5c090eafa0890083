"""Small pictures in the terminal, two pixels a character."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from gancli.rendering.images import arrange, opaque, to_pil

if TYPE_CHECKING:
    from rich.console import Console
    from rich_pixels import Pixels

# Images are not made smaller than this; fewer are shown instead.
_LEGIBLE = 8


def picture(images: Tensor, console: Console, *, columns: int = 8, height: int = 24) -> Pixels | None:
    """Images side by side for a terminal, downsampled, or fewer of them, to fit; with alpha, on white.

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
    width = console.width
    if not console.is_terminal or console.is_dumb_terminal or console.no_color or console.color_system is None:
        return None
    if width < _LEGIBLE or 2 * height < _LEGIBLE:
        return None
    from rich_pixels import Pixels

    # A character shows two pixels, one above the other. Fewer images rather than too small ones.
    sides = [min(side, _LEGIBLE) + 1 for side in images.shape[-2:]]
    columns = max(1, min(columns, len(images), (width - 1) // sides[1]))
    rows = max(1, min(-(-len(images) // columns), (2 * height - 1) // sides[0]))
    grid = opaque(to_pil(arrange(images[: rows * columns], columns=columns, gap=1, background=0)))
    grid.thumbnail((width, 2 * height), Image.Resampling.BOX)
    return Pixels.from_image(grid)
