"""The contents of a set of shards: from the index beside them, or from a scan of every shard, which is cached."""

from __future__ import annotations

import hashlib
import json
import os
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
from gancli.data.web import NotFound
from gancli.errors import GancliError, UsageError
from gancli.files import atomic

FORMAT = 1
LARGEST_INDEX = 64 * 2**20
LARGEST_SHARD = 16 * 2**30
POOL = cache.Pool("shards", resident=False)
"""Decoded shards are memory-mapped, so that they take no more memory than there is."""
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
    """The contents of a set of shards; without ``skipped`` and ``stamp`` it is what ``index.json`` holds.

    Attributes:
        classes: names of the classes; () where not every image has one.
        shards: in the order of their names' pattern.
        skipped: what was left out, and why.
        stamp: of the shards that were scanned; see :func:`index_of`.
    """

    format: Literal[1] = FORMAT
    classes: tuple[ClassName, ...] = Field(max_length=MOST_CLASSES)
    shards: tuple[Shard, ...]
    skipped: tuple[Skipped, ...] = ()
    stamp: str = ""


def index_of(paths: Sequence[str], progress: Progress) -> Index:
    """The contents of shards: from the index beside them, or from the cache, or by scanning every one.

    Args:
        paths: paths or addresses of the shards.
        progress: called with how many are scanned.

    Raises:
        UsageError: a faulty index, a shard that cannot be read.
        GancliError: a shard that cannot be downloaded.
    """
    path = scan_path(paths)
    stamp = cache.digest(FORMAT, [None if is_remote(each) else _size_and_time(each) for each in paths])
    if (found := _beside(paths, path, progress)) is not None:
        return found
    with suppress(OSError, ValidationError):
        cached = Index.model_validate_json(path.read_bytes())
        if cached.stamp == stamp and len(cached.shards) == len(paths):
            return cached
    made = _scan(paths, progress).model_copy(update={"stamp": stamp})
    try:
        with atomic(path) as temporary:
            temporary.write_text(made.model_dump_json(), encoding="utf-8")
    except (OSError, UsageError):
        cache.log.warning("the cache folder %s cannot be used: the next start scans every shard again", POOL.root)
    return made


def scan_path(paths: Sequence[str]) -> Path:
    """Where the cache keeps the result of scanning these shards."""
    return POOL.root / f"index-{cache.digest(list(paths))}.json"


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands of them
    except OSError as error:
        raise UsageError(f"the shard '{path}' cannot be read: {(error.strerror or str(error)).lower()}") from None
    return found.st_size, found.st_mtime_ns


def _beside(paths: Sequence[str], scan: Path, progress: Progress) -> Index | None:
    """The contents by ``index.json`` in the shards' folder; None where there is none."""
    if len({urljoin(path, ".") if is_remote(path) else str(Path(path).parent) for path in paths}) > 1:
        return None
    if is_remote(paths[0]):
        source, path = urljoin(paths[0], INDEX), scan.with_name(f"{scan.stem}-beside.json")
        try:
            remote.fetch(source, path, LARGEST_INDEX, progress)
        except NotFound:
            path.unlink(missing_ok=True)
            return None
        except GancliError as error:
            if isinstance(error, UsageError) or not path.exists():
                raise
            cache.log.warning("%s: the index that was downloaded before is used", error.message)
    else:
        path = Path(paths[0]).with_name(INDEX)
        source = str(path)
        if not path.is_file():
            return None
    index = parse_index(path, source)
    known, shards = {shard.name: shard for shard in index.shards}, []
    for each in paths:
        shard = known.get(base(each))
        if shard is None:
            raise UsageError(f"'{source}' does not list '{base(each)}'", _HINT)
        if not is_remote(each) and (size := _size_and_time(each)[0]) != shard.bytes:
            raise UsageError(f"'{source}' lists another '{shard.name}': {shard.bytes:,} bytes, not {size:,}", _HINT)
        shards.append(shard)
    return Index(classes=index.classes, shards=tuple(shards))


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
        tar, name = Tar(local_path(each, None, progress)), base(each)
        size = tar.path.stat().st_size
        shards.append(Shard(name=name, images=len(tar.names), bytes=size, fingerprint=tar.fingerprint))
        skipped += [one if one.name == name else Skipped(f"{name}: {one.name}", one.reason) for one in tar.skipped]
        others += tar.others
        highest = max([highest, *(label for label in tar.labels if label is not None)])
        unlabelled += tar.labels.count(None)
        progress("scanning shards", number, len(paths))
    skipped += [
        Skipped(f"*.{suffix}" if suffix else "names without a dot", f"no image and no class, {count:,} of them")
        for suffix, count in others.items()
    ]
    if highest >= 0 and unlabelled:
        skipped.append(Skipped("labels", f"{unlabelled:,} images have no class: the set is loaded without classes"))
    classes = tuple(map(str, range(highest + 1))) if not unlabelled else ()
    return Index(classes=classes, shards=tuple(shards), skipped=tuple(skipped))


def local_path(path: str, known: Shard | None, progress: Progress) -> Path:
    """The path of a shard on this machine, downloaded into the cache if it is an address.

    Args:
        path: path or address.
        known: what its index says of it.
        progress: called with the bytes so far and in total.

    Raises:
        UsageError: the server does not have it.
        GancliError: it cannot be downloaded, or is not the file of its index.
    """
    if not is_remote(path):
        return Path(path)
    target = POOL.root / f"raw-{cache.digest(path)}.tar"
    with suppress(FileNotFoundError):
        size = target.stat().st_size
        if known is None or (size == known.bytes and known.sha256 in (None, _sha256(target))):
            return target
    cache.make_room(POOL, known.bytes if known else 0)
    try:
        largest, sha256 = (known.bytes, known.sha256) if known else (LARGEST_SHARD, None)
        remote.fetch(path, target, largest, progress, sha256)
    except NotFound as error:
        hint = "check the address and the numbers between the braces; it must be open to everybody"
        raise UsageError(str(error), hint) from None
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
        document = made.model_dump(mode="json", exclude={"skipped", "stamp"})
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return made
