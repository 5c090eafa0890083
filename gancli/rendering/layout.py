"""Limits and names of pictures; no torch here."""

import re

MAX_GRID = 10_000
"""Images in one picture."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes of pictures."""


def file_stem(model: str) -> str:
    """A model's name as the beginning of a file's name: "dcgan/mnist" is "dcgan-mnist"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[:100] or "samples"
