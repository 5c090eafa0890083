"""The server: views, the files of the page, errors. No torch is imported here."""

from __future__ import annotations

import mimetypes
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

import gancli
from gancli.errors import GancliError, UsageError
from gancli.page.access import Access, Guard

STATIC = Path(__file__).with_name("static")

PORT = 8642
"""The first port that is tried: what a browser stores for the page, it stores for an address with its port."""

TRIED = 20
"""Ports that are tried, one after the other."""

MOST_CONNECTIONS = 100

for kind, suffix in (("text/javascript", ".js"), ("text/css", ".css"), ("image/svg+xml", ".svg")):
    mimetypes.add_type(kind, suffix)  # Windows' own table may have others, which browsers do not run


@dataclass(frozen=True)
class View:
    """One view of the page.

    Attributes:
        name: of ``static/NAME.js``, which has ``mount(element, api)``, of ``static/NAME.css``, where there is one, and
            of its part of the API, ``/api/NAME/``.
        title: in the navigation.
        router: its part of the API. Work that takes long goes to a :class:`gancli.page.worker.Worker`.
    """

    name: str
    title: str
    router: APIRouter


def create(views: Sequence[View], access: Access, *, program: str = "gancli") -> ASGIApp:
    """The whole server, guarded.

    Args:
        views: in the order of the navigation; the first is shown.
        access: who may use it.
        program: the words that start gancli, for the commands that the page shows.
    """

    # No pages of documentation, since FastAPI's load scripts from elsewhere, and no telemetry.
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    listed = [
        {"name": view.name, "title": view.title, "style": (STATIC / f"{view.name}.css").is_file()} for view in views
    ]

    @app.get("/")
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/api/views")
    async def names() -> dict[str, Any]:
        return {"views": listed, "program": program, "version": gancli.__version__}

    for view in views:
        app.include_router(view.router, prefix=f"/api/{view.name}")
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(GancliError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    return Guard(app, access)


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, GancliError):
        raise error
    return JSONResponse({"error": error.message, "hint": error.hint}, 400)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong; FastAPI's own answer would repeat the whole request."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return JSONResponse({"error": f"{where}: {first['msg']}"[:300]}, 422)


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that waits for connections.

    Args:
        host: to bind to.
        port: None for :data:`PORT`, or the next one that is free.

    Raises:
        UsageError: the port is taken, or this machine has no such address.
    """
    ports = range(PORT, PORT + TRIED) if port is None else [port]
    reason = ""
    for number in ports:
        try:
            (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)
            opened = socket.socket(family, kind, protocol)
        except OSError as error:
            raise UsageError(
                f"`host` '{host}' is no address of this machine: {error.strerror}", "leave it out"
            ) from None
        try:
            if hasattr(socket, "SO_REUSEPORT"):  # elsewhere, as on Windows, two servers could share a port
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(128)
            return opened
        except OSError as error:
            opened.close()
            reason = (error.strerror or str(error)).lower()
    if port is None:
        raise UsageError(f"cannot listen at {host}, ports {ports[0]} to {ports[-1]}: {reason}", "name another `port`")
    raise UsageError(f"cannot listen at {host}, port {port}: {reason}", "name another `port`, or leave it out")


def prepare(app: ASGIApp) -> uvicorn.Server:
    """The server before it runs; its ``should_exit`` ends it."""
    config = uvicorn.Config(
        app,
        http="h11",
        log_level="warning",
        access_log=False,  # it would have the token
        server_header=False,
        proxy_headers=False,  # nobody stands between who could tell the truth
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, opened: socket.socket) -> None:
    """Answer requests until a signal ends the process."""
    prepare(app).run(sockets=[opened])
