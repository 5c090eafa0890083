"""A data set as a recipe's ``data`` section wants it: the one place where its values become images."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gancli.data.loading import Dataset
from gancli.data.pairs.sources import load_with_sources
from gancli.data.selection import only_class
from gancli.data.types import Progress
from gancli.errors import UsageError


class Wanted(Protocol):
    """The ``data`` section of a recipe; see the descriptions of its fields in :mod:`gancli.recipe`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> tuple[int, int] | None: ...  # noqa: D102
    @property
    def channels(self) -> int | None: ...  # noqa: D102
    @property
    def fit(self) -> str: ...  # noqa: D102
    @property
    def background(self) -> str: ...  # noqa: D102
    @property
    def only_class(self) -> str | None: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def paired(self) -> bool: ...  # noqa: D102


def load_for(
    wanted: Wanted, *, split: str = "train", data_dir: Path | None = None, progress: Progress | None = None
) -> Dataset:
    """One split, with one class alone and with sources where the recipe wants them.

    Args:
        wanted: a recipe's ``data`` section.
        split: "train" or "test".
        data_dir: where named sets are looked for first.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: an unknown name, class or source.
        GancliError: a download that failed, a damaged file.
    """
    dataset = load_with_sources(
        wanted.name,
        wanted.source,
        wanted.paired,
        split=split,
        size=wanted.size,
        channels=wanted.channels,
        fit=wanted.fit,
        background=wanted.background,
        data_dir=data_dir,
        progress=progress,
    )
    if wanted.only_class is None:
        return dataset
    if dataset.stream is not None:
        raise UsageError(
            "one class alone cannot be taken from shards, which are read as they come",
            "make shards of that class, as in `gancli data shard photos/cats --out cats`",
        )
    return only_class(dataset, wanted.only_class)
