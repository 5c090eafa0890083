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

SHOWN = 4
"""Seeds by which the change of the images is measured."""


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
        mean, std = standard(model, space)
    grid = {name: value.repeat_interleave(len(rows) * len(values), 0) for name, value in inputs.items()}
    for number, row in enumerate(rows):
        where = slice(number * len(values), (number + 1) * len(values))
        name, dim = ("c", int(row[1:])) if row.startswith("c") else (space, int(row))
        column = torch.tensor(values)
        if name == "w":
            column = mean[dim] + column * std[dim]
        grid[name][where, ..., dim] = column.view(-1, *[1] * (grid[name].dim() - 2))
    return torch.cat([model.generate(piece) for piece in batches(grid, 256)])


def changes(model: Model, dims: Sequence[int], *, space: Space | None = None) -> list[float]:
    """How much each dimension changes images: the mean absolute difference, over :data:`SHOWN` seeds and all pixels in
    [0, 1], between one standard deviation below the dimension's mean and one above. Of numbers, as they are.

    Args:
        model: makes pictures or numbers from latents.
        dims: dimensions of z, or of w.
        space: z or w; the model's best unless given.

    Raises:
        UsageError: a model without latents, or without w.
    """
    space = model.space(space)
    mean, std = standard(model, space)
    start = model.points(model.latent.from_seeds(range(SHOWN)), space)
    grid = {name: torch.cat([values] * (2 * len(dims))) for name, values in start.items()}
    for row, dim in enumerate(dims):
        for side, steps in enumerate((-1.0, 1.0)):
            first = (2 * row + side) * SHOWN
            grid[space][first : first + SHOWN, ..., dim] = mean[dim] + steps * std[dim]
    ends = model.generate(grid).float().reshape(len(dims), 2, -1)
    return ((ends[:, 1] - ends[:, 0]).abs().mean(1) / (1 if model.numbers else 255)).tolist()


def standard(model: Model, space: Space) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension over seeds, (width,) each: of z by its distribution, of w by
    :data:`SEEDS` seeds, without truncation."""
    if space == "z":
        dim = model.latent.dim
        return torch.zeros(dim), torch.full((dim,), 3**-0.5 if model.latent.distribution == "uniform" else 1.0)
    before = model.truncation
    model.truncate(None)
    w = model.points(model.latent.from_seeds(range(SEEDS)), space)["w"].flatten(0, -2)
    model.truncate(before)
    return w.mean(0), w.std(0)
