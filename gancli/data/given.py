"""The images that a user hands to a command: one file, a folder or a zip of them, or a data set's held-out split."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from gancli.data import folder, loading
from gancli.data.files import open_source
from gancli.data.names import DATASETS
from gancli.data.pixels import BadImageError, decode, parse_colour, parse_fit
from gancli.data.prepared import Progress, Skipped
from gancli.errors import UsageError


@dataclass(frozen=True)
class Given:
    """Images, ready for a model.

    Attributes:
        names: what to call what is made of each: its file's name without the ending, or its number in the data set.
        images: uint8 (N, C, H, W).
        skipped: files that are no images, with the reason.
    """

    names: tuple[str, ...]
    images: Tensor
    skipped: tuple[Skipped, ...] = ()


def read(
    name: str,
    shape: tuple[int, int, int],
    *,
    count: int | None = None,
    fit: str = "crop",
    background: str = "white",
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Given:
    """The first images of what a user named.

    Args:
        name: an image's file, a folder, a zip, or a data set's name, which stands for its test split. A folder with a
            held-out split gives that one.
        shape: (channels, height, width) that they are brought to.
        count: at most so many; None for all.
        fit: how an image of another shape is brought to it; see :func:`gancli.data.load`.
        background: the colour below transparent pixels and around padded images.
        data_dir: where named sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: nothing is called so, or there is no image that can be read.
    """
    channels, *size = shape
    if name in DATASETS:
        made = loading.load(
            name, split="test", size=(size[0], size[1]), channels=channels, fit=fit, background=background,
            data_dir=data_dir, progress=progress,
        )  # fmt: skip
        images = made.images[:count]
        return Given(tuple(f"{index:05d}" for index in range(len(images))), images)
    path = Path(name).expanduser()
    if not name or not os.path.exists(path):  # noqa: PTH110 - unlike Path.exists, never raises
        raise UsageError(
            f"there is no image, folder or data set '{name}'",
            "an image's file, a folder or a zip of images, or a name that `gancli data list` shows",
        )
    files = _files(path)
    kept, images, skipped = [], [], []
    for file, opening in files:
        if len(images) == count:
            break
        try:
            with opening() as opened:
                array = decode(opened, (size[0], size[1]), channels, parse_fit(fit), parse_colour(background))
        except BadImageError as error:
            skipped.append(Skipped(file, str(error)))
            continue
        kept.append(file)
        images.append(torch.tensor(array))
        if progress:
            progress("reading images", len(images), min(len(files), count or len(files)))
    if not images:
        raise UsageError(
            f"none of the images of '{path}' can be read ({skipped[0].name}: {skipped[0].reason})", "is it an image?"
        )
    return Given(_titles(kept), torch.stack(images), tuple(skipped))


def _files(path: Path) -> list[tuple[str, Callable[[], BinaryIO]]]:
    """The images' files by name, and how to open each."""
    if path.is_file() and not zipfile.is_zipfile(path):
        return [(path.name, partial(path.open, "rb"))]
    source = open_source(path)
    try:
        names = folder.listing(source, "test").names
    except UsageError:  # no held-out split: then all there are
        names = folder.listing(source, "train").names
    return [(name, partial(source.open, name)) for name in names]


def _titles(files: list[str]) -> tuple[str, ...]:
    """File names without folders and endings, or with them where two would be alike."""
    plain = [file.rpartition("/")[2].rpartition(".")[0] or file for file in files]
    return tuple(plain if len(set(plain)) == len(plain) else [file.replace("/", "-") for file in files])
