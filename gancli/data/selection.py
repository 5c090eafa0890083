"""Select one class of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.types import Dataset

LISTED = 20
"""Classes that an error names one by one."""


def class_number(text: str, names: Sequence[str]) -> int | None:
    """The number of a class given by its name, in any case, or by its number; None when there is none.

    A name takes precedence over a number, since folders may be called 1, 2, 3 and be numbered 0, 1, 2.
    """
    text = text.strip()
    folded = [name.casefold() for name in names]
    if text in names:
        return names.index(text)
    if text.casefold() in folded:
        return folded.index(text.casefold())
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(names):
        return int(text)
    return None


def class_hint(text: str, names: Sequence[str]) -> str:
    """What to type instead of an unknown class: the nearest name, else all of them in the order of their numbers."""
    # The nearest spelling of a number is no nearer in value.
    if not text.isdigit() and get_close_matches(text, names, n=1, cutoff=0.5):
        return nearest(text, names)
    shown = ", ".join(names[:LISTED])
    return f"one of: {shown}" + (f", … {len(names) - LISTED} more" if len(names) > LISTED else "")


def class_positions(dataset: Dataset, text: str) -> tuple[int, Tensor]:
    """The number of a class, and the positions of its images: int64 (N,).

    Args:
        dataset: with labels.
        text: the class's name or number.

    Raises:
        UsageError: the data set has no classes, or no such class, or no image of it.
    """
    if dataset.labels is None:
        raise UsageError(f"'{dataset.name}' has no classes to choose '{text}' from", "leave out `only_class`")
    number = class_number(text, dataset.classes)
    if number is None:
        raise UsageError(f"'{dataset.name}' has no class '{text}'", class_hint(text, dataset.classes))
    positions = (dataset.labels == number).nonzero().flatten()
    if not len(positions):
        raise UsageError(f"'{dataset.name}' has no image of the class '{dataset.classes[number]}'")
    return number, positions


def only_class(dataset: Dataset, text: str) -> Dataset:
    """The images of one class, without labels.

    Args:
        dataset: with labels.
        text: the class's name or number.

    Raises:
        UsageError: see :func:`class_positions`; or the images are in shards.
    """
    from gancli.data.types import combined_fingerprint

    if dataset.stream is not None:
        raise UsageError(
            "one class alone cannot be taken from shards, which are read in their order",
            "make shards of that class, as in `gancli data shard photos/cats --out cats`",
        )
    number, positions = class_positions(dataset, text)
    sources = dataset.sources
    if sources is not None and len(sources) == len(dataset.images):
        sources = sources[positions]
    return replace(
        dataset,
        images=dataset.images[positions],
        labels=None,
        classes=(),
        fingerprint=combined_fingerprint([dataset.fingerprint, "class", str(number)]),
        sources=sources,
    )
