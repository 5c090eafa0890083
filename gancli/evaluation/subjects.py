"""What can be evaluated: a model, or a folder or zip of images that any other program made."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gancli import model as models
from gancli import recipe
from gancli.data.folder import layout
from gancli.data.folder.decoding import LONGEST_SIDE
from gancli.data.loading import load as load_images
from gancli.data.types import Progress, Skipped, fingerprint_of
from gancli.errors import UsageError
from gancli.evaluation.reference import DRAW
from gancli.latents import LatentSpec
from gancli.model import Model
from gancli.zoo import catalogue


class Subject(ABC):
    """What can be evaluated, and what it offers: images, and where it has them latents, labels, pairs, an encoder.

    Attributes:
        name: in reports.
        shape: (C, H, W) of its images.
        device: where it computes; features are computed there too.
        header: what its file says of itself.
        data_name: the data set that it was trained on.
        identity: digest of its weights and recipe, or of its images.
        supply: how many images there are; None where seeds make as many as wanted.
        warnings: what to be careful with.
        model: the model, which has latents, may have an encoder, or translates images; None for images.
    """

    name: str
    shape: tuple[int, int, int]
    device: torch.device = torch.device("cpu")
    header: Mapping[str, Any] = MappingProxyType({})
    data_name: str | None = None
    supply: int | None = None
    warnings: tuple[str, ...] = ()
    model: Model | None = None

    @abstractmethod
    def images(self, seeds: Sequence[int], batch: int) -> Iterable[Tensor]:
        """One image a seed, in batches of uint8 (N, C, H, W); of a model of numbers float32 (N, 1, 1, width)."""

    @property
    def identity(self) -> str:
        """See above."""
        return ""

    def recipe(self, section: str) -> Mapping[str, Any]:
        """A section of the recipe in the header; empty where there is none."""
        recipe = self.header.get("recipe")
        found = recipe.get(section) if isinstance(recipe, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    @property
    def ema(self) -> bool | None:
        """Whether the weights are a running average, as the recipe says; None when it does not."""
        training = self.recipe("training")
        return training.get("ema") is not None if training else None

    def conditioning(self, seeds: Sequence[int], names: Sequence[str]) -> tuple[Tensor | None, Tensor | None]:
        """The classes or the categories int64 (N,) that seeds request.

        Args:
            seeds: of the images.
            names: the classes that an extractor knows.

        Returns:
            Classes numbered as in ``names``, or categories that were found without labels and are as many as the names;
            None for what the model is not conditioned on.
        """
        latent, dataset = self.header.get("latent"), self.header.get("dataset")
        spec = LatentSpec(**latent) if isinstance(latent, Mapping) else None
        if spec is None or not spec.classes:
            return None, None
        if not self.header.get("labelled"):
            return None, spec.from_seeds(seeds)["y"] if spec.classes == len(names) else None
        known = isinstance(dataset, Mapping) and dataset.get("classes") == list(names)
        return spec.from_seeds(seeds)["y"] if known else None, None


class ModelSubject(Subject):
    """A model, also the sampled network of a run in training."""

    def __init__(self, model: Model) -> None:
        self.model, self.name, self.shape, self.device = model, model.name, model.shape, model.device
        self.header, self.data_name = model.header, model.data_name

    def images(self, seeds: Sequence[int], batch: int) -> Iterable[Tensor]:
        """One image a seed."""
        assert self.model is not None
        return self.model.images(seeds, batch)

    @property
    def identity(self) -> str:
        """Digest of the weights and the recipe."""
        assert self.model is not None
        return self.model.identity


class Pictures(Subject):
    """Images of another program: the "seeds" 0, 1, 2, … draw them in random order, each once.

    Args:
        name: of the folder or zip.
        stock: uint8 (N, C, H, W).
        skipped: files that are no images.
    """

    def __init__(self, name: str, stock: Tensor, skipped: Sequence[Skipped] = ()) -> None:
        self.name, self.stock, self.supply = name, stock, len(stock)
        _, channels, height, width = stock.shape
        self.shape = channels, height, width
        found = []
        if skipped:
            others = f" and {len(skipped) - 1:,} more" if len(skipped) > 1 else ""
            found.append(f"left out of '{name}': {skipped[0].name} ({skipped[0].reason}){others}")
        if max(height, width) == LONGEST_SIDE:
            found.append(f"images of '{name}' above {LONGEST_SIDE} pixels were first brought to {LONGEST_SIDE}")
        self.warnings = tuple(found)

    @property
    def identity(self) -> str:
        """Digest of the images."""
        return fingerprint_of(self.stock, None)

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        """One image a number."""
        order = torch.randperm(len(self.stock), generator=torch.Generator().manual_seed(DRAW))
        for part in order[torch.as_tensor(list(seeds))].split(batch):
            yield self.stock[part]


def as_subject(found: Model | Subject) -> Subject:
    """A model as what can be evaluated."""
    return found if isinstance(found, Subject) else ModelSubject(found)


def of_run(model: Model) -> Model:
    """A model of a run with the paths of its data, which a model that is passed on does not contain."""
    run = catalogue.run_recipe(model.path)
    if run is None:
        return model
    data = recipe.parse(recipe.read(run), components=False).data
    found = copy.copy(model)
    found.recipe = model.recipe.model_copy(update={"data": data})
    return found


def open_subject(
    name: str | None, *, device: str = "auto", truncation: float | None = None, progress: Progress | None = None
) -> Subject:
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
        model = models.load(name, device=device, truncation=truncation)
        return as_subject(of_run(model) if isinstance(model, Model) else model)
    if truncation is not None:
        raise UsageError(f"`truncation` is for models, and '{name}' is images", "leave it out")
    found = load_images(name, progress=progress)
    if found.stream is not None:
        raise UsageError(
            f"'{name}' is shards, and images to evaluate are read as a whole", "name a folder or a zip of them"
        )
    return Pictures(layout.title(Path(name).expanduser()), found.images, found.skipped)


def _holds_images(name: str) -> bool:
    path = Path(name).expanduser()
    if path.is_dir():
        if any(entry.name == name for entry in catalogue.entries()):
            return False
        return not any((path / file).exists() for file in (catalogue.MODEL_FILE, catalogue.STATE_FILE))
    return path.suffix.lower() == ".zip" and path.is_file()
