"""A bar on standard error while many things are made; silent where nobody watches."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from gancli.cli.terminal.console import talk
from gancli.processes import rank


@contextmanager
def counting(what: str, total: int) -> Generator[Callable[[int], None]]:
    """A function to call with the number of things just made; the bar leaves no trace when it is done."""
    if rank() or not talk().is_terminal:
        yield lambda made: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=talk(), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda made: progress.advance(task, made)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Generator[Callable[[str, int, int], None]]:
    """A function to call with what is being done, how much of it is done, and of how much; one bar for each "what".

    Downloads are counted in bytes and shown as such.
    """
    if quiet or rank() or not talk().is_terminal:
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[amount]}")
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, TimeRemainingColumn(), console=talk(), transient=True) as progress:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, amount="")
            progress.update(tasks[what], completed=done, total=total or None, amount=_amount(what, done, total))

        yield report


def _amount(what: str, done: int, total: int) -> str:
    if what.startswith("downloading"):
        return f"{done / 1e6:,.1f}/{total / 1e6:,.1f} MB" if total else f"{done / 1e6:,.1f} MB"
    return f"{done:,}/{total:,}"
