"""``gancli interpolate``: a walk from seed to seed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli._imports import import_quickly
from gancli.cli.sample import Batch, Device, ModelName, Truncation, kind_of_class
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.latents import Inputs, Method, Seeds, batches, parse_seeds, path
from gancli.latents.conditions import parse_classes
from gancli.rendering.layout import file_stem, parse_grid

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.model import Model

MAX_IMAGES = 50_000


def interpolate(
    model: ModelName = None,
    seeds: Annotated[
        str, typer.Option(help="Two or more seeds to lead through, such as 3,14,15.", show_default=False)
    ] = ...,  # ty: ignore[invalid-parameter-default]
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAMES",
            help="The class of the whole walk, or one for each seed to walk between; the seeds' own unless given. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Frames from seed to seed; 30, or 8 for a .png, unless given.", show_default=False
        ),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second; 24 unless given.", show_default=False)] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Lead back to the first seed.")] = False,
    method: Annotated[
        Method, typer.Option(help="Along a great circle or straight; auto does what suits the model's latent.")
    ] = "auto",
    grid: Annotated[
        str | None, typer.Option(metavar="CxR", help="Walks side by side, columns x rows; they share out the seeds.")
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Enlarge by this factor; small images are enlarged unless given.", show_default=False
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A .gif, .webp, .apng or .mp4; a .png shows the frames in a row. MODEL-walk.gif unless given.",
            show_default=False,
        ),
    ] = None,
    truncation: Truncation = None,
    device: Device = "auto",
    batch: Batch = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Walk through the latent space from seed to seed, as an animation or as a strip.

    \b
    Examples:
      gancli interpolate dcgan/mnist --seeds 3,14,15 --loop
      gancli interpolate dcgan/mnist --seeds 0-15 --grid 2x2 --out walks.webp
      gancli interpolate dcgan/mnist --seeds 3,14 --out strip.png
      gancli interpolate cgan/mnist --seeds 3,14,15 --class 7
      gancli interpolate cgan/mnist --seeds 3,3 --class 3,8
    """
    strip = _check(out, fps)
    columns, rows = parse_grid(grid) if grid is not None else (1, 1)
    walks = _walks(parse_seeds(seeds), columns * rows)
    frames = frames or (8 if strip else 30)
    length = (len(walks[0]) - (not loop)) * frames + (not loop)
    if length * len(walks) > MAX_IMAGES:
        raise UsageError(
            f"{length * len(walks):,} images are too many for one walk, which takes at most {MAX_IMAGES:,}",
            "take fewer seeds or fewer --frames",
        )

    import_quickly("gancli.model")
    from gancli import model as models
    from gancli.cli import _numbers

    source = models.load(model, device=device, truncation=truncation)
    if source.numbers:
        _numbers.refuse_options(source, scale=scale)
    target = Path(out) if out else Path(f"{file_stem(source.name)}-walk.gif")
    chosen = _classes(source, ",".join(classes), walks) if classes else [None] * len(walks)
    paths = [
        path(source.latent, walk, frames, method=method, loop=loop, classes=own)
        for walk, own in zip(walks, chosen, strict=True)
    ]
    with counting("images", length * len(walks)) as progress:
        if source.numbers:
            _numbers.save_walk(source, paths, target, None if strip else fps or 24, batch, progress)
        elif strip:
            _save_strip(source, paths, target, scale, batch, progress)
        else:
            _save_animation(source, paths, target, columns, scale, fps or 24, batch, progress)
    if as_json:
        made = {"model": source.name, "out": str(target), "seeds": [list(walk) for walk in walks], "frames": length}
        print(json.dumps(made))
    else:
        say(f"{length:,} frames of {source.name}")
        print(target)


def _classes(source: "Model", text: str, walks: list[Seeds]) -> list[tuple[int, ...]]:
    """The class of every keyframe, walk by walk."""
    numbers = parse_classes(text, source.classes, source.name, kind_of_class(source))
    length, seeds = len(walks[0]), len(walks[0]) * len(walks)
    if len(numbers) not in (1, seeds):
        raise UsageError(
            f"--class '{text}' names {len(numbers)} classes for {seeds} seeds", "name one for all, or one for each seed"
        )
    each = numbers * seeds if len(numbers) == 1 else numbers
    return [each[start : start + length] for start in range(0, seeds, length)]


def _check(out: str | None, fps: float | None) -> bool:
    """Whether the result is a strip, once the name and the rate are known to be possible."""
    from gancli.files import check_file
    from gancli.rendering.animation import SUFFIXES, check_fps, check_path

    if out == "":
        raise UsageError("--out is empty", "name a file, such as walk.gif")
    target = Path(out or "walk.gif")
    if fps is not None:
        check_fps(fps)
    if target.suffix.lower() != ".png":
        if target.suffix.lower() not in SUFFIXES:
            raise UsageError(f"--out '{out}' names no kind of animation", f"end it in {', '.join(SUFFIXES)} or .png")
        check_path(target)
        return False
    if fps is not None:
        raise UsageError(f"--fps {fps:g} means nothing to the strip '{out}'", "leave it out, or name an animation")
    check_file(target)
    return True


def _walks(seeds: Seeds, walks: int) -> list[Seeds]:
    """The seeds in consecutive runs of equal length, one run a walk."""
    length, rest = divmod(len(seeds), walks)
    if rest:
        raise UsageError(
            f"{len(seeds)} seeds cannot be shared out evenly over {walks} walks",
            f"{walks} walks of two seeds take {2 * walks} seeds, of three {3 * walks}",
        )
    if length < 2:
        walk = "a walk" if walks == 1 else f"each of {walks} walks"
        raise UsageError(
            f"{walk} needs two seeds or more, not {length}",
            f"give {2 * walks} seeds or more, such as 0-{2 * walks - 1}",
        )
    return [seeds[start : start + length] for start in range(0, len(seeds), length)]


def _images(
    source: "Model", inputs: Inputs, batch: int, together: int, progress: Callable[[int], None]
) -> Iterator["Tensor"]:
    """uint8 (together, C, H, W) tensors, made in batches of about ``batch`` images."""
    for piece in batches(inputs, max(1, batch // together) * together):
        images = source.generate(piece).cpu()
        progress(len(images))
        yield from images.split(together)


def _save_strip(
    source: "Model", paths: list[Inputs], target: Path, scale: int | None, batch: int, progress: Callable[[int], None]
) -> None:
    import torch

    from gancli.rendering.images import default_scale, grid_size, save_grid

    _, height, width = source.shape
    scale = scale or default_scale(height, width)
    inputs = {name: torch.cat([walk[name] for walk in paths]) for name in paths[0]}
    columns = len(inputs["z"]) // len(paths)
    grid_size(len(inputs["z"]), height, width, columns=columns, scale=scale)
    save_grid(torch.cat(list(_images(source, inputs, batch, 1, progress))), target, columns=columns, scale=scale)


def _save_animation(
    source: "Model",
    paths: list[Inputs],
    target: Path,
    columns: int,
    scale: int | None,
    fps: float,
    batch: int,
    progress: Callable[[int], None],
) -> None:
    import torch

    from gancli.rendering.animation import save_animation
    from gancli.rendering.images import arrange, default_scale

    _, height, width = source.shape
    # A walk alone may be larger than a cell among many.
    scale = scale or default_scale(height, width, near=64 if len(paths) > 1 else 128)
    gap = 2 if len(paths) > 1 else 0
    # Frame after frame, and in each frame walk after walk.
    inputs = {name: torch.stack([walk[name] for walk in paths], 1).flatten(0, 1) for name in paths[0]}
    pictures = (
        arrange(images, columns=columns, scale=scale, gap=gap)
        for images in _images(source, inputs, batch, len(paths), progress)
    )
    shown = save_animation(pictures, target, fps=fps)
    if shown != fps:
        say(f"note: a GIF shows at most {shown:g} frames a second, not {fps:g}")
