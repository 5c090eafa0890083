"""A file's tensors for a network of ours: by name, or else by order and shape, layer by layer.

A layer is what has one name up to the last dot: a weight with its bias, a batch norm with its statistics. The layers of
ours take their places among the file's in the same order, and every tensor has to fit. Where that can be done in more
than one way, or in none, it is an error: nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gancli.errors import GancliError, UsageError, nearest

Layer = Mapping[str, Tensor]
"""The tensors of a layer by the last part of their names."""

MOST_PAIRS = 400_000
"""Pairs of layers that are compared."""
MOST_NETWORKS = 64
"""Parts of a file that are tried."""


@dataclass
class Row:
    """Where a layer of the file goes.

    Attributes:
        there: its name in the file.
        here: the name of ours.
        shapes: of each tensor: name, shape in the file, shape in ours; None for one that is in the file alone or in
            ours alone.
        notes: what is done to it, in words.
    """

    there: str
    here: str
    shapes: list[tuple[str, tuple[int, ...] | None, tuple[int, ...] | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Match:
    """A file's tensors as a network's.

    Attributes:
        network: the part of the file that they are from, a dotted name; empty for the whole.
        tensors: by the names of ours.
        rows: where each layer goes.
        left: tensors of that part that go nowhere.
    """

    network: str
    tensors: dict[str, Tensor]
    rows: list[Row]
    left: list[str]


def match(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], network: str | None = None) -> Match:
    """A file's tensors for a network.

    Args:
        tensors: of the file, by name.
        expected: the network's, by name, of which only the shapes matter.
        network: the part of the file to take them from, a dotted name; None for the only one that fits.

    Raises:
        UsageError: no part of that name, none that fits, or several.
    """
    parts = networks(tensors, None if network is None else network.strip("."))
    found = [made for name, part in parts.items() if (made := _matched(name, part, expected))]
    # A part that fits with nothing left over is what a larger part fits by.
    least = {tuple(sorted(row.there for row in made.rows)): made for made in found}
    chosen = sorted(least.values(), key=lambda made: len(made.left))
    whole = [made for made in chosen if not made.left] or chosen
    if len(whole) == 1:
        return whole[0]
    if whole:
        names = ", ".join(f"'{made.network}'" for made in whole[:8])
        raise UsageError(
            f"the recipe's network fits {len(whole)} parts of the file: {names}",
            f"name one of them with `network={whole[0].network}`",
        )
    raise _misfit(next(iter(parts.values())), expected)


def networks(tensors: Mapping[str, Tensor], network: str | None = None) -> dict[str, dict[str, Tensor]]:
    """The parts of a file that may be a network, each by the dotted name that its tensors' names begin with.

    Of parts with the same tensors, the one with the longest name; the largest part first.

    Raises:
        UsageError: there is no part of the name asked for, or there are no tensors.
    """
    if not tensors:
        raise GancliError("there are no tensors in the file", "name a file of weights")
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        words = name.split(".")
        for count in range(min(len(words), 5)):
            parts.setdefault(".".join(words[:count]), {})[name] = value
    if network is not None:
        if network not in parts:
            raise UsageError(f"the file has no part '{network}'", nearest(network, parts))
        return {network: parts[network]}
    longest = {tuple(part): name for name, part in sorted(parts.items(), key=lambda each: len(each[0]))}
    ordered = sorted(longest.values(), key=lambda name: -len(parts[name]))
    return {name: parts[name] for name in ordered[:MOST_NETWORKS]}


def layers(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Layers by name, in their order."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        layer, _, leaf = name.rpartition(".")
        found.setdefault(layer, {})[leaf] = value
    return found


def _matched(name: str, part: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Match | None:
    """A part of a file for a network; None where it does not fit in exactly one way."""
    here = layers(expected)
    prefix = f"{name}." if name else ""
    there = layers(part)
    if all(f"{prefix}{key}" in part for key in expected):
        pairs: Sequence[tuple[str, str]] | None = [(f"{prefix}{layer}".strip("."), layer) for layer in here]
        if not all(_fit(there[one], here, list(here), index) for index, (one, _) in enumerate(pairs)):
            return None
    else:
        pairs = _places(there, here)
    return None if pairs is None else _moved(name, part, there, here, pairs)


def _moved(
    name: str, part: Mapping[str, Tensor], there: Mapping[str, Layer], here: Mapping[str, Layer], pairs: Sequence
) -> Match:
    """The tensors of layers that have found their places."""
    made, order = Match(name, {}, [], []), list(here)
    before: Tensor | None = None
    for index, (one, own) in enumerate(pairs):
        fit = _fit(there[one], here, order, index)
        assert fit is not None
        tensors, row = fit.tensors, Row(one, own, fit.shapes, fit.notes)
        if before is not None:
            tensors["running_mean"] = tensors["running_mean"] - before.to(tensors["running_mean"].dtype)
        before = fit.bias
        made.tensors |= {f"{own}.{leaf}".strip("."): value for leaf, value in tensors.items()}
        made.rows.append(row)
    used = {one for one, _ in pairs}
    made.left = [each for each in part if each.rpartition(".")[0] not in used]
    return made


def _places(there: Mapping[str, Layer], here: Mapping[str, Layer]) -> list[tuple[str, str]] | None:
    """Pairs of (file's layer, ours) in the order of both; None unless there is exactly one way."""
    ways = _ways(there, here)
    if ways is None or ways[0][0] != 1:
        return None
    theirs, ours, pairs = list(there), list(here), []
    row = column = 0
    while row < len(ours):
        if column < len(theirs) and ways[row][column + 1]:
            column += 1
            continue
        pairs.append((theirs[column], ours[row]))
        row, column = row + 1, column + 1
    return pairs


def _ways(there: Mapping[str, Layer], here: Mapping[str, Layer]) -> list[list[int]] | None:
    """In how many ways, 2 for more, ours from a row on find places in the file's from a column on."""
    theirs, order = list(there.values()), list(here)
    if len(theirs) * len(order) > MOST_PAIRS or len(theirs) < len(order):
        return None
    ways = [[0] * (len(theirs) + 1) for _ in order] + [[1] * (len(theirs) + 1)]
    for row in range(len(order) - 1, -1, -1):
        for column in range(len(theirs) - 1, -1, -1):
            here_too = ways[row + 1][column + 1]
            if here_too and not _fit(theirs[column], here, order, row):
                here_too = 0
            ways[row][column] = min(2, ways[row][column + 1] + here_too)
    return ways


@dataclass
class _Fit:
    tensors: dict[str, Tensor]
    shapes: list[tuple[str, tuple[int, ...] | None, tuple[int, ...] | None]]
    notes: list[str]
    bias: Tensor | None = None
    """What the batch norm that follows has to subtract from its mean."""


def _fit(layer: Layer, here: Mapping[str, Layer], order: Sequence[str], index: int) -> _Fit | None:
    """A layer of the file as the one of ours; None if it does not fit."""
    expected, rest = here[order[index]], dict(layer)
    fit = _Fit({}, [], [])
    for leaf, value in expected.items():
        own, shape = rest.pop(leaf, None), tuple(value.shape)
        if own is None and leaf == "bias" and expected["weight"].dim() > 1:
            made, note = torch.zeros(shape), "its layer has no bias: zeros"
        elif own is None and leaf == "num_batches_tracked":
            made, note = torch.zeros(shape, dtype=torch.int64), "batches are not counted: zero"
        elif own is None or own.is_floating_point() != value.is_floating_point():
            return None
        else:
            made, note = _reshaped(own, shape, layer.get("weight"))
        if made is None:
            return None
        fit.tensors[leaf] = made.float() if made.is_floating_point() else made
        fit.shapes.append((leaf, None if own is None else tuple(own.shape), shape))
        fit.notes += [note] if note else []
    bias, following = rest.pop("bias", None), here[order[index + 1]] if index + 1 < len(order) else {}
    mean = following.get("running_mean")
    if rest or (bias is not None and (mean is None or mean.shape != bias.shape)):
        return None
    if bias is not None:
        fit.bias = bias
        fit.shapes.append(("bias", tuple(bias.shape), None))
        fit.notes.append("its bias is subtracted from the mean of the batch norm that follows")
    return fit


def _reshaped(value: Tensor, shape: tuple[int, ...], weight: Tensor | None) -> tuple[Tensor | None, str]:
    """A tensor in another shape where that is the same layer, and a note; (None, "") where it is not."""
    if tuple(value.shape) == shape:
        return value, ""
    if value.numel() == 1 and shape in ((), (1,)):
        return value.reshape(shape), ""
    if value.dim() == 4 and len(shape) == 2:
        if math.prod(value.shape[2:]) == 1:
            made, note = value.flatten(1), "a 1x1 convolution as a linear layer"
        else:
            made = value.permute(1, 2, 3, 0).flatten(0, 2)
            note = "a transposed convolution of 1x1 pixels as a linear layer"
        return (made, note) if tuple(made.shape) == shape else (None, "")
    if value.dim() == len(shape) == 1 and weight is not None and weight.dim() == 4:
        made = value.repeat_interleave(math.prod(weight.shape[2:]))
        return (made, "a bias for each pixel") if tuple(made.shape) == shape else (None, "")
    return None, ""


def _misfit(part: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> UsageError:
    """The error that says how far the file's largest part fits."""
    there, here = layers(part), layers(expected)
    order, theirs = list(here), iter(there.items())
    before = ""
    for index, own in enumerate(order):
        skipped: list[str] = []
        for name, layer in theirs:
            if _fit(layer, here, order, index):
                break
            skipped.append(f"{name} {_shapes(layer)}")
        else:
            after = f" after {before}" if before else ""
            seen = f"; the file has {', '.join(skipped[:3])}{', …' if len(skipped) > 3 else ''}" if skipped else ""
            return UsageError(
                f"nothing in the file{after} fits the recipe's '{own or 'network'}' {_shapes(here[own])}{seen}",
                "change the recipe, as in `networks.generator.width=64`, `latent.dim=128`, `data.size=64`",
            )
        before = name
    return UsageError(
        "the recipe's network fits the file in more than one way: " + "; ".join(_choices(there, here)),
        f"name a part of it, as in `network={next(iter(part)).partition('.')[0]}`",
    )


def _choices(there: Mapping[str, Layer], here: Mapping[str, Layer]) -> Iterator[str]:
    """The first layers of ours that have a choice."""
    order = list(here)
    for index, own in enumerate(order[:200]):
        fitting = [name for name, layer in list(there.items())[:2000] if _fit(layer, here, order, index)]
        if len(fitting) > 1:
            yield f"'{own or 'network'}' could be {' or '.join(fitting[:4])}"
            if index > 2:
                return


def _shapes(layer: Layer) -> str:
    """A layer's tensors in a line."""
    return "(" + ", ".join(f"{leaf} {'x'.join(map(str, value.shape)) or '1'}" for leaf, value in layer.items()) + ")"
