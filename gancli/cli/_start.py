"""What ``gancli train --from`` tells of the weights that a training starts from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.errors import GancliError, UsageError

if TYPE_CHECKING:
    from gancli.recipe import Recipe
    from gancli.runs.start import Source, Weights

MOST = 3
"""Tensors that are named of each network."""


def check_options(weights: str | None, freeze_d: int | None, resume: str | None) -> None:
    """Refuse options that need others, or that exclude each other."""
    if weights is not None and resume is not None:
        raise UsageError(
            f"--from {weights} and --resume exclude each other: a run that is resumed has weights of its own",
            "leave out --from, or start a new run without --resume",
        )
    if freeze_d is not None and weights is None and resume is None:
        raise UsageError(
            f"--freeze-d {freeze_d} keeps layers of trained weights, and there are none", "add --from MODEL"
        )


def check_same(folder: Path, recipe: Recipe, weights: str | None, freeze_d: int | None) -> None:
    """Refuse to resume a run that started otherwise; it needs the weights that it started from no more.

    Args:
        folder: of the run.
        recipe: of the run.
        weights: the model named now, if any.
        freeze_d: the number of frozen layers named now, if any.
    """
    from gancli.zoo import catalogue

    start = recipe.training.start
    then, frozen = (start.model, start.freeze_d) if start else ("noise", 0)
    new = "leave that out to resume the run, or start a new run with another --out"
    name = weights
    with suppress(GancliError):  # it may be gone by now, or the Hub out of reach
        name = catalogue.label(catalogue.find(weights)) if weights is not None else None
    if name is not None and name != then:
        raise UsageError(f"{folder} started from {then}, not from {name}", new)
    if freeze_d is not None and freeze_d != frozen:
        raise UsageError(f"{folder} was trained with {frozen} frozen layers of the discriminator, not {freeze_d}", new)


def lines(recipe: Recipe, weights: Weights | None) -> list[str]:
    """One line for each network that starts from weights, and the tensors of it that start from noise.

    Args:
        recipe: resolved, of a new training.
        weights: that it starts from.

    Raises:
        UsageError: they do not fit.
    """
    from gancli.runs import start

    told: list[str] = []
    begin = recipe.training.start
    for source in start.check(recipe, weights):
        assert begin is not None
        told += _lines(source, begin.model, begin.freeze_d if source.network == "discriminator" else 0)
    return told


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
