"""The layout of a folder or zip of images: which files are images, their classes, and the held-out split."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from gancli.data.builtin.names import TEST, TRAIN
from gancli.data.folder.decoding import prepare
from gancli.data.folder.files import LARGEST_FILE, Listing, Source, open_source
from gancli.data.pixels import BadImageError, suffixes
from gancli.data.types import ImageSet, Progress, View
from gancli.errors import UsageError, printable

_LABELS = "dataset.json"
# The first bytes of the common formats, for files without a known suffix: PNG, JPEG, GIF, BMP, TIFF; WebP is "RIFF".
_MAGIC = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")


class _Labels(BaseModel, strict=True):
    """``dataset.json`` of the StyleGAN tools: the class number of every image, or null."""

    labels: list[tuple[str, Annotated[int, Field(ge=0, lt=1_000_000)]]] | None


def title(path: Path) -> str:
    """The name of the data set at a path: the folder's, or the zip's without its ending."""
    whole = path.absolute().resolve() if path.name in ("", ".", "..") else path.absolute()
    return whole.name if path.is_dir() else whole.stem


def load(path: Path, split: str, view: View, progress: Progress) -> ImageSet:
    """One split of the images at ``path``; see :func:`listing` for what counts as classes and splits."""
    source = open_source(path)
    return prepare(source, listing(source, split), view, progress)


def listing(source: Source, split: str) -> Listing:
    """The images of a split.

    - A folder that contains all images (``photos/…``) is ignored.
    - ``train/`` with ``test/`` (or ``val/``) and nothing beside them are the splits; else all images are "train".
    - ``dataset.json`` at the top gives the labels, as in the archives of the StyleGAN tools.
    - Otherwise the top folders are the classes, unless images lie beside them or there is only one.

    Raises:
        UsageError: no image at all, no such split, a faulty ``dataset.json``.
    """
    images = [name for name in source.names if _is_image(source, name)]
    if not images:
        raise UsageError(
            f"'{source.path}' {'holds no image' if source.names else 'is empty'}",
            "name a folder or a zip with images, such as PNG, JPEG or WebP",
        )
    root = common_folder(images)
    parts = _splits(images, root)
    if split == "test" and not parts:
        raise UsageError(
            f"'{source.path}' has no held-out split",
            "put its images into two folders train/ and test/, or use the split 'train'",
        )
    if parts:
        chosen = [name for name in images if name.startswith(parts[split])]
        # Labels mean the same in both splits: the classes are those of both.
        return _by_folder(chosen, images, tuple(parts.values()))
    folder = root
    while folder + _LABELS not in source.names:
        if not folder:
            return _by_folder(images, images, (root,))
        folder = _folder(folder[:-1])
    return _by_json(source, folder, images)


def _is_image(source: Source, name: str) -> bool:
    """By its suffix, or, where that is unknown, by its first bytes; its contents are checked by decoding."""
    # Hidden files, whose names begin with a dot, are not listed.
    if name[name.rfind(".") :].lower() in suffixes():
        return True
    try:
        with source.open(name) as file:
            head = file.read(16)
    except BadImageError:
        return False
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def common_folder(names: Sequence[str]) -> str:
    """The folder, with its slash, in which all of them lie; "" for the top."""
    return _folder(os.path.commonprefix([min(names), max(names)]))  # noqa: RUF071 - cut at a slash by _folder


def _folder(name: str) -> str:
    """The folder of a file, with the slash."""
    return name[: name.rfind("/") + 1]


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sort key in which numbers count by their value: 2 before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def _splits(images: Sequence[str], root: str) -> dict[str, str]:
    folders = {_folder(name) for name in images}
    if root in folders:
        return {}
    tops = {folder[len(root) :].partition("/")[0] for folder in folders}
    train = [top for top in tops if top.lower() in TRAIN]
    held = sorted((top for top in tops if top.lower() in TEST), key=lambda top: TEST.index(top.lower()))
    if len(train) != 1 or not held or len(tops) != 1 + len(held):
        return {}
    # With both test/ and val/, test/ is the held-out split.
    return {"train": f"{root}{train[0]}/", "test": f"{root}{held[0]}/"}


def _by_folder(chosen: list[str], everything: Sequence[str], roots: tuple[str, ...]) -> Listing:
    """Label the chosen images by their folder below one of the roots, which do not overlap."""

    def top(folder: str) -> str:
        root = next(root for root in roots if folder.startswith(root))
        return folder[len(root) :].partition("/")[0]

    # There are far fewer folders than files.
    tops = {folder: top(folder) for folder in {_folder(name) for name in everything} if folder.startswith(roots)}
    classes = sorted(set(tops.values()), key=_natural)
    if len(classes) < 2 or "" in classes:
        return Listing(chosen, None, ())
    number = {name: index for index, name in enumerate(classes)}
    shown = tuple(printable(name) for name in classes)
    return Listing(chosen, [number[tops[_folder(name)]] for name in chosen], shown)


def _by_json(source: Source, root: str, images: Sequence[str]) -> Listing:
    """Labels of the StyleGAN tools: ``{"labels": [["00000/img00000000.png", 6], …]}``, or null for none."""
    where = f"'{root}{_LABELS}' of '{source.path}'"
    hint = 'it should read {"labels": [["name.png", 0], ...]}, with a class number for every image'
    # Parsed JSON takes many times its size in memory, and may be compressed a thousandfold.
    most = min(LARGEST_FILE, 2**20 + 1024 * len(source.names))
    try:
        with source.open(root + _LABELS) as file:
            text = file.read(most + 1)
        if len(text) > most:
            raise UsageError(f"{where} is larger than labels of {len(source.names):,} files can be", hint)
        pairs = _Labels.model_validate_json(text).labels
    except BadImageError as error:
        raise UsageError(f"{where} cannot be read: {error}", hint) from None
    except ValidationError as error:
        fault = error.errors()[0]
        at = ".".join(map(str, fault["loc"]))
        raise UsageError(f"{where} is faulty{f' at {at}' if at else ''}: {fault['msg']}", hint) from None
    if pairs is None:
        return Listing(list(images), None, ())
    labels = {root + name.replace("\\", "/"): label for name, label in pairs}
    if unknown := sorted(labels.keys() - source.names):
        raise UsageError(f"{where} labels '{unknown[0][len(root) :]}', which does not exist", hint)
    if missing := [name for name in images if name not in labels]:
        raise UsageError(f"{where} has no label for '{missing[0][len(root) :]}'", hint)
    classes = tuple(map(str, range(max(labels.values()) + 1)))
    return Listing(list(images), [labels[name] for name in images], classes)
