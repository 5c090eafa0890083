"""Files by https: of a bounded size, under a temporary name, and going on where a connection broke off."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from gancli.data.shards.names import check
from gancli.data.types import Progress
from gancli.data.web import open_https
from gancli.errors import GancliError
from gancli.files import whole

TRIES = 5
PAUSE = 1.0
"""Seconds before the second try; each further pause is twice as long."""
TIMEOUT = 30.0
_BLOCK = 2**20


class NotThere(Exception):
    """The server has no such file, or not for everybody."""


class _Broken(Exception):
    """This try did not give the file; the text says why, and another may."""


def fetch(url: str, path: Path, largest: int, progress: Progress, sha256: str | None = None) -> None:
    """Bring a file here, whole or not at all; tried a few times, each going on where the one before broke off.

    Args:
        url: its address.
        path: where to.
        largest: bytes that it may have.
        progress: is told how far it is.
        sha256: 64 hex digits that its bytes must have, where they are known.

    Raises:
        UsageError: an address that may not be fetched.
        NotThere: the server does not have it, or not for everybody.
        GancliError: it cannot be had, is too large, or has other bytes than it should.
    """
    check(url)
    with whole(path) as temporary:
        reason, pause = "", PAUSE
        with temporary.open("w+b") as file:
            for number in range(TRIES):
                if number:
                    time.sleep(pause)
                    pause *= 2
                try:
                    _go_on(url, file, largest, progress)
                    break
                except _Broken as error:
                    reason = str(error)
            else:
                raise GancliError(
                    f"'{url}' cannot be had: {reason}, tried {TRIES} times",
                    "check the address and the network; the same command, or gancli train --resume, goes on",
                )
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest() if sha256 else None
        if found != sha256:
            raise GancliError(
                f"'{url}' is damaged, or is not what its index tells of: sha256 {found}, not {sha256}",
                "bring shards and index.json to the same state, and try again",
            )


def _go_on(url: str, file: IO[bytes], largest: int, progress: Progress) -> None:
    """Ask for what is missing at the end of a file, and write it there."""
    done = file.seek(0, 2)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with open_https(url, TIMEOUT, headers, check) as answer:
            if done and not _continues(answer, done):
                done = 0
                file.seek(0)
                file.truncate()
            _receive(answer, url, file, done, largest, progress)
    except urllib.error.HTTPError as error:
        error.close()
        # Some stores forbid what they do not have.
        if error.code in (401, 403, 404, 410):
            raise NotThere(f"'{url}' answers {error.code} {error.reason}") from None
        if error.code == 416:  # the file is another than the one begun
            file.truncate(0)
        raise _Broken(f"it answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _Broken(str(getattr(error.reason, "strerror", None) or error.reason)) from None
    except (TimeoutError, ConnectionError, http.client.HTTPException, ValueError) as error:
        raise _Broken(str(error) or type(error).__name__) from None


def _continues(answer: http.client.HTTPResponse, done: int) -> bool:
    """Whether the answer goes on where the file ends, and is not the whole of it anew."""
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")


def _receive(
    answer: http.client.HTTPResponse, url: str, file: IO[bytes], done: int, largest: int, progress: Progress
) -> None:
    left = int(answer.headers.get("Content-Length") or -1)
    total = done + left if left >= 0 else 0
    name = urlsplit(url).path.rpartition("/")[2]
    while True:
        if max(done, total) > largest:
            hint = "make smaller shards, or bring shards and index.json to the same state"
            raise GancliError(f"'{url}' has more than {largest:,} bytes", hint)
        try:
            block = answer.read(_BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(f"the connection broke off after {done:,} bytes ({error})") from None
        if not block:
            break
        file.write(block)
        done += len(block)
        progress(f"downloading {name}", done, total)
    if done < total:
        raise _Broken(f"the connection broke off after {done:,} of {total:,} bytes")
