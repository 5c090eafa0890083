"""Where data lies: folders of this machine, and which addresses may be fetched. Imports no torch."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from gancli.data.builtin.names import SPLITS, Facts
from gancli.errors import UsageError

SCHEMES = ("https",)
"""The schemes of addresses that are fetched."""
_ADDRESS = "as in https://example.org/train-000000.tar"


def cache_folder() -> Path:
    """``$GANCLI_CACHE``, else the user's cache folder of this system; it may not exist yet."""
    if chosen := os.environ.get("GANCLI_CACHE"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("gancli")).absolute()


def search_folders(data_dir: Path | None = None) -> list[Path]:
    """Where named data sets are searched, in this order: ``data_dir``, ``$GANCLI_DATA``, the cache folder."""
    if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
        raise UsageError(f"the data folder '{data_dir}' is a file", "name the folder that holds the data sets")
    shared = os.environ.get("GANCLI_DATA")
    folders = [data_dir, Path(shared).expanduser() if shared else None, cache_folder() / "data"]
    return list(dict.fromkeys(folder.absolute() for folder in folders if folder is not None))


def download_folder(data_dir: Path | None = None) -> Path:
    """Where downloads go: ``data_dir`` when given, else the cache folder; never ``$GANCLI_DATA``, often read-only."""
    return (data_dir if data_dir is not None else cache_folder() / "data").absolute()


def stored(folder: Path, file: str) -> Path | None:
    """The file (or folder) of that name in ``folder``, unpacked or as ``.gz`` or ``.zip``; None when none exists."""
    for path in (folder / file, folder / f"{file}.gz", folder / f"{file}.zip"):
        if path.exists():
            return path
    return None


def find(facts: Facts, split: str, data_dir: Path | None = None) -> Path | None:
    """The first search folder that holds every file of this split; None when no folder does."""
    for folder in search_folders(data_dir):
        if all(stored(folder, file) for file in facts.files[split]):
            return folder
    return None


def present(facts: Facts, data_dir: Path | None = None) -> bool:
    """Whether both splits can be opened without a download."""
    return not facts.files or all(find(facts, split, data_dir) for split in SPLITS)


def there(name: str) -> bool:
    """Whether a user's path exists; no name is too long or odd to be asked for, and an empty one is not the current
    folder."""
    return bool(name) and os.path.exists(os.path.expanduser(name))  # noqa: PTH110, PTH111 - unlike Path's, never raises


def is_table(name: str) -> bool:
    """Whether a user's path is a CSV that exists: points of the plane."""
    return name.lower().endswith(".csv") and there(name) and not Path(name).expanduser().is_dir()


def check_address(url: str) -> None:
    """Make sure that an address may be fetched.

    Raises:
        UsageError: another scheme than https, no host, or a password in it.
    """
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.username or parts.password
    except ValueError as error:
        raise UsageError(f"'{url}' is not an address: {error}", _ADDRESS) from None
    if parts.scheme.lower() not in SCHEMES:
        raise UsageError(f"'{url}' is not fetched: only https is", "download the file, and name it by its path")
    if secret:
        raise UsageError(
            f"the address of '{parts.path}' holds a password, which every run would store in its recipe",
            "leave it out of the address",
        )
    if not host or re.search(r"[\s\x00-\x1f]", url):
        raise UsageError(f"'{url}' is not an address", _ADDRESS)
