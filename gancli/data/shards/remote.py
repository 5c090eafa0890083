"""Shards and their index by https: verified, under a temporary name until they are whole, tried again after a break."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from urllib.parse import urlsplit

from gancli.data.paths import check_address
from gancli.data.types import Progress
from gancli.data.web import NotFound, WebError, download
from gancli.errors import GancliError, UsageError
from gancli.files import whole

TRIES = 5
PAUSE = 1.0
"""Seconds before the second try; each further pause is twice as long."""


def fetch(url: str, path: Path, largest: int, progress: Progress, missing: str, sha256: str | None = None) -> None:
    """Download a file, whole or not at all.

    Args:
        url: its address.
        path: where it is saved.
        largest: bytes that it may have.
        progress: called with the bytes so far and in total.
        missing: the hint where the server does not have it.
        sha256: 64 hex digits that its bytes must have, where they are known.

    Raises:
        UsageError: an address that may not be fetched, or the server does not have it, or not for everybody.
        GancliError: the download failed, is too large, or does not match ``sha256``.
    """
    check_address(url)
    name = urlsplit(url).path.rpartition("/")[2]
    with whole(path) as temporary, temporary.open("w+b") as file:
        for number in range(1, TRIES + 1):
            try:
                download(url, file, name, largest, progress)
                break
            except NotFound as error:
                raise UsageError(f"'{url}' {error}", missing) from None
            except WebError as error:
                if error.final or number == TRIES:
                    raise GancliError(
                        f"'{url}' cannot be downloaded: {error}",
                        "check the address and the network; the same command, or `gancli train --resume`, continues",
                    ) from None
            time.sleep(PAUSE * 2 ** (number - 1))
        file.seek(0)
        if sha256 and (found := hashlib.file_digest(file, "sha256").hexdigest()) != sha256:
            raise GancliError(
                f"'{url}' is damaged, or is not the file of its index: sha256 {found}, not {sha256}",
                "bring shards and index.json to the same state, and try again",
            )
