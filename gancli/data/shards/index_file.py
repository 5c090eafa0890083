"""What is in the shards of a set: the index beside them, or one made by looking into each."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from gancli.data import cache
from gancli.data.shards import remote
from gancli.data.shards.names import INDEX, base, expand, is_remote
from gancli.data.shards.tar import MOST_CLASSES, MOST_MEMBERS, Tar
from gancli.data.types import Progress, Skipped
from gancli.errors import GancliError, UsageError
from gancli.files import atomic

FORMAT = 1
LARGEST_INDEX = 64 * 2**20
LARGEST_SHARD = 16 * 2**30
POOL = cache.Pool("shards", resident=False)
"""Decoded shards are mapped, so that no more of them is in memory than there is room for."""


@dataclass(frozen=True)
class Shard:
    """What is known of one shard without opening it.

    Attributes:
        name: of the file.
        images: in it.
        bytes: of the file.
        fingerprint: see :class:`gancli.data.shards.tar.Tar`.
        sha256: 64 hex digits of the file's bytes; None where nobody computed them.
    """

    name: str
    images: int
    bytes: int
    fingerprint: str
    sha256: str | None = None


@dataclass(frozen=True)
class Index:
    """What is in each shard of a set.

    Attributes:
        shards: in the order of their names' pattern.
        classes: names of the classes; () where not every image has one.
        skipped: what was passed over, and why.
    """

    shards: tuple[Shard, ...]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()


def index_of(places: Sequence[str], progress: Progress) -> Index:
    """What is in the shards: from the index beside them, or from the cache, or by looking into every one.

    Args:
        places: paths or addresses of the shards.
        progress: is told how far it is.

    Raises:
        UsageError: a faulty index, a shard that cannot be read, or no image in any.
        GancliError: a shard that cannot be fetched.
    """
    far, path = is_remote(places[0]), index_path(places)
    stamp = cache.digest(FORMAT, [None if far else _stamp(each) for each in places])
    beside = _beside(places, path, progress)
    if beside is not None:
        return beside
    if (kept := _kept(path, stamp, len(places))) is not None:
        return kept
    made = _look(places, progress)
    document = {"format": FORMAT, "stamp": stamp, **asdict(made)}
    try:
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(document), encoding="utf-8")
    except (OSError, UsageError):
        cache.log.warning("the cache folder %s cannot be used: the next start looks into every shard again", POOL.root)
    return made


def index_path(places: Sequence[str]) -> Path:
    """Where in the cache lies what a look into the shards found."""
    return POOL.root / f"index-{cache.digest(list(places))}.json"


def _stamp(place: str) -> tuple[int, int]:
    try:
        found = os.stat(place)  # noqa: PTH116 - thousands of them
    except OSError as error:
        raise UsageError(f"the shard '{place}' cannot be read: {(error.strerror or str(error)).lower()}") from None
    return found.st_size, found.st_mtime_ns


def _kept(path: Path, stamp: str, count: int) -> Index | None:
    """The index that an earlier look left in the cache; None where there is none of these very files."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["stamp"] != stamp or len(document["shards"]) != count:
            return None
        shards = tuple(Shard(**each) for each in document["shards"])
        skipped = tuple(Skipped(**each) for each in document["skipped"])
        return Index(shards, tuple(document["classes"]), skipped)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _beside(places: Sequence[str], kept: Path, progress: Progress) -> Index | None:
    """What ``index.json`` in the shards' folder says; None where there is none."""
    far = is_remote(places[0])
    if len({urljoin(place, ".") if far else str(Path(place).parent) for place in places}) > 1:
        return None
    if far:
        where = urljoin(places[0], INDEX)
        path = kept.with_name(f"{kept.stem}-beside.json")
        try:
            remote.fetch(where, path, LARGEST_INDEX, progress)
        except remote.NotThere:
            path.unlink(missing_ok=True)
            return None
        except GancliError as error:
            if isinstance(error, UsageError) or not path.exists():
                raise
            cache.log.warning("%s: the index of last time is taken", error.message)
    else:
        path = Path(places[0]).with_name(INDEX)
        where = str(path)
        if not path.is_file():
            return None
    return _chosen(places, *parse_index(path, where), where)


def _chosen(places: Sequence[str], known: dict[str, Shard], classes: tuple[str, ...], where: str) -> Index:
    """The shards that are wanted of those that an index knows."""
    hint = "make the index anew with `gancli data index`, or delete it"
    for place in places:
        name = base(place)
        if name not in known:
            raise UsageError(f"'{where}' does not know '{name}'", hint)
        if not is_remote(place) and (size := _stamp(place)[0]) != known[name].bytes:
            raise UsageError(f"'{where}' tells of another '{name}': {known[name].bytes:,} bytes, not {size:,}", hint)
    return Index(tuple(known[base(place)] for place in places), classes)


def parse_index(path: Path, where: str) -> tuple[dict[str, Shard], tuple[str, ...]]:
    """Shards by name, and the classes, of an ``index.json``.

    Args:
        path: of the file.
        where: what to call it.

    Raises:
        UsageError: it is none.
    """
    hint = "make it anew with `gancli data index`, or delete it"
    try:
        if path.stat().st_size > LARGEST_INDEX:
            raise ValueError
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UsageError(f"'{where}' has the format {document['format']!r}, not {FORMAT}", hint)
        shards = [_entry(each) for each in document["shards"]]
        classes = tuple(document["classes"])
        if len(classes) > MOST_CLASSES or not all(each.isprintable() and len(each) <= 1000 for each in classes):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"'{where}' is not an index of shards", hint) from None
    return {each.name: each for each in shards}, classes


def _entry(table: dict[str, Any]) -> Shard:
    """One shard of an index, with nothing in it that is not what it should be."""
    made = Shard(table["name"], table["images"], table["bytes"], table["fingerprint"], table.get("sha256"))
    whole = all(isinstance(each, int) and not isinstance(each, bool) for each in (made.images, made.bytes))
    sums = re.fullmatch("[0-9a-f]{16}", made.fingerprint) and re.fullmatch("[0-9a-f]{64}", made.sha256 or "0" * 64)
    if not (whole and sums and isinstance(made.name, str)):
        raise ValueError
    if not (0 <= made.images <= MOST_MEMBERS and 0 <= made.bytes <= LARGEST_SHARD):
        raise ValueError
    return made


def _look(places: Sequence[str], progress: Progress) -> Index:
    """Look into every shard."""
    shards, skipped, others = [], [], Counter()
    most, without = -1, 0
    for number, place in enumerate(places):
        tar = Tar(local(place, None, progress))
        shards.append(Shard(base(place), len(tar.names), tar.path.stat().st_size, tar.fingerprint))
        where = base(place)
        skipped += [one if one.name == where else replace(one, name=f"{where}: {one.name}") for one in tar.skipped]
        others += tar.others
        most = max([most, *(label for label in tar.labels if label is not None)])
        without += tar.labels.count(None)
        progress("looking into shards", number + 1, len(places))
    skipped += [
        Skipped(f"*.{suffix}" if suffix else "names without a dot", f"no image and no class, {count:,} of them")
        for suffix, count in others.items()
    ]
    if most >= 0 and without:
        skipped.append(Skipped("labels", f"{without:,} images have no class: the set is taken without classes"))
    classes = tuple(map(str, range(most + 1))) if most >= 0 and not without else ()
    return Index(tuple(shards), classes, tuple(skipped))


def local(place: str, known: Shard | None, progress: Progress) -> Path:
    """The path of a shard on this machine, fetched into the cache if need be."""
    if not is_remote(place):
        return Path(place)
    path = POOL.root / f"raw-{cache.digest(place)}.tar"
    with contextlib.suppress(FileNotFoundError):  # asked once: another process may remove it meanwhile
        size = path.stat().st_size
        if known is None or (size == known.bytes and known.sha256 in (None, _sha256(path))):
            return path
    cache.make_room(POOL, known.bytes if known else 0)
    try:
        remote.fetch(place, path, known.bytes if known else LARGEST_SHARD, progress, known.sha256 if known else None)
    except remote.NotThere as error:
        hint = "check the address and the numbers between the braces; it must be open to everybody"
        raise UsageError(str(error), hint) from None
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_index(folder: Path, classes: Sequence[str] | None, progress: Progress) -> Index:
    """Write ``index.json`` beside the shards of a folder.

    Args:
        folder: whose shards are looked into.
        classes: names of the classes; None for those of the index that is there, or else for numbers.
        progress: is told how far it is.

    Raises:
        UsageError: no shard, or one that cannot be read.
    """
    places = expand(str(folder))
    found = _look(places, progress)
    path = folder / INDEX
    if classes is None and path.is_file():
        classes = parse_index(path, str(path))[1]
    named = tuple(classes) if classes and len(classes) >= len(found.classes) > 0 else found.classes
    shards = []
    for shard, place in zip(found.shards, places, strict=True):
        shards.append(replace(shard, sha256=_sha256(Path(place))))
    document = {"format": FORMAT, "classes": list(named), "shards": [asdict(each) for each in shards]}
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return replace(found, shards=tuple(shards), classes=named)
