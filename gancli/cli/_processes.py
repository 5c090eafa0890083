"""Commands that run in several processes: how they start and meet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from gancli import processes
from gancli.cli._imports import import_quickly

if TYPE_CHECKING:
    from gancli.processes import World


def launch_or_meet(arguments: list[str], count: int | None) -> World:
    """Run the same command in ``count`` processes and exit; without a count, join the processes there are.

    Args:
        arguments: of the command line, with ``--processes``.
        count: of processes; None or 1 starts none.

    Raises:
        typer.Exit: with the exit code of those that were started.
    """
    if count and count > 1:
        raise typer.Exit(processes.launch(count, [*arguments, "--processes", "1"]))  # the last one counts
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # torch is not imported otherwise
        import_quickly("torch")
    return processes.join()
