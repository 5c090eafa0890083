"""Models of the Hub: a repository's ``model.safetensors``, and its discriminator where a training starts from it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from gancli.errors import UsageError
from gancli.hub import client, names
from gancli.hub.client import File, Repository
from gancli.hub.names import Name

MODEL, DISCRIMINATOR = "model.safetensors", "discriminator.safetensors"
LARGEST = 32 * 10**9
"""Bytes of a model's file: no larger network is read."""
_FILES = "files.json"
"""Where the size and hash of the model's files are noted."""


def fetch(name: str, cache: Path) -> Path:
    """A model's file, downloaded first where it is not here; named by the hash of its commit, it needs no network then.

    What is in it is checked by what reads it, as in any other file.

    Args:
        name: as ``hf:user/repo@revision``.
        cache: the folder of everything cached.

    Raises:
        UsageError: no such repository, or one without a model's file.
        GancliError: the Hub cannot be reached, or a damaged file.
    """
    asked = names.parse(name)
    found = client.cached(cache, "model", asked)
    if found is not None:
        return client.folder_of(cache, "model", found) / MODEL
    repository = client.describe("model", asked, cache)
    folder = client.folder_of(cache, "model", repository.name)
    if not (folder / MODEL).is_file():
        files = {file.name: file for file in repository.files}
        if MODEL not in files:
            there = ", ".join(sorted(files)[:5])
            raise UsageError(
                f"'{repository.name}' holds no {MODEL}" + f", but {there}" * bool(there),
                "name the repository of a model of gancli; weights of other programs are not read",
            )
        noted = [files[each] for each in (MODEL, DISCRIMINATOR) if each in files]
        _bring(repository, files[MODEL], folder, noted)
    return folder / MODEL


def _bring(repository: Repository, file: File, folder: Path, noted: Sequence[File]) -> None:
    """Download the model's file into a folder of the cache, which is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent, ignore_cleanup_errors=True) as draft:
        made = Path(draft) / folder.name
        client.download(repository, [file], made, LARGEST, lambda *_: None)
        (made / _FILES).write_text(json.dumps([asdict(each) for each in noted]), encoding="utf-8")
        with suppress(OSError):  # another process may have fetched the same meanwhile
            made.rename(folder)


def name_of(path: Path, cache: Path) -> Name | None:
    """The repository and commit that a cached file is from; None for other files."""
    try:
        repo, revision, _ = path.absolute().relative_to(cache / "hub" / "models").parts
    except ValueError:
        return None
    return Name(repo.replace("--", "/", 1), revision)


def fetch_discriminator(weights: Path, cache: Path) -> None:
    """Download the discriminator of a cached model, where its repository has one and it is not here.

    Raises:
        GancliError: the Hub cannot be reached, or a damaged file.
    """
    name = name_of(weights, cache)
    if name is None or weights.with_name(DISCRIMINATOR).is_file():
        return
    try:
        rows = json.loads(weights.with_name(_FILES).read_text("utf-8"))
        found = [file for file in (File(**row) for row in rows) if file.name == DISCRIMINATOR]
    except (OSError, ValueError, TypeError):
        return
    client.download(Repository("model", name, tuple(found), {}), found, weights.parent, LARGEST, lambda *_: None)
