"""The page beside a training: a process of its own, which reads the run's folder and ends with the training.

The first line of its standard input names the folder, and its end is the end of the training, however that ended. It
prints the page's address.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import typer

from gancli.cli.terminal.commands import program
from gancli.cli.terminal.console import say
from gancli.errors import UsageError

LINGER = 2.0
"""Seconds that the page lasts longer than the training, so that browsers get its end."""


def check(dry_run: bool) -> None:
    """Refuse --page where there is no training, or nothing that serves pages, before any work."""
    from gancli import page

    if dry_run:
        raise UsageError("--page shows a training, and --dry-run makes none", "give one of them")
    page.check_installed()


def beside(context: typer.Context) -> Page:
    """The page of a training that is about to begin; it ends with the command."""
    page = Page()
    context.call_on_close(page.close)
    return page


class Page:
    """The process, as the training sees it: it starts at once, and is told the folder by :meth:`show`."""

    def __init__(self) -> None:
        # In a session of its own, since Ctrl-C asks the training to save, and the page to stay until it has.
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=os.name == "posix",
            env={**os.environ, "GANCLI_PROGRAM": program()},
        )  # fmt: skip

    def show(self, folder: Path) -> None:
        """Show the run of a folder, which need not exist yet, and say where."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.write(json.dumps(str(folder.absolute())) + "\n")
            self._process.stdin.flush()
        address = self._process.stdout.readline().strip()
        if address:
            say(f"the page of this training, which ends with it: {address}")
        else:
            say("warning: the page cannot be served; the training continues without it")

    def close(self) -> None:
        """End it, once browsers have had the time to show the end of the training."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()


def serve() -> None:
    """Serve the run that standard input names until its end."""
    import webbrowser

    from gancli.page import runs, server
    from gancli.page.access import Access

    line = sys.stdin.readline()
    if not line:
        return
    view = runs.view([Path(json.loads(line))])
    with server.listen("127.0.0.1", None) as opened:
        access = Access("127.0.0.1", opened.getsockname()[1])
        print(access.address(access.token), flush=True)
        threading.Thread(target=webbrowser.open, args=[access.address(access.once)], daemon=True).start()
        threading.Thread(target=_end_with_input, daemon=True).start()
        server.serve(server.create([view], access, program=os.environ["GANCLI_PROGRAM"]), opened)


def _end_with_input() -> None:
    sys.stdin.read()
    time.sleep(LINGER)
    os.kill(os.getpid(), signal.SIGTERM)
