"""``gancli interpolate``: a walk from seed to seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _options
from gancli.cli._images import save_frames
from gancli.cli._imports import import_quickly
from gancli.cli.sample import kind_of_class
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.latents import Inputs, Method, Seeds, batches, parse_seeds, path
from gancli.latents.conditions import parse_classes
from gancli.rendering.layout import file_stem

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.model import Model

MAX_IMAGES = 50_000


def interpolate(
    seeds: Annotated[str, typer.Option(help="Two or more seeds to pass through, such as 3,14,15.")],
    model: _options.ModelOrNewest = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAMES",
            help="One class for the whole walk, or one for each seed. Repeatable. Default: each seed's own.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Frames from seed to seed. Default: 30, or 8 for a .png."),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second. Default: 24.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Return to the first seed.")] = False,
    method: Annotated[
        Method, typer.Option(help="Spherical or linear interpolation; auto picks what suits the latent distribution.")
    ] = "auto",
    grid: Annotated[
        str | None, typer.Option(metavar="CxR", help="Several walks in columns x rows, which share the seeds evenly.")
    ] = None,
    scale: _options.Scale = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A .gif, .webp, .apng or .mp4; a .png shows the frames in a row. Default: MODEL-walk.gif.",
        ),
    ] = None,
    space: _options.Space = None,
    truncation: _options.Truncation = None,
    device: _options.Device = "auto",
    batch: _options.Batch = 256,
    as_json: _options.AsJson = False,
) -> None:
    """Walk through the latent space from seed to seed, as an animation or a strip.

    \b
    Examples:
      gancli interpolate dcgan/mnist --seeds 3,14,15 --loop
      gancli interpolate dcgan/mnist --seeds 0-15 --grid 2x2 --out walks.webp
      gancli interpolate dcgan/mnist --seeds 3,14 --out strip.png
      gancli interpolate cgan/mnist --seeds 3,14,15 --class 7
      gancli interpolate cgan/mnist --seeds 3,3 --class 3,8
    """
    strip = _check(out, fps)
    columns, rows = _options.parse_grid(grid) if grid is not None else (1, 1)
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
    where = source.space(space)
    paths = [
        path(source.latent, source.points(_keyframes(source, walk, own), where), frames, method=method, loop=loop)
        for walk, own in zip(walks, chosen, strict=True)
    ]
    shown = None if strip else fps or 24
    with counting("images", length * len(walks)) as progress:
        if source.numbers:
            _numbers.save_walk(source, paths, target, shown, batch, progress)
        elif shown is None:
            _save_strip(source, paths, target, scale, batch, progress)
        else:
            save_frames(_pictures(source, paths, columns, scale, batch, progress), target, shown)
    if as_json:
        made = {"model": source.name, "out": str(target), "seeds": [list(walk) for walk in walks], "frames": length}
        print(json.dumps(made))
    else:
        say(f"{length:,} frames of {source.name}")
        print(target)


def _keyframes(model: Model, seeds: Seeds, classes: tuple[int, ...] | None) -> Inputs:
    """The inputs of seeds, with these classes unless they keep their own."""
    inputs = model.latent.from_seeds(seeds)
    return inputs if classes is None else inputs | {"y": inputs["y"].new_tensor(classes)}


def _classes(model: Model, text: str, walks: list[Seeds]) -> list[tuple[int, ...]]:
    """The class of every keyframe, walk by walk."""
    numbers = parse_classes(text, model.classes, model.name, kind_of_class(model))
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
    from gancli.rendering.animation import check_fps, check_path

    if out == "":
        raise UsageError("--out is empty", "name a file, such as walk.gif")
    target = Path(out or "walk.gif")
    if fps is not None:
        check_fps(fps)
    if target.suffix.lower() != ".png":
        check_path(target)
        return False
    if fps is not None:
        raise UsageError(f"--fps {fps:g} has no meaning for the strip '{out}'", "leave it out, or name an animation")
    check_file(target)
    return True


def _walks(seeds: Seeds, walks: int) -> list[Seeds]:
    """The seeds in consecutive parts of equal length, one for each walk."""
    length, rest = divmod(len(seeds), walks)
    if rest:
        raise UsageError(
            f"{len(seeds)} seeds cannot be shared evenly by {walks} walks",
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
    model: Model, inputs: Inputs, batch: int, together: int, progress: Callable[[int], None]
) -> Iterator[Tensor]:
    """uint8 (together, C, H, W) tensors, generated in batches of about ``batch`` images."""
    for piece in batches(inputs, max(1, batch // together) * together):
        images = model.generate(piece).cpu()
        progress(len(images))
        yield from images.split(together)


def _save_strip(
    model: Model, paths: list[Inputs], target: Path, scale: int | None, batch: int, progress: Callable[[int], None]
) -> None:
    import torch

    from gancli.rendering.images import default_scale, grid_size, save_grid

    _, height, width = model.shape
    scale = scale or default_scale(height, width)
    inputs = {name: torch.cat([walk[name] for walk in paths]) for name in paths[0]}
    count = len(next(iter(inputs.values())))
    columns = count // len(paths)
    grid_size(count, height, width, columns=columns, scale=scale)
    save_grid(torch.cat(list(_images(model, inputs, batch, 1, progress))), target, columns=columns, scale=scale)


def _pictures(
    model: Model, paths: list[Inputs], columns: int, scale: int | None, batch: int, progress: Callable[[int], None]
) -> Iterator[Tensor]:
    """Frames of all walks side by side, uint8 (C, H, W)."""
    import torch

    from gancli.rendering.images import arrange, default_scale

    _, height, width = model.shape
    # A walk alone may be larger than a cell among many.
    scale = scale or default_scale(height, width, near=64 if len(paths) > 1 else 128)
    gap = 2 if len(paths) > 1 else 0
    # Frame after frame, and in each frame walk after walk.
    inputs = {name: torch.stack([walk[name] for walk in paths], 1).flatten(0, 1) for name in paths[0]}
    for images in _images(model, inputs, batch, len(paths), progress):
        yield arrange(images, columns=columns, scale=scale, gap=gap)
