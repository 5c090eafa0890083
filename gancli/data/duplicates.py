"""Copies and near-duplicates among images: which belong into one group.

Near-duplicates have the same edges: a hand in another skin tone, a photograph saved again. Each image is described by
the strength of its edges on a grid, whatever their colours and direction. Images of nearly equal descriptors are
joined, and with them whatever is joined to either.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gancli.alpha import premultiply
from gancli.data.types import Progress, no_progress

SIDE = 32
"""Pixels on a side that images are reduced to before their edges are computed."""
GRID = 16
"""Cells on a side of the grid of edges."""
POWER = 0.25
"""Of the gradient's magnitude: an outline counts nearly the same against a dark and a light skin."""
ALIKE = 0.97
"""Correlation of two descriptors above which images are near-duplicates, by experiment: docs/research.md."""

COMPONENTS = 31
"""Leading principal components of descriptors, in which pairs are compared first."""

_SLACK = 1.0001
"""So much longer are short vectors than descriptors, for rounding errors."""

_SCALE = 2000
"""Length of a descriptor of integers. Sums of their products, at most its square, are exact in float32, so that groups
depend neither on the order of summation nor on the number of threads."""
_BLOCK = 1 << 23
"""Pairs that are compared at once."""


def copies(images: Tensor) -> Tensor:
    """The position of the first image with the same pixels, int64 (N,).

    Args:
        images: uint8 (N, C, H, W).
    """
    first: dict[bytes, int] = {}
    found = [first.setdefault(_digest(image), index) for index, image in enumerate(images.numpy())]
    return torch.tensor(found, dtype=torch.long)


def groups(images: Tensor, progress: Progress = no_progress) -> Tensor:
    """The position of the first near-duplicate, its own where there is none before it, int64 (N,).

    Args:
        images: uint8 (N, C, H, W).
        progress: called with the number of images compared.
    """
    count, first = len(images), copies(images).numpy()
    alone = np.flatnonzero(first == np.arange(count))
    vectors = torch.cat([descriptors(images[part]) for part in torch.from_numpy(alone).split(1024)])
    root, short = np.arange(len(alone)), _bounds(vectors)
    rows = max(1, _BLOCK // max(1, len(alone)))
    limit = ALIKE * _SCALE**2
    for start in range(0, len(alone), rows):
        # The bound leaves few pairs whose descriptors have to be multiplied.
        likely = short[start : start + rows] @ short[start:].T > limit
        one, other = likely.nonzero(as_tuple=True)
        one, other = (each[one < other] + start for each in (one, other))
        alike = (vectors[one] * vectors[other]).sum(1) > limit
        _join(root, one[alike].numpy(), other[alike].numpy())
        progress("comparing images", min(start + rows, len(alone)), len(alone))
    # The first of equal images, then the first of its group.
    position = np.zeros(count, np.int64)
    position[alone] = alone[root]
    return torch.from_numpy(position[first])


def descriptors(images: Tensor) -> Tensor:
    """Strength of edges on a grid, integers in float32 (N, 256), with mean 0 and length 2000.

    Args:
        images: uint8 (N, C, H, W).
    """
    height, width = images.shape[2:]
    small = F.adaptive_avg_pool2d(premultiply(images.float()), (min(SIDE, height), min(SIDE, width)))
    across = small[:, :, :-1, 1:] - small[:, :, :-1, :-1]
    down = small[:, :, 1:, :-1] - small[:, :, :-1, :-1]
    strength = (across.square() + down.square()).sum(1, keepdim=True).pow(POWER / 2)
    cells = F.adaptive_avg_pool2d(strength, GRID).flatten(1)
    cells = cells - cells.mean(1, keepdim=True)
    return (cells * (_SCALE / cells.norm(dim=1, keepdim=True).clamp_min(1e-3))).round()


def _bounds(vectors: Tensor) -> Tensor:
    """Short vectors (N, 32) whose products are no less than those of the descriptors (N, 256).

    They are the leading principal components and the length of what these leave out.
    """
    _, basis = torch.linalg.eigh(vectors.T @ vectors)
    leading = vectors @ basis[:, -COMPONENTS:]
    left_out = (_SLACK * vectors.square().sum(1) - leading.square().sum(1)).clamp_min(0).sqrt()
    return torch.cat([leading, left_out[:, None]], 1)


def _join(root: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    """Join the groups of pairs: afterwards all of a group have its smallest number as root."""
    while len(one):
        left, right = root[one], root[other]
        apart = left != right
        one, other, left, right = one[apart], other[apart], left[apart], right[apart]
        np.minimum.at(root, np.maximum(left, right), np.minimum(left, right))
        while (shorter := root[root]).tolist() != root.tolist():
            root[:] = shorter


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
