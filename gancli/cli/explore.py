"""``gancli explore``: a page in the browser."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli import lock
from gancli.cli import _options
from gancli.cli._imports import import_quickly
from gancli.cli.terminal.commands import program
from gancli.cli.terminal.console import say
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.page.server import View
    from gancli.page.worker import Worker


def explore(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL|RUN|DATA",
            help="Models to compare, runs to watch, or points of the plane for a lab: ring, grid, swissroll or a CSV. "
            "Default: the newest run, or quick/mnist without a run.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, metavar="N", help="Port of the page. Default: 8642, or the next free one."),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser; only print the address.")] = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen at; any but 127.0.0.1 admits other machines.")
    ] = "127.0.0.1",
    device: _options.Device = "auto",
) -> None:
    """Open a page in the browser: models, trainings, a lab.

    The page shows seeds, classes, codes, truncation, latent dimensions, walks, and models beside each other; it finds
    the latents of pictures and fills holes in them; and it shows the command line for all that it does. Of runs it also
    shows curves, findings and samples over time, while they are trained as well. Points of the plane are trained on the
    page itself, step by step. It is served on this machine alone and needs no network. Ctrl-C ends it.

    \b
    Examples:
      gancli explore
      gancli explore quick/mnist
      gancli explore dcgan/mnist wgan/mnist infogan/mnist
      gancli explore RUN --no-open --port 9000
      gancli explore ring
    """
    import threading
    import webbrowser

    from gancli import page

    page.check_installed()
    import_quickly("gancli.page.images")
    from gancli.page import server
    from gancli.page.access import Access, is_local
    from gancli.page.worker import Worker

    worker = Worker()
    views = _views(names or [], device, worker)
    with server.listen(host, port) as opened:
        access = Access(host, opened.getsockname()[1])
        app = server.create(views, access, program=program())
        if not is_local(host):
            say(
                f"warning: --host {host} lets other machines connect. Who has the address below can use the page; it "
                "is sent without encryption, so that others in the network can read it."
            )
        say("open this address in a browser; Ctrl-C ends the page" if no_open else "Ctrl-C ends the page")
        print(access.address(access.token), flush=True)
        if not no_open:
            threading.Thread(target=webbrowser.open, args=[access.address(access.once)], daemon=True).start()
        with suppress(KeyboardInterrupt):  # as the page is ended
            server.serve(app, opened)
    if worker.busy or views[0].name == "lab":  # as with importing torch, which Python would wait for
        os._exit(0)


def _views(names: list[str], device: str, worker: Worker) -> list[View]:
    """What the page shows: the lab for data of points, else images, with the trainings where runs are named."""
    from gancli.page import images, lab, runs
    from gancli.page.points import newest

    names = names or [newest()]
    if any(map(lab.is_lab, names)):
        if len(names) > 1:
            raise UsageError(f"the lab shows one data set, and {' '.join(names)} are {len(names)}", "name one of them")
        return [lab.view(names[0])]
    found = [_run(name) for name in names]
    folders = [folder for folder in found if folder is not None]
    if not folders:
        return [images.view(names, device, worker)]
    trainings = runs.view(folders)
    if any(lock.holder(folder) for folder in folders):
        return [trainings, images.view(names, device, worker)]
    return [images.view(names, device, worker), trainings]


def _run(name: str) -> Path | None:
    """The folder of the run that a name means; None where it is that of a model alone."""
    from gancli.runs.folder import METRICS_FILE
    from gancli.zoo import catalogue

    with suppress(UsageError):
        folder = catalogue.run_named(name)
        return folder if (folder / METRICS_FILE).is_file() else None
    return None
