"""Grids with captions for columns and rows."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancli.rendering.images import grid, opaque, save_picture

SIZE, LINE, MARGIN = 12, 18, 4
"""Pixels: font size, line height, and margin at either end of a caption."""


def save_captioned(
    images: Tensor,
    path: Path,
    *,
    columns: int,
    scale: int | None = None,
    above: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> None:
    """Write many images as one PNG, as :func:`~gancli.rendering.images.save_grid` does, with captions.

    They are black: images with alpha are shown on white.

    Args:
        images: uint8 (N, C, H, W).
        path: the file.
        columns: cells in a row.
        scale: whole factor of enlargement; :func:`~gancli.rendering.images.default_scale` by default.
        above: a caption for each column.
        beside: a caption for each row, on its left.

    Raises:
        UsageError: too many pixels for one picture, or a path that cannot be written.
        GancliError: images that cannot be shown.
    """
    picture, font = opaque(grid(images, columns=columns, scale=scale)), ImageFont.load_default(SIZE)
    left = max((round(font.getlength(text)) + 2 * MARGIN for text in beside), default=0)
    top = LINE if above else 0
    page = Image.new(picture.mode, (left + picture.width, top + picture.height), "white")
    page.paste(picture, (left, top))
    pen = ImageDraw.Draw(page)
    across, down = picture.width / columns, picture.height / max(1, len(beside))
    for column, text in enumerate(above):
        pen.text((left + (column + 0.5) * across, LINE / 2), text, "black", font, "mm")
    for row, text in enumerate(beside):
        pen.text((left - MARGIN, top + (row + 0.5) * down), text, "black", font, "rm")
    save_picture(page, path)
