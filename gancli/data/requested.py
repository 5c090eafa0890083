"""Load the data set that a recipe's ``data`` section requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gancli.data.holding_out import Split, divide, hold_out
from gancli.data.pairs.sources import load_with_sources
from gancli.data.selection import only_class
from gancli.data.types import Dataset, Progress, no_progress

if TYPE_CHECKING:
    from gancli.recipe.sections import Data


def load_for(
    data: Data,
    *,
    split: str = "train",
    data_dir: Path | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    divided: Split | None = None,
) -> Dataset:
    """One split of the requested data, with its sources, limited to one class where the recipe says so, and without
    the images that it holds out.

    Args:
        data: a recipe's ``data`` section.
        split: "train" or "test".
        data_dir: the first folder to search for named sets.
        progress: called with the task, how much of it is done, and the total.
        seed: decides which images are held out.
        divided: which images are held out, where that is known already.

    Raises:
        UsageError: an unknown name, class or source, or data of which no images can be held out.
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
    dataset = dataset if data.only_class is None else only_class(dataset, data.only_class)
    if not data.hold_out or split != "train":
        return dataset
    if divided is not None:
        return divide(dataset, divided)
    return hold_out(dataset, data.hold_out, seed, progress or no_progress)
