"""``locate``: a data set of the Hub as a folder or zip on this machine, downloaded first where it is not here."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gancli.data.builtin.names import TEST, TRAIN
from gancli.data.paths import cache_folder
from gancli.data.types import Progress, no_progress
from gancli.errors import GancliError, UsageError, printable
from gancli.hub import client, names
from gancli.hub.client import File, Repository

log = logging.getLogger("gancli")

LARGEST = 64 * 10**9
"""Bytes of a download, and of the images in Parquet files."""
EXPANDED = 50
"""How many times as large as the Parquet files their images may be together, beyond a gigabyte."""
MEMORY = 6 * 2**30
"""Bytes of address space that the process may take which reads Parquet files."""
ABOUT, FOLDER, ZIP = "about.json", "images", "images.zip"
_WORDS = re.compile(rf"(?:^|[^a-z])({'|'.join((*TRAIN, *TEST))})(?=[^a-z]|$)")


@dataclass(frozen=True)
class Located:
    """A data set of the Hub on this machine.

    Attributes:
        name: with the hash of its commit.
        path: the folder or zip of its images.
        licence: its terms, as its card names them; empty where it does not.
    """

    name: str
    path: Path
    licence: str


def pinned(name: str) -> str:
    """The name with the hash of the commit that its revision is now; from the cache where it has one already.

    Raises:
        UsageError, GancliError: see :func:`gancli.hub.client.describe`.
    """
    asked = names.parse(name)
    found = client.cached(cache_folder(), "dataset", asked)
    return str(found or (asked if asked.pinned else client.describe("dataset", asked, cache_folder()).name))


def is_here(name: str) -> bool:
    """Whether a data set of the Hub is on this machine already, so that nothing is fetched for it."""
    return client.cached(cache_folder(), "dataset", names.parse(name)) is not None


def path_of(name: str) -> Path:
    """The path that a user's name stands for: that of the downloaded files for a data set of the Hub."""
    return locate(name).path if names.is_hub(name) else Path(name).expanduser()


def locate(name: str, progress: Progress = no_progress) -> Located:
    """A data set of the Hub as a folder or zip of images, downloaded first where it is not here.

    Args:
        name: as ``hf:user/repo@revision``.
        progress: called with the bytes downloaded so far and in total.

    Raises:
        UsageError: no such data set, one without images, or an extra that is not installed.
        GancliError: the Hub cannot be reached, a damaged file.
    """
    cache, asked = cache_folder(), names.parse(name)
    found = client.cached(cache, "dataset", asked)
    if found is None:
        repository = client.describe("dataset", asked, cache)
        found = repository.name
        folder = client.folder_of(cache, "dataset", found)
        if not folder.is_dir():
            _fetch(repository, folder, progress)
    folder = client.folder_of(cache, "dataset", found)
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        return Located(str(found), folder / about["path"], about["licence"])
    except (OSError, ValueError, KeyError, TypeError):
        raise GancliError(
            f"'{folder}' in the cache is damaged", f"delete it, and '{found}' is downloaded again"
        ) from None


def _fetch(repository: Repository, folder: Path, progress: Progress) -> None:
    """Download a data set into its folder of the cache, which is there whole or not at all."""
    files, split_of = _chosen(repository)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent, ignore_cleanup_errors=True) as draft:
        made = Path(draft) / folder.name
        client.download(repository, files, made / FOLDER, LARGEST, progress)
        path = FOLDER
        if split_of:
            path = ZIP
            _convert(repository, made, files, split_of, progress)
            shutil.rmtree(made / FOLDER)
        elif files[0].name.endswith(".zip"):
            path = f"{FOLDER}/{files[0].name}"
        licence = repository.card.get("license")
        licence = ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence or "")
        about = {"path": path, "licence": printable(licence[:200])}
        (made / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        if not folder.is_dir():  # another process may have fetched the same meanwhile
            made.rename(folder)


def _chosen(repository: Repository) -> tuple[Sequence[File], Mapping[str, str]]:
    """The files to download; of Parquet files also the split of each, by name.

    Raises:
        UsageError: none of its files are images, several of its parts could be meant, or pyarrow is not installed.
    """
    from importlib.util import find_spec

    from gancli.data.folder.tables import TABLES
    from gancli.data.pixels import suffixes

    by_ending: dict[str, list[File]] = {}
    for file in repository.files:
        last = file.name.rpartition("/")[2].lower()
        by_ending.setdefault(last[last.rfind(".") :] if "." in last else "", []).append(file)
    if parquet := by_ending.get(".parquet"):
        if find_spec("pyarrow") is None:
            raise UsageError(
                f"'{repository.name}' is Parquet, which needs pyarrow, and that is not installed",
                "pip install 'gancli[hub]'",
            )
        splits = _splits(repository, parquet)
        return [file for file in parquet if file.name in splits], splits
    images = [file for ending, files in by_ending.items() if ending in suffixes() for file in files]
    if images:
        tables = [file for file in repository.files if file.name.rpartition("/")[2] in TABLES]
        return [*images, *tables], {}
    zips = by_ending.get(".zip", [])
    if len(zips) == 1:
        return zips, {}
    counts = Counter({ending or "without an ending": len(files) for ending, files in by_ending.items()})
    there = ", ".join(f"{ending} {count:,}" for ending, count in counts.most_common(5))
    hint = "name a data set with image files, one zip of them, or Parquet files with a column of images"
    if by_ending.get(".tar"):
        hint = "name its tars by their address, as in `gancli train https://HOST/train-{0000..0099}.tar`"
    raise UsageError(f"'{repository.name}' holds no images" + f", but {there}" * bool(there), hint)


def _splits(repository: Repository, files: Sequence[File]) -> Mapping[str, str]:
    """The split of each Parquet file that is used, by name: "train" or "test".

    Its card names the files of each split, or else their names do.

    Raises:
        UsageError: it has several parts, of which none is the first choice.
    """
    declared = dict(_declared(repository.card, files))
    split_of = declared or {file.name: _split_in(file.name) for file in files}
    parts = (
        set()
        if declared
        else {
            file.partition("/")[0] if "/" in file else ""
            for file in split_of
            if not _WORDS.search(file.partition("/")[0])
        }
    )
    if len(parts) > 1:
        if "default" not in parts and "data" not in parts:
            raise UsageError(
                f"'{repository.name}' has several parts: {', '.join(sorted(parts))}",
                "download the folder of one, and name a folder of its images",
            )
        first = "default" if "default" in parts else "data"
        split_of = {name: split for name, split in split_of.items() if name.startswith(f"{first}/")}
    there = set(split_of.values())
    train = next((word for word in TRAIN if word in there), "")
    test = next((word for word in TEST if word in there), "")
    if not train:  # one split of another name, or a test split alone
        if len(there) > 1:
            raise UsageError(
                f"'{repository.name}' has the splits {', '.join(sorted(there))}, and none is for training",
                "download it, and name a folder of its images",
            )
        return dict.fromkeys(split_of, "train")
    if others := sorted(there - {train, test}):
        log.warning("left out of '%s': the split%s %s", repository.name, "s" * (len(others) > 1), ", ".join(others))
    used = {train: "train", test: "test"}
    return {name: used[split] for name, split in split_of.items() if split in used}


def _split_in(name: str) -> str:
    """The split that a file's name or its folders name; "" for none."""
    found = _WORDS.findall(name.lower())
    return found[-1] if found else ""


def _declared(card: Mapping[str, Any], files: Sequence[File]) -> Iterator[tuple[str, str]]:
    """Names and splits of the files of the card's default configuration, where it has one."""
    found = card.get("configs")
    configs = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    first = [each for each in configs if each.get("default") is True or each.get("config_name") == "default"]
    for config in (first or configs if len(configs) == 1 else first)[:1]:
        data = config.get("data_files")
        for row in data if isinstance(data, list) else []:
            paths = row.get("path") if isinstance(row, dict) else None
            for pattern in [paths] if isinstance(paths, str) else paths if isinstance(paths, list) else []:
                for file in files:
                    if fnmatchcase(file.name, str(pattern)[:500]):
                        yield file.name, str(row.get("split", ""))[:100]


def _features(card: Mapping[str, Any]) -> dict[str, Any]:
    """The types of columns that a card describes, as Parquet files of the library ``datasets`` do."""
    info = card.get("dataset_info")
    info = info[0] if isinstance(info, list) and info else info
    rows = info.get("features") if isinstance(info, dict) else None
    found: dict[str, Any] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(kind := row.get("dtype"), str):
            found[str(row.get("name"))] = {"_type": "Image"} if kind == "image" else {"_type": "Value"}
        elif isinstance(row, dict) and isinstance(kind, dict) and isinstance(kind.get("class_label"), dict):
            found[str(row.get("name"))] = {"_type": "ClassLabel", "names": kind["class_label"].get("names")}
    return found


def _convert(
    repository: Repository, made: Path, files: Sequence[File], split_of: Mapping[str, str], progress: Progress
) -> None:
    """Convert downloaded Parquet files to a zip, in a process of its own.

    Raises:
        GancliError: a file that cannot be used.
    """
    progress(f"unpacking {repository.name.repo}", 0, 0)
    splits = {
        split: [str(made / FOLDER / file.name) for file in files if split_of[file.name] == split]
        for split in dict.fromkeys(split_of.values())
    }
    size = sum(file.size for file in files)
    asked = {
        "splits": splits,
        "features": _features(repository.card),
        "out": str(made / ZIP),
        "memory": MEMORY,
        "largest": min(LARGEST, 10**9 + EXPANDED * size),
    }
    # Without the folder of the program, which begins the path otherwise.
    command = [sys.executable, "-P", str(Path(__file__).with_name("parquet.py"))]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        found = {"error": f"reading it ended with code {done.returncode}"}
    if "error" in found:
        raise GancliError(
            f"'{repository.name}' cannot be read: {printable(str(found['error']))}",
            "name another revision of it, or another data set",
        )
    for reason, count in found["left_out"].items():
        log.warning("left out of '%s': %s %s", repository.name, f"{count:,}", reason)
