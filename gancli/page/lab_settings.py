"""What can be changed in the lab, and the recipe that it stands for. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gancli import recipe
from gancli.zoo import catalogue

OWN = "own"
"""The data that a user has drawn or brought as a CSV."""

BASE = "points-gan"
"""The zoo's model whose recipe the lab begins with."""

EVERY = {"r1": 4}
"""Rounds between two computations of a penalty, as the base has it."""

RESTARTING = ("data", "dim", "seed")
"""Settings that other networks or data belong to: the training starts again."""

Side = Literal["generator", "discriminator"]


class Settings(BaseModel):
    """The controls of the lab."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: Literal["ring", "grid", "swissroll", "own"] = "ring"
    loss: Literal["non-saturating", "minimax", "least-squares", "hinge", "wasserstein", "relativistic"] = (
        "non-saturating"
    )
    penalty: Literal["none", "r1", "gradient-penalty", "dragan", "clip"] = "r1"
    weight: float = Field(0.02, ge=0, le=100, description="of the penalty; with 'clip', the largest parameter of D")
    generator_lr: float = Field(1e-3, ge=1e-6, le=0.1)
    discriminator_lr: float = Field(4e-3, ge=1e-6, le=0.1)
    generator_steps: int = Field(1, ge=1, le=10)
    discriminator_steps: int = Field(1, ge=1, le=10)
    dim: int = Field(2, ge=1, le=64, description="number of latent values")
    seed: int = Field(0, ge=0, lt=2**32)

    def restarts(self, before: Settings) -> bool:
        """Whether a training with other settings cannot continue with these."""
        return any(getattr(self, name) != getattr(before, name) for name in RESTARTING)

    def changes(self, before: Settings) -> list[str]:
        """What differs from other settings, in words."""
        now, then = self.model_dump(), before.model_dump()
        return [f"{name.replace('_', ' ')}: {then[name]} → {now[name]}" for name in now if now[name] != then[name]]


def recipe_of(settings: Settings, data: str) -> recipe.Recipe:
    """The recipe that trains with these settings as `gancli train` does, with the budget of the base.

    Args:
        settings: of the lab.
        data: the data set's name, or the path of a CSV.
    """
    base = catalogue.recipe_table(BASE)
    kept = {key: value for key, value in base.items() if key not in (*recipe.DESCRIPTIVE, "objective")}
    rates = {"generator": settings.generator_lr, "discriminator": settings.discriminator_lr}
    steps = {"generator": settings.generator_steps, "discriminator": settings.discriminator_steps}
    changed: Mapping[str, Any] = {
        "model": "lab",
        "summary": "points in the plane, as they were trained in the lab",
        "data": {"name": data},
        "latent": {"dim": settings.dim},
        "objective": {"name": "adversarial", "loss": settings.loss, "steps": steps, **_penalty(settings)},
        "optimizer": {side: {"lr": rate} for side, rate in rates.items()},
        "training": {"seed": settings.seed},
    }
    return recipe.parse(recipe.merge(kept, changed))


def _penalty(settings: Settings) -> dict[str, Any]:
    """The objective's options for the penalty."""
    if settings.penalty == "none":
        return {}
    if settings.penalty == "clip":
        return {"clip": settings.weight}
    weighted = {"weight": settings.weight, "every": EVERY.get(settings.penalty, 1)}
    return {"regularizers": {settings.penalty: weighted}}
