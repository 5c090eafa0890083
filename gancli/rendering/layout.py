"""What a picture is to look like and be called, as users type it; no torch here."""

from __future__ import annotations

import re

from gancli.errors import UsageError

MAX_GRID = 10_000


def parse_grid(text: str) -> tuple[int, int]:
    """Read ``8x4``, eight columns of four rows, as (columns, rows).

    Raises:
        UsageError: not two whole numbers above 0 with an x between, or more than 10,000 cells.
    """
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX×]\s*([0-9]{1,9})\s*", text)
    if not found or not int(found[1]) or not int(found[2]):
        raise UsageError(f"--grid '{text[:40]}' is not columns x rows", "for example: --grid 8x4")
    columns, rows = int(found[1]), int(found[2])
    if columns * rows > MAX_GRID:
        raise UsageError(
            f"--grid {columns}x{rows} has {columns * rows:,} cells; one picture shows at most {MAX_GRID:,}",
            "choose a smaller grid; `gancli sample` also writes one PNG a seed: name a folder or a .zip with --out",
        )
    return columns, rows


def file_stem(model: str) -> str:
    """A model's name as the beginning of a file's name: "dcgan/mnist" is "dcgan-mnist"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[:100] or "samples"
