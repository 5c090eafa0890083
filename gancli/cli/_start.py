"""What ``gancli train --from`` tells of the weights that a training starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gancli.recipe import Recipe
    from gancli.runs.start import Source

MOST = 3
"""Tensors that are named of each network."""


def lines(recipe: Recipe, sources: Sequence[Source]) -> list[str]:
    """One line for each network that starts from weights, and the tensors of it that start from noise.

    Args:
        recipe: of a new training.
        sources: where the weights of each network come from.
    """
    begin = recipe.training.start
    if begin is None:
        return []
    frozen = {"discriminator": begin.freeze_d}
    return [line for source in sources for line in _lines(source, begin.model, frozen.get(source.network, 0))]


def _lines(source: Source, name: str, frozen: int) -> list[str]:
    if not source.found:
        return [f"{source.network}: starts from noise, since {name} comes without one"]
    share = f"{source.taken:,} of {source.parameters:,}" if source.misfits else f"all {source.parameters:,}"
    line = f"{source.network}: {share} parameters from {name}"
    line += f", {', '.join(source.adapted)} adapted" if source.adapted else ""
    line += f"; {frozen} layer{'s' * (frozen != 1)} frozen" if frozen else ""
    return [line, *_misfits(source)]


def _misfits(source: Source) -> list[str]:
    """The tensors of a network that start from noise."""
    found = [
        f"{source.network}.{misfit.name}: {_shape(misfit.here)} here, "
        f"{'none' if misfit.there is None else _shape(misfit.there)} there"
        for misfit in source.misfits[:MOST]
    ]
    if not found:
        return []
    more = len(source.misfits) - len(found)
    lines = [f"  from noise: {line}" for line in found] + ([f"  and {more} more tensors"] if more > 0 else [])
    return [*lines, f"  because of {source.reason}"] if source.reason else lines


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
