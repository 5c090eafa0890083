"""Grids with captions for columns and rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import pad

from gancli.rendering.images import BACKGROUND, arrange, check, default_scale, enlarge, grid_size, save_picture, to_pil

SIZE, LINE, MARGIN = 12, 18, 4
"""Pixels: font size, line height, and margin at either end of a caption."""

LONGEST = 48
"""Characters of a caption; longer ones are cut."""


def captioned(
    images: Tensor,
    *,
    columns: int,
    scale: int = 1,
    gap: int = 2,
    above: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Tensor:
    """One picture of many, as :func:`~gancli.rendering.images.arrange` makes it, with captions.

    Args:
        images: uint8 (N, C, H, W).
        columns: cells in a row.
        scale: whole factor of enlargement.
        gap: pixels between cells.
        above: a caption for each column; all columns become as wide as the widest caption.
        beside: a caption for each row, on its left.

    Returns:
        uint8 (C, H', W').

    Raises:
        UsageError: too many pixels for one picture.
        GancliError: images that cannot be shown.
    """
    n, _, height, width = check(images).shape
    columns, rows = grid_size(n, height, width, columns=columns, scale=scale, gap=gap)
    height, width, wanted = height * scale, width * scale, max(map(_length, above), default=0)
    room = max(0, wanted - width)
    height = max(height, LINE) if beside else height
    below = height - images.shape[2] * scale
    cells = pad(enlarge(check(images), scale), (room // 2, room - room // 2, 0, below), value=BACKGROUND)
    picture = arrange(cells, columns=columns, gap=gap)
    left, top = max(map(_length, beside), default=0), LINE if above else 0
    page = Image.new("L", (left + picture.shape[2], top + picture.shape[1]), BACKGROUND)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(SIZE)
    for column, text in enumerate(above[:columns]):
        middle = left + gap + column * (width + room + gap) + (width + room) / 2
        pen.text((middle, LINE / 2), text[:LONGEST], 0, font, "mm")
    for row, text in enumerate(beside[:rows]):
        middle = top + gap + row * (height + gap) + (height - below) / 2
        pen.text((left - MARGIN, middle), text[:LONGEST], 0, font, "rm")
    whole = torch.from_numpy(np.array(page)).expand(len(picture), -1, -1).clone()
    whole[:, top:, left:] = picture
    return whole


def save_captioned(
    images: Tensor,
    path: Path,
    *,
    columns: int,
    scale: int | None = None,
    above: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> None:
    """Write :func:`captioned` as a PNG; ``scale`` is :func:`default_scale` by default.

    Raises:
        UsageError: a path that cannot be written.
    """
    scale = scale or default_scale(*images.shape[2:])
    save_picture(to_pil(captioned(images, columns=columns, scale=scale, above=above, beside=beside)), path)


def _length(text: str) -> int:
    return int(np.ceil(ImageFont.load_default(SIZE).getlength(text[:LONGEST]))) + 2 * MARGIN
