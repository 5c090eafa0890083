"""Small pictures, folders and zips to read."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def picture(
    shade: int | tuple[int, ...] = 0, size: tuple[int, int] = (8, 8), kind: str = "PNG", mode: str = ""
) -> bytes:
    """A file of one colour; size is (height, width)."""
    file = io.BytesIO()
    mode = mode or ("L" if isinstance(shade, int) else "RGB")
    Image.new(mode, (size[1], size[0]), shade).save(file, kind)
    return file.getvalue()


def noise(seed: int, size: tuple[int, int] = (8, 8), channels: int = 3) -> bytes:
    """A PNG of random pixels; size is (height, width)."""
    file = io.BytesIO()
    shape = (*size, 3) if channels == 3 else size
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    """A folder with these files."""
    root.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def pack(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip with these files."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def labels(pairs: object) -> bytes:
    """A dataset.json."""
    return json.dumps({"labels": pairs}).encode()
