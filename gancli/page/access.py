"""Who may use the page: a token in the first address, a cookie from then on, and no other site.

The server is reached by every program and every web page that runs on this machine. So it answers to a cookie alone,
which it gives in exchange for the token of the address that it was opened with. Names that other sites could point at
this machine (DNS rebinding) and requests that other sites make are refused, with the cookie or without.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 1 << 20
"""Bytes of a request at most."""

HEADERS = {
    # Scripts, styles, requests and WebSockets of this server alone; no other page may show this one in a frame.
    # Images of the page's own memory too, where it measures a picture before decoding it.
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # A newer gancli at the same address must not meet scripts of the older one.
    "cache-control": "no-store",
}

_ADMITTED = ("same-origin", "none")
"""Values of Sec-Fetch-Site of requests that no other site has made."""

_REFUSED = "<!doctype html><title>gancli</title><p>This page opens with the address that gancli printed."
_AGAIN = '<!doctype html><title>gancli</title><meta http-equiv="refresh" content="{}">'


@dataclass
class Access:
    """The secrets of one server.

    Attributes:
        host: that it is bound to.
        port: that it is bound to.
        token: of the address that the user reads.
        once: of the address that is given to the browser; other users may read it in the list of processes, but it
            admits once only.
        session: value of the cookie.
    """

    host: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    once: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def cookie(self) -> str:
        """Name of the cookie: browsers keep one set of cookies for all ports of a machine."""
        return f"gancli-{self.port}"

    def address(self, token: str) -> str:
        """The address that opens the page."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/?token={token}"

    def admits(self, token: str) -> bool:
        """Whether a token is one of this server's."""
        if self.once and secrets.compare_digest(token.encode(), self.once.encode()):
            self.once = ""
            return True
        return secrets.compare_digest(token.encode(), self.token.encode())

    def knows(self, headers: Headers) -> bool:
        """Whether a request has the cookie."""
        given = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        return secrets.compare_digest(given.encode(), self.session.encode())

    def is_named(self, host: str) -> bool:
        """Whether a Host header names this server, and no domain that somebody else may have pointed at it."""
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.strip("[]").lower()
        try:
            local = ip_address(name).is_loopback
            number = True
        except ValueError:
            local, number = name == "localhost", False
        if local or is_local(self.host):
            return local
        return number or name in (self.host.lower(), socket.gethostname().lower())


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Lets through what :class:`Access` allows, and adds :data:`HEADERS` to every answer.

    Args:
        app: what is guarded.
        access: who may use it.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one WebSocket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "websocket":
            if self._refusal(scope):
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._app(scope, receive, send)
            return
        answer = self._entry(scope) or self._refusal(scope)
        if answer is None:
            body = await _body(Headers(scope=scope), receive)
            if body is not None:
                await self._app(scope, _replayed(body, receive), with_headers)
                return
            answer = JSONResponse({"error": f"the request has more than {LARGEST_BODY:,} bytes"}, 413)
        await answer(scope, receive, with_headers)

    def _entry(self, scope: Scope) -> Response | None:
        """The answer to the first address, which gives a cookie for the token; None for other requests."""
        headers, access = Headers(scope=scope), self._access
        if scope["path"] != "/" or scope["method"] != "GET" or not access.is_named(headers.get("host", "")):
            return None
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        foreign = headers.get("sec-fetch-site", "none") not in _ADMITTED
        # After a link on another site browsers send no strict cookie, not even after a redirect: the page opens itself
        # once more.
        if token is None:
            return HTMLResponse(_AGAIN.format("0")) if foreign and not access.knows(headers) else None
        if not access.admits(token[-1]):
            return HTMLResponse(_REFUSED, 403)
        answer = HTMLResponse(_AGAIN.format("0;url=./")) if foreign else RedirectResponse("/", 303)
        answer.set_cookie(access.cookie, access.session, httponly=True, samesite="strict")
        return answer

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is not let through; None if it is."""
        headers, access = Headers(scope=scope), self._access
        host = headers.get("host", "")
        if not access.is_named(host):
            return JSONResponse({"error": "the request names another server"}, 421)
        safe = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        origin = headers.get("origin")
        if (origin is not None or not safe) and origin not in (f"http://{host}", f"https://{host}"):
            return JSONResponse({"error": "the request comes from another site"}, 403)
        opened = scope["type"] == "http" and scope["path"] == "/"  # by a link, which only shows the page
        if not opened and headers.get("sec-fetch-site", "none") not in _ADMITTED:
            return JSONResponse({"error": "the request comes from another site"}, 403)
        if not access.knows(headers):
            return HTMLResponse(_REFUSED, 403) if opened else JSONResponse({"error": "the request has no cookie"}, 403)
        return None


async def _body(headers: Headers, receive: Receive) -> bytes | None:
    """A request's body; None if it is too large, of which no more is read."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that has been read, for whoever reads it next; then what comes after it."""
    waiting = [body]

    async def read() -> Message:
        return {"type": "http.request", "body": waiting.pop(), "more_body": False} if waiting else await receive()

    return read
