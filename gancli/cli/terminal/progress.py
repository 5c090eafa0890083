"""Progress bars on standard error; none where it is no terminal."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from gancli.cli.terminal.console import stderr
from gancli.processes import rank


@contextmanager
def counting(what: str, total: int) -> Generator[Callable[[int], None]]:
    """A function to call with the number of things just made; the bar disappears at the end."""
    done = 0
    with progress_bar() as report:

        def advance(made: int) -> None:
            nonlocal done
            done += made
            report(what, done, total)

        yield advance


@contextmanager
def progress_bar(*, quiet: bool = False) -> Generator[Callable[[str, int, int], None]]:
    """A function to call with (what, done, total); each ``what`` gets a bar. Downloads are counted in bytes."""
    if quiet or rank() or not stderr().is_terminal:
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[amount]}")
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, TimeRemainingColumn(), console=stderr(), transient=True) as progress:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, amount="")
            progress.update(tasks[what], completed=done, total=total or None, amount=_amount(what, done, total))

        yield report


def _amount(what: str, done: int, total: int) -> str:
    if what.startswith("downloading"):
        return f"{done / 1e6:,.1f}/{total / 1e6:,.1f} MB" if total else f"{done / 1e6:,.1f} MB"
    return f"{done:,}/{total:,}"
