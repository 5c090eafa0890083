"""What is fetched from the Hub: a repository's list of files at one commit, and files compared with their hashes.

By the library huggingface_hub, which is imported on first use, and knows about endpoints, tokens and proxies.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gancli
from gancli.errors import GancliError, UsageError
from gancli.hub.names import AS_IN, Kind, Name

Progress = Callable[[str, int, int], None]
MOST_FILES = 1_000_000
"""Files of a repository at most."""
CONNECTIONS = 8
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_SHORT = re.compile(r"[0-9a-f]{7,40}")
_LOGIN = "log in with `hf auth login`, with a token that may write, and name a repository of your own"
_WORDS = {"model": "model", "dataset": "data set"}


@dataclass(frozen=True)
class File:
    """A file of a repository.

    Attributes:
        name: its path there.
        size: in bytes.
        sha256: of its bytes, in hex, where it is a large one (LFS); else empty.
        git: its name in git where it is a small one: the SHA-1, in hex, over ``blob SIZE`` and a zero byte and its
            bytes.
    """

    name: str
    size: int
    sha256: str
    git: str


@dataclass(frozen=True)
class Repository:
    """A repository at one commit.

    Attributes:
        kind: of models or of data sets.
        name: with the hash of the commit as its revision.
        files: all of them.
        card: the metadata of its card, from a stranger.
    """

    kind: Kind
    name: Name
    files: tuple[File, ...]
    card: Mapping[str, Any]


def library() -> Any:
    """The module ``huggingface_hub``.

    Raises:
        UsageError: it is not installed.
    """
    # Neither usage statistics nor bars of its own; both are read once, by the import.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            "the Hugging Face Hub needs huggingface-hub, which is not installed", "pip install 'gancli[hub]'"
        ) from None
    return huggingface_hub


def api() -> Any:
    """The library's client, which says who asks."""
    return library().HfApi(library_name="gancli", library_version=gancli.__version__)


def folder_of(cache: Path, kind: Kind, name: Name) -> Path:
    """Where a repository is cached at a commit; it need not be there."""
    return cache / "hub" / f"{kind}s" / name.repo.replace("/", "--") / name.revision


def cached(cache: Path, kind: Kind, name: Name) -> Name | None:
    """The name with the whole hash of a cached commit that begins with the revision's digits; None if there is none."""
    if not _SHORT.fullmatch(name.revision):
        return None
    parent = folder_of(cache, kind, Name(name.repo))
    found = sorted(parent.glob(f"{name.revision}*")) if parent.is_dir() else []
    return Name(name.repo, found[0].name) if len(found) == 1 else None


def describe(kind: Kind, name: Name, cache: Path) -> Repository:
    """A repository's files and card, with the revision resolved to a commit.

    Args:
        kind: of repository.
        name: of it.
        cache: the folder whose entries are named where the Hub cannot be reached.

    Raises:
        UsageError: no such repository or revision, or not for everybody; the library is not installed.
        GancliError: the Hub cannot be reached, or answers nonsense.
    """
    client = api()
    with errors_of(kind, name, cache):
        info = client.repo_info(
            name.repo, repo_type=kind, revision=name.revision or None, files_metadata=True, timeout=30.0
        )
    found = Name(name.repo, str(info.sha))
    siblings = info.siblings or []
    if not found.pinned or len(siblings) > MOST_FILES:
        raise GancliError(f"the Hub's answer about '{name}' names no commit, or too many files", "try again later")
    if leaving := [each.rfilename for each in siblings if _leaves(each.rfilename)]:
        raise GancliError(
            f"'{name}' has a file whose path leaves it: '{leaving[0]}'", "such a repository is not to be trusted"
        )
    files = tuple(_file(each) for each in siblings if not _hidden(each.rfilename))
    card = info.card_data.to_dict() if info.card_data else {}
    return Repository(kind, found, files, card)


def _file(sibling: Any) -> File:
    lfs = sibling.lfs
    return File(
        sibling.rfilename, int(sibling.size or 0), str(lfs.sha256) if lfs else "", "" if lfs else str(sibling.blob_id)
    )


def _leaves(name: str) -> bool:
    """Whether a path would lie outside of its folder on any system, or is none."""
    parts = re.split(r"[/\\]", name)
    return any(part in ("", "..") or ":" in part or "\0" in part for part in parts)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def download(repository: Repository, files: Sequence[File], folder: Path, largest: int, progress: Progress) -> None:
    """Download files into a folder under their paths in the repository, and compare each with its hash.

    Args:
        repository: of the files.
        files: which.
        folder: where to; each file is there whole or not at all.
        largest: bytes that all of them may have together.
        progress: called with the bytes so far and in total.

    Raises:
        UsageError: they are too large, or a file is gone.
        GancliError: the Hub cannot be reached, a file is not what its hash says, or the disk is full.
    """
    total, done = sum(file.size for file in files), 0
    if total > largest:
        raise UsageError(
            f"'{repository.name}' has {total / 1e9:,.1f} GB to download, and at most {largest / 1e9:,.0f} are",
            "download it with another program, and name the folder",
        )
    _check_room(folder, total)
    progress(f"downloading {repository.name.repo}", 0, total)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder, ignore_cleanup_errors=True) as draft:

        def fetch(file: File) -> int:
            _fetch(repository, file, Path(draft), folder)
            return file.size

        pool = ThreadPoolExecutor(CONNECTIONS)
        try:
            for size in pool.map(fetch, files):
                done += size
                progress(f"downloading {repository.name.repo}", done, total)
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch(repository: Repository, file: File, draft: Path, folder: Path) -> None:
    name = repository.name
    with errors_of(repository.kind, name):
        path = Path(
            api().hf_hub_download(
                name.repo, file.name, repo_type=repository.kind, revision=name.revision, local_dir=draft
            )
        )
    if path.stat().st_size != file.size or not _is_right(path, file):
        raise GancliError(
            f"'{file.name}' of '{name}' is damaged: its hash is not the one that the Hub names",
            "try again; if it fails again, the repository is not to be trusted",
        )
    target = folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)


def _is_right(path: Path, file: File) -> bool:
    with path.open("rb") as opened:
        if file.sha256:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
        digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
        while block := opened.read(2**20):
            digest.update(block)
    return digest.hexdigest() == file.git


def _check_room(folder: Path, needed: int) -> None:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if shutil.disk_usage(there).free < needed:
        raise GancliError(
            f"{needed / 1e9:,.1f} GB to download do not fit on the disk of '{there}'",
            "make room, or set GANCLI_CACHE to a folder on another disk",
        )


@contextmanager
def errors_of(kind: Kind, name: Name, cache: Path | None = None) -> Generator[None]:
    """What the library raises within, as errors of ours; ``cache`` has what can be named without a network.

    Its errors of the network are those of the library that it uses in turn: OSError, ValueError and further ones.
    """
    from huggingface_hub import errors

    word = _WORDS[kind]
    try:
        yield
    except GancliError:
        raise
    except errors.GatedRepoError:
        raise UsageError(
            f"'{name}' is given only to those who have accepted its terms",
            f"accept them on the page of the {word}, log in with `hf auth login`, and try again",
        ) from None
    except errors.RepositoryNotFoundError:
        raise UsageError(
            f"the Hub has no {word} '{name}', or does not show it to everybody",
            f"check the name, {AS_IN}; for a private one, log in with `hf auth login`",
        ) from None
    except errors.RevisionNotFoundError:
        raise UsageError(f"'{Name(name.repo)}' has no revision '{name.revision}'", AS_IN) from None
    except errors.EntryNotFoundError as error:
        raise UsageError(f"a file of '{name}' is gone: {_line(error)}", "try again") from None
    except errors.OfflineModeIsEnabled:
        raise GancliError(f"'{name}' is not here, and HF_HUB_OFFLINE is set", _hint(kind, name, cache)) from None
    except errors.LocalTokenNotFoundError:
        raise UsageError(f"'{name}' takes somebody who is logged in", _LOGIN) from None
    except errors.HfHubHTTPError as error:
        if getattr(error.response, "status_code", 0) in (401, 403):
            raise UsageError(f"the Hub does not let you write to '{name}': {_line(error)}", _LOGIN) from None
        raise GancliError(f"the Hub refuses '{name}': {_line(error)}", "try again later") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        reached = "cannot be reached for" if _of_the_network(error) else "gave no answer that can be used about"
        raise GancliError(f"the Hub {reached} '{name}': {_line(error)}", _hint(kind, name, cache)) from None


def _of_the_network(error: Exception) -> bool:
    """Whether it is one of the system, or of the library by which huggingface_hub makes its requests."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0].startswith("httpx")


def _line(error: BaseException) -> str:
    error = error.__cause__ or error  # the library's own text is only that something failed
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _hint(kind: Kind, name: Name, cache: Path | None) -> str:
    """What can be named without a network."""
    there: list[str] = []
    if cache is not None:
        with suppress(OSError):
            parent = folder_of(cache, kind, Name(name.repo))
            there = [str(Name(name.repo, path.name)) for path in sorted(parent.iterdir()) if path.name[0] != "."]
    here = f", or name a commit that is here already: {', '.join(there[:3])}" if there else ""
    return f"connect to the network and try again{here}"
