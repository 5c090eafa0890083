"""Walks from seed to seed: what ``gancli interpolate`` and the page animate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gancli.editing import directions
from gancli.errors import UsageError
from gancli.latents import Ease, Inputs, Space, path

if TYPE_CHECKING:
    from gancli.model import Model


def walk(
    model: Model,
    seeds: Sequence[int],
    frames: int,
    *,
    labels: Sequence[int] = (),
    moves: Mapping[str, float] | None = None,
    truncation: Sequence[float | None] = (),
    space: Space | None = None,
    loop: bool = False,
    ease: Ease = "linear",
) -> Inputs:
    """Points from seed to seed: T rows of what ``model.generate`` takes; see :func:`gancli.latents.path`.

    Args:
        model: any that takes latents.
        seeds: two or more, to pass through.
        frames: steps from seed to seed.
        labels: a class for each seed, or one for all; the seeds' own unless given.
        moves: steps along directions of the model, by name.
        truncation: of each seed, None for none; the model's own for all unless given. Several values of psi need a walk
            in w.
        space: of the walk; the model's best unless given.
        loop: return to the first seed.
        ease: how a walk passes its seeds.

    Raises:
        UsageError: fewer than two seeds; a truncation out of range, or several values of psi in z; a direction that the
            model does not have, or one of w for a walk in z.
    """
    chosen = directions.chosen(model, moves or {})
    where = model.space(space)
    of_w = next((direction.name for direction, _ in chosen if direction.space == "w"), None)
    if where == "z" and of_w is not None:
        raise UsageError(f"`moves` {of_w} is a direction of w", "leave out `space=z`")
    if truncation and where == "z" and model.latents().truncation == "w-psi":
        raise UsageError("a walk in z has one `truncation`: psi moves points of w", "leave out `space=z`")

    def points(some: Sequence[int], classes: Sequence[int]) -> Inputs:
        import torch

        inputs = model.latent.from_seeds(some)
        if classes:
            inputs["y"] = torch.tensor(classes).expand(len(some))
        moved = directions.move(model, inputs, chosen)
        return moved if where in moved else model.points(moved, where)

    if not truncation:
        return path(model.latent, points(seeds, labels), frames, loop=loop, ease=ease)
    rows = []
    for number, (seed, value) in enumerate(zip(seeds, truncation, strict=True)):
        model.truncate(value)
        rows.append(points([seed], labels[number : number + 1] if len(labels) > 1 else labels))
    return path(model.latent, _joined(rows), frames, loop=loop, ease=ease)


def _joined(rows: Sequence[Inputs]) -> Inputs:
    import torch

    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
