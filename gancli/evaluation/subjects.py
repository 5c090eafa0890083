"""What can be judged: a model, or a folder or zip of images that any other program made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancli import model as models
from gancli.data.folder import layout
from gancli.data.folder.decoding import LONGEST_SIDE
from gancli.data.loading import load as load_images
from gancli.data.synthetic import FORMULAS
from gancli.data.types import Progress, Skipped, fingerprint_of
from gancli.errors import UsageError
from gancli.evaluation.reference import DRAW
from gancli.zoo import catalogue


@dataclass(frozen=True)
class Pictures:
    """Images in the place of a model's: the "seeds" 0, 1, 2, … draw them without order, each once.

    Attributes:
        name: of the folder or zip.
        stock: uint8 (N, C, H, W).
        skipped: files that are no images.
        place: the folder or zip, where it is at hand.
    """

    name: str
    stock: Tensor
    skipped: tuple[Skipped, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    data_name: None = None
    place: Path | None = None

    @property
    def device(self) -> torch.device:
        """Where its features are computed."""
        return torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        _, channels, height, width = self.stock.shape
        return channels, height, width

    @property
    def identity(self) -> str:
        """Digest of the images."""
        return fingerprint_of(self.stock, None)

    @property
    def supply(self) -> int:
        """How many images there are."""
        return len(self.stock)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was done to the images before they could be judged."""
        found = []
        if self.skipped:
            first, count = self.skipped[0], len(self.skipped)
            others = f" and {count - 1:,} more" if count > 1 else ""
            found.append(f"left out of '{self.name}': {first.name} ({first.reason}){others}")
        if max(self.shape[1:]) == LONGEST_SIDE:
            found.append(f"images of '{self.name}' above {LONGEST_SIDE} pixels were first brought to {LONGEST_SIDE}")
        return tuple(found)

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        """Images in batches of uint8 (N, C, H, W), one a number."""
        order = torch.randperm(len(self.stock), generator=torch.Generator().manual_seed(DRAW))
        for part in order[torch.as_tensor(list(seeds))].split(batch):
            yield self.stock[part]


def open_subject(
    name: str | None, *, device: str = "auto", truncation: float | None = None, progress: Progress | None = None
) -> models.Model | Pictures:
    """A model by name, or the images of a folder or zip that is no run.

    Args:
        name: as for :func:`gancli.load`, or the path of a folder or zip; None for the newest run.
        device: where a model computes.
        truncation: the largest value that a seed's latent may have, for a model; None for no limit.
        progress: called with what is being done, how much of it is done, and of how much.

    Raises:
        UsageError: nothing is called so, or there is no image in it.
        GancliError: a file that is not a model.
    """
    if not name or not _holds_images(name):
        return models.load(name, device=device, truncation=truncation)
    if truncation is not None:
        raise UsageError(f"--truncation is for models, and '{name}' is images", "leave it out")
    found = load_images(name, progress=progress)
    if found.stream is not None:
        raise UsageError(
            f"'{name}' is shards, and images to be judged are read as a whole", "name a folder or a zip of them"
        )
    place = Path(name).expanduser()
    return Pictures(layout.title(place), found.images, found.skipped, place=place)


def _holds_images(name: str) -> bool:
    path = Path(name).expanduser()
    if path.is_dir():
        if any(entry.name == name for entry in catalogue.entries()):
            return False
        return not any((path / file).exists() for file in (catalogue.MODEL_FILE, catalogue.STATE_FILE))
    return path.suffix.lower() == ".zip" and path.is_file()


def check_options(subject: Pictures, data: str | None, seed_start: int) -> None:
    """Refuse what only a model has.

    Raises:
        UsageError: no data set of images to compare with, or a first seed.
    """
    if not data:
        raise UsageError(f"'{subject.name}' does not say what its images should be like", "name a data set with --data")
    if data in FORMULAS:
        raise UsageError(
            f"'{subject.name}' holds images, and '{data}' numbers", "--data NAME says what to compare with"
        )
    if seed_start:
        raise UsageError(f"--seed-start {seed_start} is for models, and '{subject.name}' is images", "leave it out")
