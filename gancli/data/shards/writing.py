"""Write images as tar shards with an index; the same images give the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tarfile
import tempfile
from pathlib import Path

from gancli.data.folder import layout
from gancli.data.folder.decoding import in_parallel, scale_of
from gancli.data.folder.files import Listing, Source, open_source
from gancli.data.hub.fetching import path_of
from gancli.data.paths import there
from gancli.data.pixels import BadImageError, common_format
from gancli.data.shards.index_file import Index, write_index
from gancli.data.shards.names import is_sharded
from gancli.data.types import Progress, Skipped, no_progress
from gancli.errors import UsageError
from gancli.files import check_folder, make_folder
from gancli.hub.names import is_hub


def write_shards(name: str, out: Path, per_shard: int, *, progress: Progress | None = None) -> Index:
    """Write every split of a folder or zip as shards, ``train-000000.tar`` and so on, with their ``index.json``.

    JPEG, PNG and WebP files are stored unchanged, others as PNG. The order is shuffled, so that every shard is a random
    sample of the whole.

    Args:
        name: a folder or zip of images.
        out: a new folder, made whole or not at all.
        per_shard: images in each.
        progress: called with the task, how much of it is done, and the total.

    Raises:
        UsageError: no folder or zip, no image, shards already, or ``out`` exists.
    """
    report = progress or no_progress
    if out.exists():
        raise UsageError(f"'{out}' exists already", "name a new folder with `out`")
    check_folder(out.parent)
    if not is_hub(name) and (not there(name) or is_sharded(name)):
        raise UsageError(f"'{name}' is no folder of images", "name a folder or a zip of images")
    source = open_source(path_of(name))
    train = layout.listing(source, "train")
    listings = {"train": train}
    with contextlib.suppress(UsageError):  # there is no held-out split
        listings["test"] = layout.listing(source, "test")
    make_folder(out.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    skipped: list[Skipped] = []
    try:
        for split, listing in listings.items():
            _write_split(draft, split, source, listing, per_shard, skipped, report)
        if not any(draft.iterdir()):
            raise UsageError(
                f"none of the images of '{name}' can be read ({skipped[0].name}: {skipped[0].reason})",
                "is it a folder or a zip of images?",
            )
        made = write_index(draft, train.classes, report)
        draft.chmod(0o755)
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made.model_copy(update={"skipped": (*skipped, *made.skipped)})


def _write_split(
    out: Path,
    split: str,
    source: Source,
    listing: Listing,
    per_shard: int,
    skipped: list[Skipped],
    progress: Progress,
) -> None:
    """The shards of one split; images that cannot be read are added to ``skipped``."""

    def read(item: tuple[str, int | None]) -> tuple[bytes, str]:
        with source.open(item[0]) as file:
            return common_format(file, scale)

    scale = scale_of(source, progress)
    items = list(zip(listing.names, listing.labels or [None] * len(listing.names), strict=True))
    # Shuffled by a hash: the same on every machine and in every version of Python.
    items.sort(key=lambda item: hashlib.sha256(item[0].encode(errors="surrogateescape")).digest())
    with contextlib.ExitStack() as open_tar:
        written, tar = 0, None
        encoded = in_parallel(read, items, progress, f"writing {split} shards")
        for (name, label), data in zip(items, encoded, strict=True):
            if isinstance(data, BadImageError):
                skipped.append(Skipped(name, str(data)))
                continue
            if tar is None or written % per_shard == 0:
                open_tar.close()
                path = out / f"{split}-{written // per_shard:06d}.tar"
                tar = open_tar.enter_context(tarfile.open(path, "x", format=tarfile.USTAR_FORMAT))
            _add(tar, f"{written:08d}.{data[1]}", data[0])
            if label is not None:
                _add(tar, f"{written:08d}.cls", str(label).encode())
            written += 1


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a member without time, owner and permissions."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
