"""What commands that make images share: opening a model, reading a user's images, writing and reporting results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.cli._imports import import_quickly
from gancli.cli._outputs import check_inputs_stay
from gancli.cli.terminal.console import say, tell_left_out
from gancli.cli.terminal.progress import progress_bar
from gancli.errors import printable
from gancli.processes import distribute, rank
from gancli.rendering.layout import file_stem

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data.user_images import UserImages
    from gancli.editing.translation import Translation
    from gancli.latents import Inputs
    from gancli.model import Model

BATCH = 256
"""Images computed at once, as far as there is memory for them."""


def open_model(
    name: str | None,
    out: str | Path | None,
    ending: str,
    *,
    device: str,
    truncation: float | None = None,
    latents: bool = False,
) -> tuple[Model, Path]:
    """A model, and where its results go.

    Args:
        name: of the model; None for the newest run.
        out: the user's ``--out``.
        ending: of the default name, as in ``MODEL-mix.png``.
        device: where to compute.
        truncation: of the latents of seeds.
        latents: whether only a model of images that takes latents will do.

    Raises:
        UsageError: no such model, or one without latents.
    """
    import_quickly("gancli.model")
    from gancli import model as models
    from gancli.editing.inversion import check_latents

    model = models.load(name, device=device, truncation=truncation)
    if latents:
        check_latents(model)
    return model, Path(out or f"{file_stem(model.name)}{ending}")


def read_images(
    model: Model, images: str | Sequence[str], path: Path, one: bool, count: int, data_dir: Path | None, *others: str
) -> UserImages:
    """The images that the user named, in the model's size.

    Args:
        model: whose size it is.
        images: files, folders, zips or a data set.
        path: where the results go.
        one: whether that is one picture and not a folder.
        count: images at most.
        data_dir: where to look for data sets first.
        others: further files that are read and must not be overwritten.

    Raises:
        UsageError: images that cannot be read or would be overwritten.
    """
    from gancli.data.user_images import read

    check_inputs_stay(path, one, images, *others)
    how = model.recipe.data
    with progress_bar() as progress:
        return read(
            images,
            model.shape,
            count=count,
            fit=how.fit,
            background=how.background,
            data_dir=data_dir,
            progress=progress,
        )


def generate(model: Model, inputs: Iterable[Inputs], progress: Callable[[int], None]) -> Tensor:
    """All images of inputs that come in batches, shared among the processes; rows (N, width) of a model of numbers."""
    import torch

    made = []
    for images in distribute(inputs, model.generate):
        made.append(images.flatten(1) if model.numbers else images)
        progress(len(images))
    return torch.cat(made)


def save_generated(
    model: Model,
    inputs: Iterable[Inputs],
    count: int,
    path: Path,
    columns: int | None,
    progress: Callable[[int], None],
    scale: int | None = None,
) -> None:
    """Generate ``count`` images and write them as one grid, whose size is checked first.

    Raises:
        UsageError: too many pixels for one picture.
    """
    from gancli.rendering.images import default_scale, grid_size, save_grid

    _, height, width = model.shape
    grid_size(count, height, width, columns=columns, scale=scale or default_scale(height, width))
    images = generate(model, inputs, progress)
    if not rank():
        save_grid(images, path, columns=columns, scale=scale)


def report(as_json: bool, model: Model, path: Path | None, text: str, **facts: object) -> None:
    """Print the facts as JSON, or a line for people and the path, where there is one."""
    if as_json:
        print(json.dumps({"model": model.name, "out": str(path) if path else None, **facts}))
        return
    say(text)
    if path:
        print(printable(str(path)))


def by_name(names: Iterable[str], figures: Iterable[float]) -> dict[str, float]:
    """Rounded figures of results, for JSON."""
    return {name: round(value, 3) for name, value in zip(names, figures, strict=True)}


def save_each(folder: Path, names: Iterable[str], images: Tensor) -> None:
    """Write NAME.png for each image."""
    from gancli.rendering.images import save_images

    save_images([images], (f"{name}.png" for name in names), folder)


def save_pairs(path: Path, left: Tensor, right: Tensor) -> None:
    """Write one picture with each image of the first batch beside its partner of the second."""
    import torch

    from gancli.rendering.images import save_grid

    pairs = torch.stack([left, right], 1).flatten(0, 1)
    # An even number of columns keeps pairs in one row.
    save_grid(pairs, path, columns=2 * max(1, round((len(left) / 2) ** 0.5)))


def tell_of_images(model: Model, read: UserImages | Translation) -> None:
    """Say how images were brought to the model's size, and which were left out."""
    if read.changed:
        say(f"note: images were {read.changed} to {model.shape[2]}x{model.shape[1]}")
    tell_left_out(read.skipped, 5)


def count_of(number: int, what: str = "image") -> str:
    """As in "1 image" and "2,000 images"."""
    return f"{number:,} {what}{'s' * (number != 1)}"
