"""Downloads over https alone, also where a redirection leads, bounded in size."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, Any

import gancli
from gancli.data import paths
from gancli.data.types import Progress
from gancli.errors import UsageError

TIMEOUT = 30.0
"""Seconds without data after which a connection counts as broken."""
_BLOCK = 2**20


class WebError(Exception):
    """A download that failed; the text is the reason.

    Attributes:
        final: whether another try would fail in the same way.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class NotFound(WebError):
    """The server has no such file, or does not give it to everybody."""


def open_https(url: str, timeout: float, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """The response of an address, to be used in a ``with``.

    Args:
        url: the address.
        timeout: seconds without data.
        headers: of the request.

    Raises:
        UsageError: the address, or one that it redirects to, may not be fetched.
        URLError: no response.
        HTTPError: a response whose status is no success.
        OSError, HTTPException: as of the network.
    """
    paths.check_address(url)
    request = urllib.request.Request(url, headers={"User-Agent": f"gancli/{gancli.__version__}", **(headers or {})})
    return urllib.request.build_opener(_Redirections()).open(request, timeout=timeout)


class _Redirections(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Any:
        paths.check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, file: IO[bytes], name: str, largest: int, progress: Progress) -> None:
    """Download to an open file.

    Args:
        url: the address.
        file: open for writing; what it has is replaced.
        name: what the progress calls it.
        largest: bytes that it may have.
        progress: called with the bytes so far and in total.

    Raises:
        NotFound: the server does not have it.
        WebError: any other failure of the server or the network.
        OSError: the file cannot be written.
    """
    file.seek(0)
    file.truncate()
    try:
        answer = open_https(url, TIMEOUT, {"Accept-Encoding": "identity"})
    except UsageError as error:
        raise WebError(error.message, final=True) from None
    except urllib.error.HTTPError as error:
        error.close()
        # Some stores forbid what they do not have.
        kind = NotFound if error.code in (401, 403, 404, 410) else WebError
        raise kind(f"answers {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise WebError(str(getattr(reason, "strerror", None) or reason) or type(error).__name__) from None
    with answer:
        length = answer.headers.get("Content-Length") or ""
        done, total = 0, int(length) if length.isdecimal() else 0
        while True:
            if max(done, total) > largest:
                raise WebError(f"it has more than {largest:,} bytes", final=True)
            try:
                block = answer.read(_BLOCK)
            except (OSError, HTTPException) as error:
                raise WebError(f"the connection broke off after {done:,} bytes ({error})") from None
            if not block:
                break
            file.write(block)
            done += len(block)
            progress(f"downloading {name}", done, total)
    if done < total:
        raise WebError(f"the connection broke off after {done:,} of {total:,} bytes")
