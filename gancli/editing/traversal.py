"""One dimension of the latent at a time: what each of them changes in an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.latents import Space, batches

if TYPE_CHECKING:
    from gancli.model import Model

SEEDS = 1000
"""Seeds by which the standard deviation of a dimension of w is known."""


def traverse(
    model: Model, seed: int, rows: Sequence[str], values: Sequence[float], *, space: Space | None = None
) -> Tensor:
    """The images of one seed, each with one dimension set to another value: uint8 (rows * values, C, H, W).

    Args:
        model: makes pictures from latents.
        seed: the latent to start from.
        rows: dimensions by number, as in "3", and codes, as in "c0".
        values: of z and codes, what they are set to; of w, standard deviations from its mean, in all rows of w alike.
        space: z or w; the model's best unless given.

    Raises:
        UsageError: a model without latents, or without w.
    """
    space = model.space(space)
    inputs = model.points(model.latent.from_seeds([seed]), space)
    mean, std = torch.zeros(1), torch.ones(1)
    if space == "w":
        w = model.points(model.latent.from_seeds(range(SEEDS)), space)["w"].flatten(0, -2)
        mean, std = w.mean(0), w.std(0)
    grid = {name: value.repeat_interleave(len(rows) * len(values), 0) for name, value in inputs.items()}
    for number, row in enumerate(rows):
        where = slice(number * len(values), (number + 1) * len(values))
        name, dim = ("c", int(row[1:])) if row.startswith("c") else (space, int(row))
        column = torch.tensor(values)
        if name == "w":
            column = mean[dim] + column * std[dim]
        grid[name][where, ..., dim] = column.view(-1, *[1] * (grid[name].dim() - 2))
    return torch.cat([model.generate(piece) for piece in batches(grid, 256)])
