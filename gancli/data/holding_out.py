"""Hold images out of training, by whole groups of near-duplicates: for memorisation, coverage and D's overfitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gancli.data import duplicates
from gancli.data.builtin.names import DATASETS
from gancli.data.memory import check_memory
from gancli.data.types import Dataset, Progress, combined_fingerprint, no_progress
from gancli.errors import GancliError, UsageError

MOST = 10_000
"""Images that a share is at most; an evaluation compares with no more."""
FEWEST = 6
"""Images that metrics need on each side."""


@dataclass(frozen=True)
class Split:
    """Which images of a data set are held out; it stands in the headers of a run's files.

    Attributes:
        fingerprint: of the whole set.
        positions: of the held-out images in it, ascending.
        groups: how many groups of near-duplicates they are.
    """

    fingerprint: str
    positions: tuple[int, ...]
    groups: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"fingerprint": self.fingerprint, "groups": self.groups, "positions": list(self.positions)}


def stored_split(header: Mapping[str, Any]) -> Split | None:
    """The split in the header of a model or a state; None where none of its images are held out.

    Raises:
        GancliError: a header that is damaged.
    """
    dataset = header.get("dataset")
    found = dataset.get("held_out") if isinstance(dataset, Mapping) else None
    if found is None:
        return None
    try:
        fingerprint, positions, groups = found["fingerprint"], found["positions"], found["groups"]
        whole = all(type(each) is int and 0 <= each < 2**40 for each in (*positions, groups))
        ascending = all(one < other for one, other in pairwise(positions))
        if whole and ascending and positions and isinstance(fingerprint, str):
            return Split(fingerprint, tuple(positions), groups)
    except (KeyError, TypeError):
        pass
    raise GancliError("the header says wrongly which images were held out", "train the model again")


def hold_out(dataset: Dataset, amount: float, seed: int, progress: Progress = no_progress) -> Dataset:
    """The data set without some of its images, which are its ``held_out``.

    Args:
        dataset: a set without a held-out split.
        amount: a share below 1, or a number of images.
        seed: decides which; the same one gives the same images.
        progress: called with the number of images compared.

    Raises:
        UsageError: a set of which none can be held out, or not so many.
    """
    check(dataset)
    total = len(dataset.images)
    count = min(MOST, round(amount * total)) if amount < 1 else int(amount)
    if not FEWEST <= count <= total // 2:
        asked = f"a share of {amount:g}, {count} of {total:,} images," if amount < 1 else f"{count:,} images"
        raise UsageError(
            f"`hold_out`: {asked} cannot be held out of '{dataset.name}'",
            f"from {FEWEST} images to half of the {total:,}, as in 0.1, or train on all of them"
            if total >= 2 * FEWEST
            else "train on all of them",
        )
    group = duplicates.groups(dataset.images, progress)
    chosen = _chosen(group, dataset.labels, count, seed)
    if len(chosen) < FEWEST:
        raise UsageError(
            f"`hold_out`: '{dataset.name}' is made of {len(group.unique()):,} groups of near-duplicates, and they are "
            f"too large to hold {count:,} images out",
            "hold out more images, or train on all of them",
        )
    return divide(dataset, Split(dataset.fingerprint, tuple(chosen.tolist()), len(group[chosen].unique())))


def check(dataset: Dataset) -> None:
    """Refuse a set of which no images can be held out.

    Raises:
        UsageError: numbers, shards, sources, or a set that has a held-out split.
    """
    if dataset.formula is not None:
        raise UsageError(f"`hold_out`: '{dataset.name}' is numbers, drawn anew", "leave it out")
    if dataset.stream is not None:
        raise UsageError(
            f"`hold_out`: no images can be held out of '{dataset.name}', whose shards are read in their order",
            "make other shards of the images to hold out, and evaluate with `data=SHARDS`",
        )
    if dataset.sources is not None:
        raise UsageError(
            f"`hold_out`: '{dataset.name}' is translated, and pairs are held out by folders",
            "put some into a folder test/ beside a folder train/ of the others",
        )
    held_out = dataset.splits.get("test") or (dataset.name in DATASETS and DATASETS[dataset.name].images.get("test"))
    if held_out:
        raise UsageError(
            f"`hold_out`: '{dataset.name}' has a held-out split of {held_out:,} images already, which is never "
            "trained on",
            "leave it out: evaluation takes that split",
        )


def divide(dataset: Dataset, split: Split) -> Dataset:
    """The data set without the images of a split, which are its ``held_out``.

    Raises:
        UsageError: the split is that of another set.
    """
    total, found = len(dataset.images), split.positions
    if split.fingerprint != dataset.fingerprint or found[-1] >= total:
        raise UsageError(
            f"the data set '{dataset.name}' is not the one of which images were held out (fingerprint "
            f"{split.fingerprint[:16]} then, {dataset.fingerprint} now)",
            "bring the old data back, or train a new model",
        )
    check_memory(total, dataset.images.shape[1], (dataset.images.shape[2], dataset.images.shape[3]))
    held_out = replace(_part(dataset, torch.tensor(found), split, "held out"), split="held-out")
    return replace(_part(dataset, remaining(split, total), split, "training"), held_out=held_out, divided=split)


def remaining(split: Split, total: int) -> Tensor:
    """The positions of the training images in the whole set, int64 (N,)."""
    member = torch.ones(total, dtype=torch.bool)
    member[list(split.positions)] = False
    return member.nonzero().flatten()


def _part(dataset: Dataset, positions: Tensor, split: Split, name: str) -> Dataset:
    parts = [split.fingerprint, name, *map(str, split.positions)]
    labels = None if dataset.labels is None else dataset.labels[positions]
    return replace(dataset, images=dataset.images[positions], labels=labels, fingerprint=combined_fingerprint(parts))


def _chosen(group: Tensor, labels: Tensor | None, count: int, seed: int) -> Tensor:
    """Positions of at most ``count`` images in whole groups, about equal shares of every class, ascending.

    Groups are taken in random order, each if it fits into what is left for its classes.
    """
    classes = torch.zeros_like(group) if labels is None else labels
    left = _shares(classes.bincount().tolist(), count)
    number = group.unique(return_inverse=True)[1]
    members = number.argsort(stable=True).split(number.bincount().tolist())
    found = []
    for index in torch.randperm(len(members), generator=torch.Generator().manual_seed(seed)).tolist():
        needed = classes[members[index]].bincount(minlength=len(left)).tolist()
        if all(one <= other for one, other in zip(needed, left, strict=True)):
            left = [other - one for one, other in zip(needed, left, strict=True)]
            found.append(members[index])
    return torch.cat(found).sort().values if found else torch.empty(0, dtype=torch.long)


def _shares(counts: Sequence[int], count: int) -> list[int]:
    """``count`` divided in proportion to ``counts``, by the largest remainders."""
    exact = [count * each / sum(counts) for each in counts]
    shares = [int(each) for each in exact]
    order = sorted(range(len(exact)), key=lambda index: shares[index] - exact[index])
    for index in order[: count - sum(shares)]:
        shares[index] += 1
    return shares
