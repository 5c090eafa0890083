"""Commands that make images from a user's images: reading them, writing the results, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gancli.cli._outputs import check_inputs_stay
from gancli.cli.terminal.console import say, tell_left_out
from gancli.cli.terminal.progress import progress_bar

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data import Skipped
    from gancli.data.user_images import UserImages
    from gancli.model import Model


def open_model_and_images(
    name: str,
    images: str | Sequence[str],
    *,
    suffix: str,
    out: str | None,
    one: bool,
    count: int,
    device: str,
    data_dir: Path | None,
    mask: str | None = None,
) -> tuple[Model, UserImages, Path]:
    """A model with latents, the images that the user named in its size, and where the results go.

    Args:
        name: of the model.
        images: files, folders, zips or a data set.
        suffix: ends the default name of the picture, as in ``MODEL-inpainted.png``.
        out: the user's ``--out``.
        one: whether the result is one picture and not a folder.
        count: images at most.
        device: where to compute.
        data_dir: where to look for data sets first.
        mask: another file that is read and must not be overwritten.

    Raises:
        UsageError: a model without latents, images that cannot be read or would be overwritten.
    """
    from gancli import model as models
    from gancli.data.user_images import read
    from gancli.editing.inversion import check_latents
    from gancli.rendering.layout import file_stem

    model = models.load(name, device=device)
    check_latents(model)
    path = Path(out) if out else Path(f"{file_stem(model.name)}-{suffix}.png")
    check_inputs_stay(path, one, images, *([mask] if mask else []))
    how = model.recipe.data
    with progress_bar() as progress:
        given = read(
            images,
            model.shape,
            count=count,
            fit=how.fit,
            background=how.background,
            data_dir=data_dir,
            progress=progress,
        )
    return model, given, path


def save_each(folder: Path, names: Iterable[str], images: Tensor) -> None:
    """Write NAME.png for each image."""
    from gancli import files
    from gancli.rendering.images import encode_png

    for name, image in zip(names, images, strict=True):
        with files.whole(folder / f"{name}.png") as temporary:
            temporary.write_bytes(encode_png(image))


def save_pairs(path: Path, left: Tensor, right: Tensor) -> None:
    """Write one picture with each image of the first batch beside its partner of the second."""
    import torch

    from gancli.rendering.images import save_grid

    pairs = torch.stack([left, right], 1).flatten(0, 1)
    # An even number of columns keeps pairs in one row.
    save_grid(pairs, path, columns=2 * max(1, round((len(left) / 2) ** 0.5)))


def tell_of_images(changed: str, shape: tuple[int, int, int], skipped: Sequence[Skipped]) -> None:
    """Say how images were brought to the model's (channels, height, width), and which were left out."""
    if changed:
        say(f"note: images were {changed} to {shape[2]}x{shape[1]}")
    tell_left_out(skipped, 5)


def count_of(number: int, what: str = "image") -> str:
    """As in "1 image" and "2,000 images"."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def save_frames(frames: Iterator[Tensor], target: Path, fps: float) -> None:
    """Write an animation, with a note if its format cannot show so many frames a second."""
    from gancli.rendering.animation import save_animation

    shown = save_animation(frames, target, fps=fps)
    if shown != fps:
        say(f"note: a GIF shows at most {shown:g} frames a second, not {fps:g}")
