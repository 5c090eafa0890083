"""Names of shards: tars by pattern, by folder, or by address. Imports no torch."""

from __future__ import annotations

import glob
import itertools
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gancli.data.builtin.names import TEST, TRAIN
from gancli.data.paths import check_address, there
from gancli.data.types import NoHeldOutError
from gancli.errors import UsageError

INDEX = "index.json"
"""The file beside the shards that lists what is in each."""
MOST_SHARDS = 100_000


def is_sharded(name: str) -> bool:
    """Whether a name is an address, a tar or a pattern of tars, or a folder of nothing but tars."""
    path = Path(name).expanduser()
    if is_remote(name) or not there(name) or not path.is_dir():
        return is_remote(name) or name.lower().endswith(".tar")
    names = [each for each in os.listdir(path) if not each.startswith(".") and each != INDEX]  # noqa: PTH208
    return bool(names) and all(each.lower().endswith(".tar") for each in names)


def is_remote(name: str) -> bool:
    """Whether it is an address and not a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name) is not None


def absolute(name: str) -> str:
    """Shards as a recipe stores them: addresses as they are, paths absolute, so that a run resumes from any folder."""
    return name if is_remote(name) else os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - patterns


def title(name: str) -> str:
    """The name of a set of shards: that of the one shard, or of the folder that they lie in."""
    path = Path(urlsplit(name).path if is_remote(name) else absolute(name))
    if re.search(r"[{}*?\[\]]", path.name):
        path = path.parent
    return path.name.removesuffix(".tar") or urlsplit(name).hostname or "shards"


def expand(name: str) -> list[str]:
    """The shards that a name stands for, in order.

    Args:
        name: a tar, a folder of tars, ``train-{000..099}.tar``, ``{train,test}-*.tar``; or an address with braces.

    Raises:
        UsageError: nothing is called so, a compressed tar, an address that may not be fetched, too many shards.
    """
    far = is_remote(name)
    # A file may really be called so.
    names = [name] if not far and there(name) else _braces(name)
    found = names if far else [path for each in names for path in _files(each)]
    for each in found:
        if far:
            check_address(each)
        if not (urlsplit(each).path if far else each).lower().endswith(".tar"):
            raise UsageError(f"'{each}' is no shard", "shards are tars, not compressed, as in train-000000.tar")
    return list(dict.fromkeys(found))


def _files(name: str) -> list[str]:
    """The tars of one path, which may hold ``*``, ``?`` and ``[…]``."""
    path = Path(name).expanduser()
    if there(name) and path.is_dir():
        # Names that begin with a dot do not match.
        found = glob.glob(f"{glob.escape(str(path))}/*.tar")  # noqa: PTH207 - a pattern from the root
    else:
        found = [str(path)] if there(name) else glob.glob(str(path))  # noqa: PTH207
    if not found:
        raise UsageError(f"there is no shard '{name}'", "as in 'shards/train-{000000..000099}.tar' or 'shards/*.tar'")
    return sorted(found)


def _braces(name: str) -> list[str]:
    """``a{0..2}{x,y}`` as the shell reads it: a0x, a0y, a1x, …"""
    parts = re.split(r"\{([^{}]*)\}", name)
    choices = [[part] if index % 2 == 0 else _choices(part, name) for index, part in enumerate(parts)]
    if math.prod(map(len, choices)) > MOST_SHARDS:
        raise UsageError(f"'{name}' names more than {MOST_SHARDS:,} shards", "name fewer, and larger ones")
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _choices(text: str, name: str) -> list[str]:
    if match := re.fullmatch(r"([0-9]{1,12})\.\.([0-9]{1,12})", text):
        width, numbers = len(match[1]), range(int(match[1]), int(match[2]) + 1)
        if numbers:
            return [f"{number:0{width}d}" for number in numbers[: MOST_SHARDS + 1]]
    elif "," in text:
        return text.split(",")
    raise UsageError(f"'{{{text}}}' in '{name}' is no range", "as in train-{000000..000099}.tar or {train,test}.tar")


def of_split(paths: Sequence[str], split: str, name: str) -> list[str]:
    """The shards of a split. Files ``train-…`` with ``test-…`` (or ``val-…``) and nothing else are the splits; else all
    shards are "train".

    Raises:
        UsageError: "test" is requested, and nothing is held out.
    """
    kinds = [re.split(r"[^a-z]", base(each).lower(), maxsplit=1)[0] for each in paths]
    found = set(kinds)
    held_out = next((kind for kind in TEST if kind in found), "")
    if not (held_out and found & {*TRAIN} and found <= {*TRAIN, *TEST}):
        if split == "train":
            return list(paths)
        raise NoHeldOutError(
            f"'{name}' has no held-out split",
            "name its shards train-….tar and test-….tar, and give both, as in 'shards/*.tar'",
        )
    chosen = TRAIN if split == "train" else (held_out,)
    return [each for each, kind in zip(paths, kinds, strict=True) if kind in chosen]


def base(path: str) -> str:
    """The file name in a path or an address."""
    return (urlsplit(path).path if is_remote(path) else path.replace(os.sep, "/")).rpartition("/")[2]
