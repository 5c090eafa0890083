"""One class of a data set, alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.loading import Dataset

LISTED = 20
"""Classes that an error names one by one."""


def class_number(text: str, names: Sequence[str]) -> int | None:
    """The class that a text means: its name, in any case of letters, or its number; None when there is none.

    A name wins over a number, since folders may be called 1, 2, 3 and be numbered 0, 1, 2.
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
    # Of numbers, the nearest by its letters is the nearest in no other way.
    if not text.isdigit() and get_close_matches(text, names, n=1, cutoff=0.5):
        return nearest(text, names)
    shown = ", ".join(names[:LISTED])
    return f"one of: {shown}" + (f", … {len(names) - LISTED} more" if len(names) > LISTED else "")


def class_positions(dataset: Dataset, text: str) -> Tensor:
    """Where the images of one class lie: int64 (N,).

    Args:
        dataset: with labels.
        text: the class's name or number.

    Raises:
        UsageError: the data set has no classes, or no such class, or no image of it.
    """
    if dataset.labels is None:
        raise UsageError(f"'{dataset.name}' has no classes to choose '{text}' from", "leave out --only-class")
    number = class_number(text, dataset.classes)
    if number is None:
        raise UsageError(f"'{dataset.name}' has no class '{text}'", class_hint(text, dataset.classes))
    there = (dataset.labels == number).nonzero().flatten()
    if not len(there):
        raise UsageError(f"'{dataset.name}' has no image of the class '{dataset.classes[number]}'")
    return there


def only_class(dataset: Dataset, text: str) -> Dataset:
    """The images of one class; they have no labels, since there is nothing left to tell apart.

    Args:
        dataset: with labels.
        text: the class's name or number.

    Raises:
        UsageError: see :func:`class_positions`.
    """
    there, number = class_positions(dataset, text), class_number(text, dataset.classes)
    fingerprint = hashlib.sha256(f"{dataset.fingerprint} class {number}".encode()).hexdigest()[:16]
    sources = dataset.sources
    if sources is not None and len(sources) == len(dataset.images):
        sources = sources[there]
    images = dataset.images[there]
    return replace(dataset, images=images, labels=None, classes=(), fingerprint=fingerprint, sources=sources)
