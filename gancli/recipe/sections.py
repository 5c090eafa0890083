"""The sections of a recipe, typed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gancli.recipe import validation_errors as words
from gancli.recipe.schedules import MAY_BE_SCHEDULED

UNITS = ("minutes", "epochs", "kimg", "rounds")
Side = Annotated[int, Field(ge=1, le=4096)]


Part = Annotated[str, words.matching("[a-z][a-z0-9_]{0,63}", "small letters, digits and _, a letter first, at most 64")]
"""The name of a network or of a player; it becomes part of file names and of tensor names."""

Model = Annotated[
    str,
    words.matching("[a-z0-9][a-z0-9._-]{0,63}", "small letters, digits and . _ -, no sign first, at most 64"),
]
"""What a model is called; it becomes part of folder names."""

Budget = Annotated[
    str,
    words.matching(
        rf"(?=[0-9.]*[1-9])[0-9]{{1,12}}(\.[0-9]{{1,12}})? ({'|'.join(UNITS)})",
        f"a number above 0 and one of {', '.join(UNITS)}, as in '5 minutes'",
    ),
]
FileName = Annotated[
    str,
    words.matching(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,4096}", "a name without line breaks and control characters"),
]


Rate = Annotated[float, Field(gt=0, le=10), *MAY_BE_SCHEDULED]
Weight = Annotated[float, Field(ge=0), *MAY_BE_SCHEDULED]
HalfLife = Annotated[float, Field(ge=0), *MAY_BE_SCHEDULED]


class Table(BaseModel):
    """A section whose keys are all known here."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Component(BaseModel):
    """A section with the options of a component, which :mod:`gancli.recipe.validation` checks."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options."""
        return dict(self.model_extra or {})


def _square(size: Any) -> Any:
    # As a tuple, since a validated list is no longer JSON's, for which a tuple stands.
    return (size, size) if type(size) is int else tuple(size) if isinstance(size, list) else size


class Data(Table):
    """Which images, and how they become tensors."""

    name: FileName = Field("", description="a data set's name, the path of a folder or zip of images, or shards")
    size: Annotated[tuple[Side, Side], BeforeValidator(_square)] | None = Field(
        None, description="(height, width) in pixels, or one number for a square; the data's own if absent"
    )
    channels: Annotated[Literal[1, 3, 4], BeforeValidator(words.whole)] | None = Field(
        None, description="1 grey, 3 colour, 4 colour with alpha; the data's own without alpha if absent"
    )
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how an image of another shape is fitted")
    background: str = Field("white", description="what transparent pixels and padding show without alpha")
    mirror: bool = Field(False, description="show every image mirrored half of the time")
    hold_out: Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1)] = Field(
        0, description="images that are never trained on, by whole groups of near-duplicates: a share or a number"
    )
    only_class: FileName | None = Field(None, description="train on one class alone: its name or number")
    source: FileName = Field(
        "", description="what images are translated from: a degradation, a style, or a second folder"
    )
    paired: bool = Field(True, description="whether a source and the image of its number belong together")


class Latent(Table):
    """What the generator takes."""

    dim: Annotated[int, Field(ge=1, le=65536)] = Field(100, description="number of latent values")
    distribution: Literal["normal", "uniform"] = Field("normal", description="N(0, 1), or uniform on [-1, 1]")
    classes: Annotated[int, Field(ge=0, le=65536)] | Literal["data"] = Field(
        0, description="classes that the generator is conditioned on; 'data' for as many as the data has"
    )
    shares: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(max_length=65536)] | None = Field(
        None, description="how often each class is drawn; as in the data where it says how many there are, else evenly"
    )
    codes: Annotated[int, Field(ge=0, le=4096)] = Field(0, description="continuous codes, uniform on [-1, 1]")


class Network(Component):
    """One network: an architecture family, the role it plays there, and the family's options."""

    architecture: str = Field(description="the family")
    role: str | None = Field(None, description="the network of that family; its own name if absent")


class Objective(Component):
    """The players, their losses and regularizers."""

    name: str = Field(description="the objective")


class Regularization(Component):
    """One regularizer: its weight, how often it is computed, and its own options."""

    weight: Weight = Field(description="factor on its value, or a schedule of it")
    every: Annotated[int, Field(ge=1)] = Field(
        1, description="computed in every so many rounds, with its weight multiplied by that number"
    )


class Augment(Component):
    """The augmentation of every image that a discriminator sees."""

    name: str = Field(description="the augmentation")


class Optimizer(Component):
    """One player's optimizer."""

    name: str = Field(description="the optimizer")
    lr: Rate = Field(description="the learning rate, or a schedule of it")
    clip_value: Annotated[float, Field(gt=0)] | None = Field(None, description="every gradient value is clipped to it")
    decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="after t steps the learning rate is lr / (1 + decay t)"
    )


class Ema(Table):
    """The exponential moving average of all exported networks."""

    kimg: HalfLife = Field(10.0, description="half-life in thousands of images, or a schedule of it")
    rampup: Annotated[float, Field(ge=0)] = Field(
        0.05, description="the half-life is at most this share of the images seen so far; 0 for no such limit"
    )


class Start(Table):
    """The trained weights that a training starts from, instead of from noise."""

    model: FileName = Field(description="whose weights: the name of a zoo model, of a run, or of a file")
    sha256: Annotated[str, words.matching("[0-9a-f]{64}", "64 hexadecimal digits")] = Field(
        description="of the file with these weights"
    )
    freeze_d: Annotated[int, Field(ge=0)] = Field(
        0, description="layers of the discriminator, counted from the image, that keep these weights"
    )
    licence: Annotated[str, Field(max_length=200)] = Field(
        "", description="of these weights, where they were imported; it holds for what is trained from them"
    )


class EarlierPlan(Table):
    """What a training's rounds were planned to be before that changed."""

    until: Annotated[int, Field(ge=1)] = Field(description="the round after which the next plan takes its place")
    rounds: Annotated[int, Field(ge=1)] = Field(description="planned until then")


class Training(Table):
    """How long, how fast, from which seed."""

    batch: Annotated[int, Field(ge=2, le=65536)] = Field(128, description="images a step")
    budget: Budget = Field("5 minutes", description="how long: a number of minutes, epochs, kimg or rounds")
    rounds: Annotated[int, Field(ge=1)] | None = Field(None, description="the budget in rounds, set before round one")
    earlier_plans: Annotated[list[EarlierPlan], Field(max_length=10_000)] = Field(
        [], description="what `rounds` was at first, where that changed in the course of the training"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="decides weights, order and noise")
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = Field(
        "auto", description="arithmetic of the networks; fp16 with loss scaling"
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="of a CPU, measured before round one if absent; results depend on it by rounding"
    )
    rate_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of the budget, at its end, over which learning rates decay linearly to zero"
    )
    ema: Ema | None = Field(None, description="absent: the raw networks are exported")
    start: Start | None = Field(None, description="absent: weights start from noise")
    accumulate: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="parts that a batch is worked on in, one after the other, to need less memory"
    )
    deterministic: bool = Field(False, description="PyTorch's deterministic kernels, which a GPU needs for equal bytes")
    compile: bool = Field(False, description="torch.compile for networks without second-order gradients")
    share_norm: bool = Field(True, description="batch norm over all processes of a training, not each by itself")
    samples: Annotated[int, Field(ge=1, le=1024)] = Field(64, description="images in a sample grid")
    columns: Annotated[int, Field(ge=1, le=1024)] | None = Field(None, description="its columns; a square if absent")
    on_collapse: Literal["warn", "stop"] = Field(
        "warn", description="when the health monitor finds a failure: warn, or save and stop"
    )

    def planned(self, done: int) -> int:
        """The rounds planned for the whole training when so many of them were done."""
        plans = (plan.rounds for plan in self.earlier_plans if done < plan.until)
        return next(plans, self.rounds or 1)

    def replanned(self, done: int, rounds: int) -> dict[str, Any]:
        """Values of this section once ``rounds`` are planned in all, from a round on."""
        before = [plan.model_dump() for plan in self.earlier_plans if plan.until < done]
        return {"rounds": rounds, "earlier_plans": [*before, {"until": done, "rounds": self.planned(done - 1)}]}
