"""Opening addresses: over https alone, also where a redirection leads."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPMessage, HTTPResponse
from typing import IO, Any

import gancli

SCHEMES = ("https",)
"""What an address may begin with; a test's own server on this machine has no certificate."""


def secure(url: str) -> str:
    """The address over https, where it was written down as one over http."""
    scheme, colon, rest = url.partition("://")
    return url if scheme in SCHEMES or scheme != "http" else f"https{colon}{rest}"


def open_https(
    url: str, timeout: float, headers: Mapping[str, str] | None = None, check: Callable[[str], None] | None = None
) -> HTTPResponse:
    """The answer of an address; use it in a ``with``.

    Args:
        url: the address.
        timeout: seconds without a sign of life.
        headers: that are asked with.
        check: refuses an address, the one given or one that it leads to; None: whatever is not one over https.

    Raises:
        URLError: an address, or one that it leads to, that is not one over https; or no answer.
        HTTPError: an answer of a status that is no success.
        OSError, HTTPException: as of the network.
    """
    check = check or _check
    check(url)
    request = urllib.request.Request(url, headers={"User-Agent": f"gancli/{gancli.__version__}", **(headers or {})})
    return urllib.request.build_opener(_Redirections(check)).open(request, timeout=timeout)


class _Redirections(urllib.request.HTTPRedirectHandler):
    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Any:
        self._check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(url: str) -> None:
    if url.partition("://")[0].lower() not in SCHEMES:
        raise urllib.error.URLError(f"'{url[:200]}' is not an address over https")
