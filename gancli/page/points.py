"""What the page asks for: points of a latent space, as JSON that is validated. No torch is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from gancli.editing.directions import FARTHEST
from gancli.errors import UsageError
from gancli.latents import MAX_SEED, Ease
from gancli.zoo import catalogue

MOST_IMAGES = 256
"""Images of a request at most."""

MOST_FRAMES = 1_000
"""Frames of a walk at most."""

MOST_STEPS = 1_000
"""Steps of a search at most."""

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Index = Annotated[int, Field(ge=0, le=65_535)]
Value = Annotated[float, Field(ge=-100, le=100)]
Latent = Annotated[float, Field(ge=-1e6, le=1e6)]
Steps = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
Name = Annotated[str, Field(min_length=1, max_length=1_000)]
Pixels = Annotated[str, Field(max_length=1_000_000)]


class Request(BaseModel):
    """Base of what is asked for; unknown fields are refused, and so is what is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Point(Request):
    """One image: a seed, and what it is steered by.

    Attributes:
        seed: whose latent it starts from.
        latent: values of the model's best latent space that replace the seed's: of z all of them, of w one row for all
            layers. None for the seed's.
        label: class, by its number; None for the seed's own.
        other: a second class to mix in.
        share: of the second class, from 0 to 1.
        codes: codes by number.
        dims: dimensions of the model's best latent space by number. Of z, what they are set to; of w, standard
            deviations from the mean, as in :func:`gancli.editing.traversal.traverse`.
        moves: steps along directions of the model, by name.
        style: a seed whose w replaces some rows.
        layers: these rows, from 0.
    """

    seed: Seed
    latent: list[Latent] | None = Field(None, min_length=1, max_length=10_000)
    label: Index | None = None
    other: Index | None = None
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    codes: dict[Index, Value] = Field({}, max_length=1_000)
    dims: dict[Index, Value] = Field({}, max_length=10_000)
    moves: dict[Name, Steps] = Field({}, max_length=64)
    style: Seed | None = None
    layers: list[Index] = Field([], max_length=64)


class Named(Request):
    """A model, by one of the names that the page offers."""

    model: Name
    truncation: float | None = None


class Images(Named):
    """Images of a model.

    Attributes:
        points: one each.
        columns: of a picture of all.
    """

    points: list[Point] = Field(min_length=1, max_length=MOST_IMAGES)
    columns: Annotated[int, Field(ge=1, le=MOST_IMAGES)] | None = None


class Group(Request):
    """Images of one truncation.

    Attributes:
        points: one each.
        truncation: of all.
    """

    points: list[Point] = Field(min_length=1, max_length=MOST_IMAGES)
    truncation: float | None = None


class Archive(Request):
    """Images of a model in one archive.

    Attributes:
        model: by one of the names that the page offers.
        groups: of images.
    """

    model: Name
    groups: list[Group] = Field(min_length=1, max_length=64)


class Source(Request):
    """An image for a model that makes images from images.

    Attributes:
        model: by one of the names that the page offers.
        pixels: uint8 (H, W, C) of the model's shape, in base64.
        degrade: whether it is degraded first, as in training.
        network: another network than the first, such as the "back" of a CycleGAN.
    """

    model: Name
    pixels: Pixels
    degrade: bool = False
    network: Name | None = None


class Search(Request):
    """A picture whose latent is searched for, and with a mask, whose hole is filled.

    Attributes:
        model: by one of the names that the page offers.
        pixels: uint8 (H, W, C) of the model's shape, in base64.
        mask: uint8 (H, W), in base64, 255 in the hole and 0 elsewhere; None to reconstruct the picture.
        space: to search in; None for the command's default.
        steps: of the search.
    """

    model: Name
    pixels: Pixels
    mask: Pixels | None = None
    space: Literal["z", "w", "w+"] | None = None
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 300


class Directions(Named):
    """Directions of a model.

    Attributes:
        find: whether to find some where it has none.
    """

    find: bool = False


class Walk(Named):
    """A walk from seed to seed, as `gancli interpolate` makes it.

    Attributes:
        seeds: to pass through.
        labels: a class for each; none for the seeds' own.
        truncations: one for each, null for none; of all alike unless given.
        ease: how it passes them.
        frames: from seed to seed.
        loop: return to the first.
        fps: frames a second, of a file.
    """

    seeds: list[Seed] = Field(min_length=2, max_length=64)
    labels: list[Index] = Field([], max_length=64)
    truncations: list[float | None] = Field([], max_length=64)
    ease: Ease = "linear"
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)] = 30
    loop: bool = False
    fps: Annotated[float, Field(ge=1, le=50)] = 24.0

    @property
    def length(self) -> int:
        """Frames in all."""
        return (len(self.seeds) - (not self.loop)) * self.frames + (not self.loop)


class Animation(Walk):
    """A walk as a file.

    Attributes:
        kind: of file.
    """

    kind: Literal["gif", "webp", "mp4"] = "gif"


class Offer(NamedTuple):
    """A model that the page offers.

    Attributes:
        kind: "named" on the command line, of the "zoo", or a "run".
        path: its weights.
    """

    kind: str
    path: Path


def offered(names: list[str]) -> dict[str, Offer]:
    """The models that the page offers, by the name that commands take: those named, then the zoo's, then runs.

    Raises:
        GancliError: a name that is no model.
    """
    found = {name: Offer("named", catalogue.find(name)) for name in names}
    for entry in catalogue.entries():
        if entry.path:
            found.setdefault(entry.name, Offer("zoo", entry.path))
    for weights in sorted(catalogue.RUNS.glob(f"*/{catalogue.MODEL_FILE}")):
        if not weights.parent.name.startswith("."):
            found.setdefault(str(weights.parent), Offer("run", weights))
    return found


def newest() -> str:
    """The model to show where none is named: the newest run, or one of the zoo where there is no run."""
    try:
        return str(catalogue.newest_run())
    except UsageError:
        return "quick/mnist"
