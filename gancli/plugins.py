"""Which parts of other packages may be named by files. Light: no torch, no pydantic.

An installed package offers parts by entry points of the groups of :data:`GROUPS`. Importing one runs that package's
code, so it takes a person to name it: on the command line, in Python by :func:`allow`, or in the zoo, which is as
trusted as this package. A recipe or model that came as a file may name none unasked: who is sent a file decides what is
installed, but not what the sender starts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = {
    "extractor": "gancli.extractors",
    "metric": "gancli.metrics",
    "architecture": "gancli.architectures",
    "objective": "gancli.objectives",
    "loss": "gancli.losses",
    "regularizer": "gancli.regularizers",
    "augmentation": "gancli.augmentations",
    "optimizer": "gancli.optimizers",
}
"""What packages can offer, and the group of entry points for it."""

_allowed: set[str] = set()


def offered(kind: str) -> dict[str, EntryPoint]:
    """What other packages offer of a kind, by name, without importing any of it."""
    from importlib.metadata import entry_points  # a seventh of the time that the help takes

    return {entry.name: entry for entry in entry_points(group=GROUPS[kind])}


def allow(*names: str) -> None:
    """Let files name these plug-ins, until the process ends or :func:`allowing` does."""
    _allowed.update(names)


def trust(table: Any) -> None:
    """Let the plug-ins be named that a table of the zoo names."""
    allow(*_texts(table))


def is_allowed(name: str) -> bool:
    """Whether files may name it."""
    return name in _allowed


@contextmanager
def allowing(named: Iterable[str]) -> Generator[None]:
    """What is allowed meanwhile is forgotten afterwards.

    Args:
        named: plug-ins that must be there.

    Raises:
        UsageError: nothing that is installed offers a plug-in of that name.
    """
    before = set(_allowed)
    for name in named:
        known = {each for kind in GROUPS for each in offered(kind)}
        if name not in known:
            raise UsageError(f"`allow_plugin` '{name}': no installed package offers that", nearest(name, known))
        allow(name)
    try:
        yield
    finally:
        _allowed.clear()
        _allowed.update(before)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
