"""Load the data set that a recipe's ``data`` section requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gancli.data.pairs.sources import load_with_sources
from gancli.data.selection import only_class
from gancli.data.types import Dataset, Progress

if TYPE_CHECKING:
    from gancli.recipe.sections import Data


def load_for(
    data: Data, *, split: str = "train", data_dir: Path | None = None, progress: Progress | None = None
) -> Dataset:
    """One split of the requested data, with its sources, and limited to one class where the recipe says so.

    Args:
        data: a recipe's ``data`` section.
        split: "train" or "test".
        data_dir: the first folder to search for named sets.
        progress: called with the task, how much of it is done, and the total.

    Raises:
        UsageError: an unknown name, class or source.
        GancliError: a download that failed, a damaged file.
    """
    dataset = load_with_sources(
        data.name,
        data.source,
        data.paired,
        split=split,
        data_dir=data_dir,
        progress=progress,
        **data.model_dump(include={"size", "channels", "fit", "background"}),
    )
    return dataset if data.only_class is None else only_class(dataset, data.only_class)
