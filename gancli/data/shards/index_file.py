"""The contents of a set of shards: from the index beside them, or from a scan of every shard."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urljoin

from pydantic import BaseModel, Field, ValidationError

from gancli.data import cache
from gancli.data.shards import remote
from gancli.data.shards.names import INDEX, base, expand, is_remote
from gancli.data.shards.tar import MOST_CLASSES, MOST_MEMBERS, Tar
from gancli.data.types import Progress, Skipped
from gancli.errors import UsageError
from gancli.files import atomic, make_folder

FORMAT = 1
LARGEST_INDEX = 64 * 2**20
LARGEST_SHARD = 16 * 2**30
_HINT = "make the index anew with `gancli data index`, or delete it"


class Shard(BaseModel, frozen=True, strict=True):
    """What is known of one shard without opening it.

    Attributes:
        name: of the file.
        images: in it.
        bytes: of the file.
        fingerprint: see :class:`gancli.data.shards.tar.Tar`.
        sha256: 64 hex digits of the file's bytes; None where they have not been computed.
    """

    name: str
    images: int = Field(ge=0, le=MOST_MEMBERS)
    bytes: int = Field(ge=0, le=LARGEST_SHARD)
    fingerprint: str = Field(pattern="^[0-9a-f]{16}$")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")


# Printable characters alone, since names of classes are shown on terminals.
ClassName = Annotated[str, Field(max_length=1000, pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$")]


class Index(BaseModel, frozen=True, strict=True):
    """The contents of a set of shards; without ``skipped`` it is what ``index.json`` holds.

    Attributes:
        classes: names of the classes; () where not every image has one.
        shards: in the order of their names' pattern.
        skipped: what was left out, and why.
    """

    format: Literal[1] = FORMAT
    classes: tuple[ClassName, ...] = Field(max_length=MOST_CLASSES)
    shards: tuple[Shard, ...]
    skipped: tuple[Skipped, ...] = ()


def index_of(paths: Sequence[str], progress: Progress) -> Index:
    """The contents of shards: from the index beside them, or for shards on this machine by scanning every one.

    Args:
        paths: paths or addresses of the shards.
        progress: called with how many are scanned.

    Raises:
        UsageError: a faulty index, addresses without an index, a shard that cannot be read.
        GancliError: an index that cannot be downloaded.
    """
    index = _beside(paths[0], progress)
    if index is None:
        return _scan(paths, progress)
    known, shards = {shard.name: shard for shard in index.shards}, []
    for each in paths:
        shard = known.get(base(each))
        if shard is None:
            raise UsageError(f"the index of '{paths[0]}' does not list '{base(each)}'", _HINT)
        shards.append(shard)
    return Index(classes=index.classes, shards=tuple(shards))


def _beside(path: str, progress: Progress) -> Index | None:
    """The ``index.json`` in the folder of a shard; None where a folder of this machine has none."""
    if not is_remote(path):
        beside = Path(path).with_name(INDEX)
        return parse_index(beside, str(beside)) if beside.is_file() else None
    source = urljoin(path, INDEX)
    with tempfile.TemporaryDirectory() as folder:
        hint = "upload the index.json that `gancli data index` writes for a folder of shards, or download the shards"
        remote.fetch(source, Path(folder, INDEX), LARGEST_INDEX, progress, hint)
        return parse_index(Path(folder, INDEX), source)


def parse_index(path: Path, source: str) -> Index:
    """Read an ``index.json``.

    Args:
        path: of the file.
        source: its path or address in errors.

    Raises:
        UsageError: it is not an index.
    """
    with suppress(OSError, ValidationError):
        if path.stat().st_size <= LARGEST_INDEX:
            return Index.model_validate_json(path.read_bytes())
    raise UsageError(f"'{source}' is not an index of shards", _HINT)


def _scan(paths: Sequence[str], progress: Progress) -> Index:
    """Read the headers of every shard."""
    shards, skipped, others = [], [], Counter()
    highest, unlabelled = -1, 0
    for number, each in enumerate(paths, 1):
        tar, name = Tar(Path(each)), base(each)
        size = tar.path.stat().st_size
        shards.append(Shard(name=name, images=len(tar.names), bytes=size, fingerprint=tar.fingerprint))
        skipped += [one if one.name == name else Skipped(f"{name}: {one.name}", one.reason) for one in tar.skipped]
        others += tar.others
        highest = max([highest, *(label for label in tar.labels if label is not None)])
        unlabelled += tar.labels.count(None)
        progress("scanning shards", number, len(paths))
    skipped += [Skipped(f"*.{suffix}", f"no image and no class, {count:,} of them") for suffix, count in others.items()]
    if highest >= 0 and unlabelled:
        skipped.append(Skipped("labels", f"{unlabelled:,} images have no class: the set is loaded without classes"))
    classes = tuple(map(str, range(highest + 1))) if not unlabelled else ()
    return Index(classes=classes, shards=tuple(shards), skipped=tuple(skipped))


def local_path(path: str, shard: Shard, progress: Progress) -> Path:
    """The path of a shard on this machine, downloaded into the cache if it is an address.

    Args:
        path: path or address.
        shard: what its index says of it.
        progress: called with the bytes so far and in total.

    Raises:
        UsageError: the server does not have it.
        GancliError: it cannot be downloaded, or is not the file of its index.
    """
    if not is_remote(path):
        return Path(path)
    target = cache.root() / f"raw-{cache.digest(path, shard.sha256, shard.fingerprint)}.tar"
    if not target.exists():
        make_folder(target.parent)
        cache.make_room(shard.bytes)
        hint = "check the address and the numbers between the braces; it must be open to everybody"
        remote.fetch(path, target, shard.bytes, progress, hint, shard.sha256)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_index(folder: Path, classes: Sequence[str] | None, progress: Progress) -> Index:
    """Write ``index.json`` beside the shards of a folder.

    Args:
        folder: whose shards are scanned.
        classes: names of the classes; None for those of an index that exists already, or else for numbers.
        progress: called with how many are scanned.

    Raises:
        UsageError: no shard, or one that cannot be read.
    """
    paths = expand(str(folder))
    found, path = _scan(paths, progress), folder / INDEX
    if classes is None and path.is_file():
        classes = parse_index(path, str(path)).classes
    named = tuple(classes) if classes and len(classes) >= len(found.classes) > 0 else found.classes
    shards = tuple(
        shard.model_copy(update={"sha256": _sha256(Path(each))})
        for shard, each in zip(found.shards, paths, strict=True)
    )
    made = found.model_copy(update={"classes": named, "shards": shards})
    with atomic(path) as temporary:
        document = made.model_dump(mode="json", exclude={"skipped"})
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return made
