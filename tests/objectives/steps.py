"""Steps for objectives that are tested without a trainer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gancli.architectures import Discriminator, Generator
from gancli.recipe.schedules import Progress
from gancli.terms.batch import Batch, SampleRandom
from gancli.terms.objective import Objective
from gancli.terms.step import Step


class ToyDiscriminator(Discriminator):
    """A discriminator of no family."""

    def __init__(self) -> None:
        nn.Module.__init__(self)


class ToyGenerator(Generator):
    """A generator of no family."""

    def __init__(self) -> None:
        nn.Module.__init__(self)


def random(rows: int, latents: Callable[[], dict[str, Tensor]] = dict, part: slice = slice(None)) -> SampleRandom:
    return SampleRandom(latents, torch.Generator().manual_seed(0), rows, part)


def step(
    objective: Objective,
    batch: Batch | None = None,
    rows: int = 2,
    latents: Callable[[], dict[str, Tensor]] = dict,
    **options: Any,
) -> Step:
    """A step of one of the objective's players."""
    number = options.pop("number", 0)
    return Step(random(rows, latents), objective.step_options, batch, Progress(number), **options)


def losses(objective: Objective, player: str, one: Step) -> dict[str, Tensor]:
    """What a player's step minimises, by name."""
    return next(each for each in objective.players if each.name == player).play(one)
