"""Write images as tar shards with an index; the same images give the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image
from torch import Tensor

from gancli.data import loading
from gancli.data.builtin.names import DATASETS, SPLITS
from gancli.data.folder import layout
from gancli.data.folder.decoding import in_parallel, strict_about_bombs
from gancli.data.folder.files import Listing, Source, open_source
from gancli.data.paths import there
from gancli.data.pixels import BadImageError, common_format
from gancli.data.shards.index_file import Index, write_index
from gancli.data.shards.names import is_sharded
from gancli.data.types import Progress, Skipped, no_progress
from gancli.errors import UsageError
from gancli.files import check_folder, make_folder

_BLOCK = 512
"""Encoded images that are held in memory."""


@dataclass(frozen=True)
class Item:
    """An image to be written.

    Attributes:
        name: decides its position; no two are alike.
        label: its class, or None.
        read: its bytes and suffix; BadImageError where it cannot be read.
    """

    name: str
    label: int | None
    read: Callable[[], tuple[bytes, str]]


def write_shards(
    name: str, out: Path, per_shard: int, *, data_dir: Path | None = None, progress: Progress | None = None
) -> Index:
    """Write every split of a data set as shards, ``train-000000.tar`` and so on, with their ``index.json``.

    JPEG, PNG and WebP files are stored unchanged, others and named data sets as PNG. The order is shuffled, so that
    every shard is a random sample of the whole.

    Args:
        name: a folder or zip of images, or a name of :data:`gancli.data.DATASETS`.
        out: a new folder, made whole or not at all.
        per_shard: images in each.
        data_dir: the first folder to search for named sets.
        progress: called with the task, how much of it is done, and the total.

    Raises:
        UsageError: an unknown name, no image, shards already, numbers, or ``out`` exists.
    """
    report = progress or no_progress
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"'{out}' exists already", "name a new folder with --out")
    check_folder(out.parent)
    splits, classes = _items(name, data_dir, report)
    make_folder(out.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    skipped: list[Skipped] = []
    try:
        with strict_about_bombs():
            for split, items in splits.items():
                _write_split(draft, split, items, per_shard, skipped, report)
        if not any(draft.iterdir()):
            raise UsageError(
                f"none of the images of '{name}' can be read ({skipped[0].name}: {skipped[0].reason})",
                "is it a folder or a zip of images?",
            )
        made = write_index(draft, classes, report)
        draft.chmod(0o755)
        if out.exists():
            out.rmdir()
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made.model_copy(update={"skipped": (*skipped, *made.skipped)})


def _items(name: str, data_dir: Path | None, progress: Progress) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """The images of every split there is, and the classes."""
    if name in DATASETS:
        if DATASETS[name].formula:
            raise UsageError(f"'{name}' is numbers, and shards hold images", "name a folder or a zip of images")
        found = {split: loading.load(name, split=split, data_dir=data_dir, progress=progress) for split in SPLITS}
        return {split: _of_tensor(each.images, each.labels) for split, each in found.items()}, DATASETS[name].classes
    if is_sharded(name):
        raise UsageError(f"'{name}' is shards already", "name a folder or a zip of images")
    if not there(name):
        raise UsageError(f"there is no data set '{name}'", "a folder or a zip of images")
    source = open_source(Path(name).expanduser())
    train = layout.listing(source, "train")
    splits = {"train": _of_files(source, train)}
    with contextlib.suppress(UsageError):  # there is no held-out split
        splits["test"] = _of_files(source, layout.listing(source, "test"))
    return splits, train.classes


def _of_tensor(images: Tensor, labels: Tensor | None) -> list[Item]:
    """Images uint8 (N, C, H, W) with labels int64 (N,) or None."""
    numbers = [None] * len(images) if labels is None else labels.tolist()
    return [
        Item(f"{index:08d}", label, partial(_png, image))
        for index, (image, label) in enumerate(zip(images, numbers, strict=True))
    ]


def _png(image: Tensor) -> tuple[bytes, str]:
    file, pixels = io.BytesIO(), image.permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue(), "png"


def _of_files(source: Source, found: Listing) -> list[Item]:
    def read(name: str) -> tuple[bytes, str]:
        with source.open(name) as file:
            return common_format(file)

    labels = found.labels or [None] * len(found.names)
    return [Item(name, label, partial(read, name)) for name, label in zip(found.names, labels, strict=True)]


def _write_split(
    out: Path, split: str, items: Sequence[Item], per_shard: int, skipped: list[Skipped], progress: Progress
) -> None:
    """The shards of one split; images that cannot be read are added to ``skipped``."""
    # Shuffled by a hash: the same on every machine and in every version of Python.
    mixed = sorted(items, key=lambda item: hashlib.sha256(item.name.encode(errors="surrogateescape")).digest())

    with contextlib.ExitStack() as open_tar:
        written, tar = 0, None
        encoded = in_parallel(
            lambda index: mixed[index].read(), len(mixed), progress, f"writing {split} shards", _BLOCK
        )
        for item, data in zip(mixed, encoded, strict=True):
            if isinstance(data, BadImageError):
                skipped.append(Skipped(item.name, str(data)))
                continue
            if tar is None or written % per_shard == 0:
                open_tar.close()
                path = out / f"{split}-{written // per_shard:06d}.tar"
                tar = open_tar.enter_context(tarfile.open(path, "x", format=tarfile.USTAR_FORMAT))
            _add(tar, f"{written:08d}.{data[1]}", data[0])
            if item.label is not None:
                _add(tar, f"{written:08d}.cls", str(item.label).encode())
            written += 1


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a member without time, owner and permissions."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
