"""Images that a user names on the command line: files, folders or zips, or a data set's held-out split."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from gancli.data import loading
from gancli.data.builtin.names import DATASETS
from gancli.data.folder import layout
from gancli.data.folder.files import is_zip, open_source
from gancli.data.hub.fetching import path_of
from gancli.data.paths import there
from gancli.data.pixels import BadImageError, Range, Scale, decode, parse_colour, parse_fit, probe, value_range
from gancli.data.types import Fit, Progress, Skipped, no_progress
from gancli.errors import UsageError
from gancli.hub.names import is_hub

_CHANGES: dict[Fit, str] = {"crop": "cropped and resized", "pad": "padded and resized", "stretch": "stretched"}
"""What is done to an image of another aspect ratio."""


@dataclass(frozen=True)
class File:
    """A file that a user named, alone or with its folder or zip.

    Attributes:
        title: the name of results that are made of it.
        name: its path inside the folder or zip; of a file named alone, what the user typed.
        path: its path on the disk: the file itself, or the zip that contains it.
        open: its bytes; BadImageError when they cannot be read.
    """

    title: str
    name: str
    path: Path
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class UserImages:
    """Images, ready for a model.

    Attributes:
        names: the name of results of each: its file's name without the suffix, or its number in the data set.
        images: uint8 (N, C, H, W).
        skipped: files that could not be decoded, with the reason.
        changed: what was done to images of another size, as in "cropped and resized"; empty where all had the
            requested size.
    """

    names: tuple[str, ...]
    images: Tensor
    skipped: tuple[Skipped, ...] = ()
    changed: str = ""


def read(
    names: str | Sequence[str],
    shape: tuple[int, int, int],
    *,
    count: int | None = None,
    fit: str = "crop",
    background: str = "white",
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> UserImages:
    """The first images of what a user named.

    Args:
        names: an image's file, a folder, a zip, or several of these; or a data set's name, which stands for its test
            split. Of a folder with a held-out split, that split is read.
        shape: (channels, height, width) of the result.
        count: at most so many; None for all.
        fit: how an image of another shape is brought to it; see :func:`gancli.data.load`.
        background: the colour below transparent pixels and around padded images.
        data_dir: the first folder to search for named sets.
        progress: called with the number of images read.

    Raises:
        UsageError: an unknown name, two files of the same name, or no image that can be decoded.
    """
    channels, size = shape[0], (shape[1], shape[2])
    how, colour, report = parse_fit(fit), parse_colour(background), progress or no_progress
    named = as_list(names)
    if len(named) == 1 and named[0] in DATASETS:
        name = named[0]
        made = loading.load(
            name, split="test", size=size, channels=channels, fit=fit, background=background,
            data_dir=data_dir, progress=progress,
        )  # fmt: skip
        images = made.images[:count]
        changed = _changed({DATASETS[name].size}, size, how)
        return UserImages(tuple(f"{index:05d}" for index in range(len(images))), images, changed=changed)
    files = list_files(named)[:count]
    scale = Scale(lambda: _ranges(files))
    titles, images, skipped, sizes = [], [], [], set()
    for file in files:
        try:
            with file.open() as opened:
                own = probe(opened)[0]
                opened.seek(0)
                array = decode(opened, size, channels, how, colour, scale)
        except BadImageError as error:
            skipped.append(Skipped(file.name, str(error)))
            continue
        titles.append(file.title)
        images.append(torch.tensor(array))
        sizes.add(own)
        report("reading images", len(images), len(files))
    if not images:
        raise UsageError(
            f"none of the images of {described(named)} can be read ({skipped[0].name}: {skipped[0].reason})",
            "is it an image?",
        )
    return UserImages(tuple(titles), torch.stack(images), tuple(skipped), _changed(sizes, size, how))


def _ranges(files: Sequence[File]) -> Iterator[Range | None]:
    for file in files:
        with suppress(BadImageError), file.open() as opened:
            yield value_range(opened)


def as_list(names: str | Sequence[str]) -> list[str]:
    """One name or several, as a list.

    Raises:
        UsageError: an empty list.
    """
    if not names and not isinstance(names, str):
        raise UsageError("no image is named", "name an image's file, a folder or a zip of images, or a data set")
    return [names] if isinstance(names, str) else list(names)


def described(names: str | Sequence[str]) -> str:
    """The names as errors show them: ``'photos'``, or ``'a.png' and 2 more``."""
    first, *more = as_list(names)
    return f"'{first}' and {len(more)} more" if more else f"'{first}'"


def list_files(names: str | Sequence[str]) -> list[File]:
    """The image files that a user named, in this order; none of a data set, which has no files.

    Raises:
        UsageError: an unknown name, a data set among other names, a folder or zip without images, or two files whose
            results would have the same name.
    """
    named = as_list(names)
    if len(named) == 1 and named[0] in DATASETS:
        return []
    found: dict[str, File] = {}
    for name in named:
        if name in DATASETS:
            raise UsageError(
                f"'{name}' is a data set, and stands among other images",
                f"give '{name}' alone; a folder of that name is './{name}'",
            )
        for file in _files(name):
            if file.title in found:
                raise UsageError(
                    f"'{found[file.title].path}' and '{file.path}' would both give '{file.title}'",
                    "rename one of them, or give them one after the other, each with another `out`",
                )
            found[file.title] = file
    return list(found.values())


def _files(name: str) -> list[File]:
    """The files of one name."""
    if not is_hub(name) and not there(name):
        raise UsageError(
            f"there is no image, folder or data set '{name}'",
            "an image's file, a folder or a zip of images, or a name that `gancli data list` shows",
        )
    path = path_of(name)
    if path.is_file() and not is_zip(path):
        return [File(path.stem, name, path, partial(path.open, "rb"))]
    source = open_source(path)
    try:
        names = layout.listing(source, "test").names
    except UsageError:  # there is no held-out split
        names = layout.listing(source, "train").names
    titles = [file.rpartition("/")[2].rpartition(".")[0] or file for file in names]
    if len(set(titles)) < len(titles):
        titles = [file.replace("/", "-") for file in names]
    return [
        File(title, file, path / file if path.is_dir() else path, partial(source.open, file))
        for title, file in zip(titles, names, strict=True)
    ]


def _changed(own: set[tuple[int, int]], size: tuple[int, int], fit: Fit) -> str:
    """What was done to images of these (height, width); empty where all have the requested one."""
    other = own - {size}
    if any(height * size[1] != width * size[0] for height, width in other):
        return _CHANGES[fit]
    return "resized" if other else ""
