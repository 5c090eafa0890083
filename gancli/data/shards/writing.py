"""Images -> tar shards with an index, the same bytes for the same images."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from gancli.data import loading
from gancli.data.builtin.names import DATASETS, SPLITS
from gancli.data.folder import layout
from gancli.data.folder.decoding import in_order, strict_about_bombs
from gancli.data.folder.files import Source, open_source
from gancli.data.pixels import BadImageError, as_shared
from gancli.data.shards.index_file import Index, write_index
from gancli.data.shards.names import is_sharded
from gancli.data.types import Progress, Skipped
from gancli.errors import UsageError
from gancli.files import check_folder, make_folder


@dataclass(frozen=True)
class Item:
    """An image on its way into a shard.

    Attributes:
        name: decides its place; no two are alike.
        label: its class, or None.
        read: its bytes and suffix; BadImageError where there are none.
    """

    name: str
    label: int | None
    read: Callable[[], tuple[bytes, str]]


def write_shards(
    name: str,
    out: Path,
    per_shard: int,
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Index:
    """Write every split of a data set as shards, ``train-000000.tar`` and so on, with their ``index.json``.

    JPEG, PNG and WebP files go in as they are, others and named data sets as PNG. Images are mixed, so that each shard
    is like the whole.

    Args:
        name: a folder or zip of images, or a name of :data:`gancli.data.DATASETS`.
        out: a new folder, made whole or not at all.
        per_shard: images in each.
        data_dir: where named sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: nothing is called so, no image, shards already, numbers, or ``out`` is taken.
    """
    report = progress or (lambda what, done, total: None)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"'{out}' is taken", "name a new folder with --out")
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
    return replace(made, skipped=(*skipped, *made.skipped))


def _items(name: str, data_dir: Path | None, progress: Progress) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """The images of every split there is, and the classes."""
    if name in DATASETS:
        if DATASETS[name].formula:
            raise UsageError(f"'{name}' is numbers, and shards hold images", "name a folder or a zip of images")
        found = {split: loading.load(name, split=split, data_dir=data_dir, progress=progress) for split in SPLITS}
        return {split: _of_tensor(each.images, each.labels) for split, each in found.items()}, DATASETS[name].classes
    if is_sharded(name):
        raise UsageError(f"'{name}' is shards already", "name a folder or a zip of images")
    if not name or not Path(name).expanduser().exists():
        raise UsageError(f"there is no data set '{name}'", "a folder or a zip of images")
    source = open_source(Path(name).expanduser())
    train = layout.listing(source, "train")
    splits = {"train": _of_files(source, train)}
    with contextlib.suppress(UsageError):  # nothing is held out
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
    file, pixels = io.BytesIO(), image.numpy()
    Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(
        file, "PNG"
    )
    return file.getvalue(), "png"


def _of_files(source: Source, found: layout.Listing) -> list[Item]:
    def read(name: str) -> tuple[bytes, str]:
        with source.open(name) as file:
            return as_shared(file)

    labels = found.labels or [None] * len(found.names)
    return [Item(name, label, partial(read, name)) for name, label in zip(found.names, labels, strict=True)]


def _write_split(
    out: Path, split: str, items: Sequence[Item], per_shard: int, skipped: list[Skipped], progress: Progress
) -> None:
    """The shards of one split; what cannot be read goes to ``skipped``."""
    # By a hash and not by chance: the same on every machine, and in every version of Python.
    mixed = sorted(items, key=lambda item: hashlib.sha256(item.name.encode(errors="surrogateescape")).digest())
    written, tar = 0, None
    try:
        for item, data in _read(mixed, progress, f"writing {split} shards"):
            if isinstance(data, str):
                skipped.append(Skipped(item.name, data))
                continue
            if written % per_shard == 0:
                if tar is not None:
                    tar.close()
                tar = tarfile.open(out / f"{split}-{written // per_shard:06d}.tar", "x", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
            assert tar is not None
            _add(tar, f"{written:08d}.{data[1]}", data[0])
            if item.label is not None:
                _add(tar, f"{written:08d}.cls", str(item.label).encode())
            written += 1
    finally:
        if tar is not None:
            tar.close()


def _read(items: Sequence[Item], progress: Progress, what: str) -> Iterator[tuple[Item, tuple[bytes, str] | str]]:
    """Every item with its bytes and suffix, or why there are none."""

    def work(index: int) -> tuple[Item, tuple[bytes, str] | str]:
        try:
            return items[index], items[index].read()
        except BadImageError as error:
            return items[index], str(error)

    return in_order(work, len(items), progress, what)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member without time, owner and rights of its own."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
