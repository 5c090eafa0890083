"""Commands that run in several processes: how they start, meet, and leave."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gancli.processes import World

Processes = Annotated[
    int | None, typer.Option(help="Share the work among so many processes on this machine.", min=1, metavar="N")
]


def meet() -> World:
    """The other processes of this command, where ``torchrun`` started any; does not import torch otherwise."""
    from gancli import processes
    from gancli.cli._imports import import_quickly

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import_quickly("torch")
    return processes.join()


def launch_or_meet(arguments: list[str], count: int | None) -> World:
    """Run the same command in so many processes, and leave; or, if it is one of those, meet the others.

    Args:
        arguments: of the command line, with ``--processes``.
        count: how many; None or 1: no more than there are.

    Raises:
        typer.Exit: when those that were started have ended.
    """
    if count and count > 1:
        launch(arguments, count)
    return meet()


def launch(arguments: list[str], count: int) -> None:
    """Run the same command in so many processes, and leave with its exit code.

    Args:
        arguments: of the command line, with ``--processes``.
        count: how many.

    Raises:
        typer.Exit: when it has ended.
    """
    from gancli import processes

    raise typer.Exit(processes.launch(count, without(arguments, "--processes")))


def without(arguments: list[str], option: str) -> list[str]:
    """Arguments without an option and its value."""
    kept, skip = [], False
    for word in arguments:
        if not skip and word != option and not word.startswith(f"{option}="):
            kept.append(word)
        skip = word == option and not skip
    return kept


@contextmanager
def one_by_one(world: World) -> Generator[None]:
    """The first process goes ahead, so that the others find what it has prepared."""
    if not world.first:
        world.barrier()
    yield
    if world.first:
        world.barrier()
