"""Schedules: numbers of a recipe that change while a training goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

from gancli.recipe import validation_errors as words

UNITS = {"images": 1, "kimg": 1_000, "Mimg": 1_000_000}


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        round: rounds finished.
        images: real images in them, counted once a round.
        rounds: rounds of the whole budget.
    """

    round: int = 0
    images: int = 0
    rounds: int = 1


Span = Annotated[
    str,
    words.matching(
        r"(?=[0-9.]*[1-9])[0-9]{1,12}(\.[0-9]{1,12})? (images|kimg|Mimg|rounds|%)",
        "a number above 0 and one of images, kimg, Mimg, rounds, %, as in '20 Mimg'",
    ),
]


class Schedule(BaseModel):
    """A number that goes from one value to another and then stays there.

    In a recipe: ``gamma = { from = 2.0, to = 0.2, over = "20 Mimg", shape = "cosine" }``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    start: float = Field(alias="from", description="the first value")
    to: float = Field(description="the last value")
    over: Span = Field(description="how long: images, kimg or Mimg, rounds, or % of the budget")
    shape: Literal["linear", "cosine"] = Field("linear", description="a line, or half a cosine")

    def at(self, progress: Progress) -> float:
        """The value at a point of the training."""
        number, unit = self.over.split()
        if unit in UNITS:
            share = progress.images / (float(number) * UNITS[unit])
        else:
            share = progress.round / (float(number) if unit == "rounds" else float(number) / 100 * progress.rounds)
        share = min(1.0, share)
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return self.start + share * (self.to - self.start)


Number = float | Schedule


def _validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, Mapping | Schedule):
        return handler(value)
    schedule = Schedule.model_validate(value)
    for end in (schedule.start, schedule.to):
        handler(end)
    return schedule


def _plain(value: Any) -> Any:
    return value.model_dump(by_alias=True) if isinstance(value, Schedule) else value


MAY_BE_SCHEDULED = (WrapValidator(_validate), PlainSerializer(_plain))
"""Annotations of a field that takes a number or a schedule between such numbers: read it with :func:`value_at`."""


def value_at(number: Number, progress: Progress) -> float:
    """A number at a point of the training."""
    return number.at(progress) if isinstance(number, Schedule) else number
