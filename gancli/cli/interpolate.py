"""``gancli interpolate``: a walk from seed to seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _numbers, _options
from gancli.cli._images import count_of, generate, open_model, report, save_frames, save_generated
from gancli.cli.sample import kind_of_class
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.latents import Inputs, Method, Seeds, batches, parse_seeds, path
from gancli.latents.conditions import parse_classes

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
    strip = _check(Path("walk.gif" if out is None else out), fps)
    columns, rows = _options.parse_grid(grid) if grid is not None else (1, 1)
    walks = _walks(parse_seeds(seeds), columns * rows)
    frames = frames or (8 if strip else 30)
    length = (len(walks[0]) - (not loop)) * frames + (not loop)
    if length * len(walks) > MAX_IMAGES:
        raise UsageError(
            f"{length * len(walks):,} images are too many for one walk, which takes at most {MAX_IMAGES:,}",
            "take fewer seeds or fewer --frames",
        )

    source, target = open_model(model, out, "-walk.gif", device=device, truncation=truncation)
    if source.numbers:
        _numbers.refuse_options(source, scale=scale)
    where = source.space(space)
    paths = [
        path(source.latent, source.points(inputs, where), frames, method=method, loop=loop)
        for inputs in _keyframes(source, walks, ",".join(classes) if classes else None)
    ]
    with counting("images", length * len(walks)) as progress:
        if strip:
            _save_strip(source, paths, target, scale, batch, progress)
        elif source.numbers:
            save_frames(_numbers.frames(source, paths, batch, progress), target, fps or 24)
        else:
            save_frames(_pictures(source, paths, columns, scale, batch, progress), target, fps or 24)
    text = f"{length:,} frames of {source.name}"
    report(as_json, source, target, text, seeds=[list(walk) for walk in walks], frames=length)


def _keyframes(model: Model, walks: list[Seeds], text: str | None) -> list[Inputs]:
    """The inputs of the seeds of every walk, with the classes that ``--class`` names unless they keep their own."""
    import torch

    inputs = [model.latent.from_seeds(walk) for walk in walks]
    if text is not None:
        numbers, seeds = parse_classes(text, model.classes, model.name, kind_of_class(model)), sum(map(len, walks))
        if len(numbers) not in (1, seeds):
            raise UsageError(
                f"--class '{text}' names {len(numbers)} classes for {seeds} seeds",
                "name one for all, or one for each seed",
            )
        of_walks = torch.tensor(numbers).expand(seeds).view(len(walks), -1)
        inputs = [walk | {"y": own} for walk, own in zip(inputs, of_walks, strict=True)]
    return inputs


def _check(target: Path, fps: float | None) -> bool:
    """Whether the result is a strip, once the name and the rate are known to be possible."""
    from gancli.files import check_file
    from gancli.rendering.animation import check

    if target.suffix.lower() != ".png":
        check(target, 24 if fps is None else fps)
        return False
    if fps is not None:
        raise UsageError(f"--fps {fps:g} has no meaning for the strip '{target}'", "leave it out, or name an animation")
    check_file(target)
    return True


def _walks(seeds: Seeds, walks: int) -> list[Seeds]:
    """The seeds in consecutive parts of equal length, one for each walk."""
    length, rest = divmod(len(seeds), walks)
    if rest or length < 2:
        raise UsageError(
            f"{count_of(len(seeds), 'seed')} cannot be shared evenly by {count_of(walks, 'walk')} of two seeds or more",
            f"give {2 * walks} seeds, such as 0-{2 * walks - 1}, or {3 * walks}",
        )
    return [seeds[start : start + length] for start in range(0, len(seeds), length)]


def _save_strip(
    model: Model, paths: list[Inputs], target: Path, scale: int | None, batch: int, progress: Callable[[int], None]
) -> None:
    import torch

    from gancli.rendering.numbers import Plot

    inputs = {name: torch.cat([walk[name] for walk in paths]) for name in paths[0]}
    if model.numbers:
        plot = Plot(_numbers.formula_of(model))
        plot.save(generate(model, batches(inputs, batch), progress), target)
        return
    count = len(next(iter(inputs.values())))
    save_generated(model, batches(inputs, batch), count, target, count // len(paths), progress, scale)


def _pictures(
    model: Model, paths: list[Inputs], columns: int, scale: int | None, batch: int, progress: Callable[[int], None]
) -> Iterator[Tensor]:
    """Frames of all walks side by side, uint8 (C, H, W)."""
    import torch

    from gancli.rendering.images import arrange, default_scale

    _, height, width = model.shape
    together = len(paths)
    # A walk alone may be larger than a cell among many.
    scale = scale or default_scale(height, width, near=64 if together > 1 else 128)
    # Frame after frame, and in each frame walk after walk.
    inputs = {name: torch.stack([walk[name] for walk in paths], 1).flatten(0, 1) for name in paths[0]}
    for piece in batches(inputs, max(1, batch // together) * together):
        images = model.generate(piece)
        progress(len(images))
        for frame in images.split(together):
            yield arrange(frame, columns=columns, scale=scale, gap=2 if together > 1 else 0)
