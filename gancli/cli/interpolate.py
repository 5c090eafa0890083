"""``gancli interpolate``: a walk from seed to seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli import _numbers, _options
from gancli.cli._images import BATCH, open_model, report, save_generated
from gancli.cli.terminal.progress import counting
from gancli.editing import directions, walks
from gancli.errors import UsageError
from gancli.latents import Ease, Inputs, batches, parse_seeds
from gancli.latents import truncation as truncations
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
    moves: _options.Moves = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Frames from seed to seed. Default: 30, or 8 for a .png."),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second. Default: 24.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Return to the first seed.")] = False,
    scale: _options.Scale = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A .gif, .webp, .apng or .mp4; a .png or .jpg shows the frames in a row. Default: MODEL-walk.gif.",
        ),
    ] = None,
    space: _options.Space = None,
    truncation: Annotated[
        str | None,
        typer.Option(
            metavar="T|T,T,...",
            help="Limit latents to [-T, T]; from 2 down to about 1, quality rises, variety falls. With a mapping "
            "network: the factor psi, from 1 down to 0. One for the whole walk, or one for each seed, where 'none' "
            "stands for no limit.",
        ),
    ] = None,
    ease: Annotated[
        Ease,
        typer.Option(help="linear: an even pace; smooth: slow down before each seed, and speed up after it."),
    ] = "linear",
    device: _options.Device = "auto",
    as_json: _options.AsJson = False,
) -> None:
    """Animate a walk through the latent space from seed to seed.

    A .png shows its frames in a row.

    \b
    Examples:
      gancli interpolate dcgan/mnist --seeds 3,14,15 --loop
      gancli interpolate dcgan/mnist --seeds 0-15 --out walk.webp
      gancli interpolate dcgan/mnist --seeds 3,14 --out strip.png
      gancli interpolate cgan/mnist --seeds 3,14,15 --class 7
      gancli interpolate cgan/mnist --seeds 3,3 --class 3,8
      gancli interpolate dcgan/mnist --seeds 3,14,15 --loop --ease smooth --truncation none,1,0.5
      gancli interpolate FILE.safetensors --seeds 3,14 --move smile=2
    """
    from gancli.rendering.animation import save_animation

    steps = directions.parse_moves(moves or [])
    strip = _check(Path("walk.gif" if out is None else out), fps)
    chosen, frames = parse_seeds(seeds), frames or (8 if strip else 30)
    length = (len(chosen) - (not loop)) * frames + (not loop)
    if length > MAX_IMAGES:
        raise UsageError(
            f"{length:,} images are too many for one walk, which takes at most {MAX_IMAGES:,}",
            "take fewer seeds or fewer --frames",
        )

    limits = _truncations(truncation, len(chosen))
    one = limits[0] if len(limits) == 1 else None
    source, target = open_model(model, out, "-walk.gif", device=device, truncation=one)
    if source.numbers:
        _numbers.refuse_options(source, scale=scale, move=moves[0] if moves else None)
    labels = _labels(source, len(chosen), ",".join(classes) if classes else None)
    several = limits if len(limits) > 1 else ()
    walk = walks.walk(
        source, chosen, frames, labels=labels, moves=steps, truncation=several, space=space, loop=loop, ease=ease
    )
    with counting("images", length) as progress:
        if strip and source.numbers:
            _numbers.save(source, batches(walk, BATCH), target, progress)
        elif strip:
            save_generated(source, batches(walk, BATCH), length, target, length, progress, scale)
        else:
            pictures = _numbers.frames if source.numbers else partial(_pictures, scale=scale)
            save_animation(pictures(source, walk, progress), target, fps=fps or 24)
    report(as_json, source, target, f"{length:,} frames of {source.name}", seeds=list(chosen), frames=length)


def _labels(model: Model, count: int, text: str | None) -> Sequence[int]:
    """The classes that ``--class`` names for so many seeds; none where they keep their own."""
    if text is None:
        return ()
    numbers = parse_classes(text, model.classes, model.name)
    if len(numbers) not in (1, count):
        raise UsageError(
            f"--class '{text}' names {len(numbers)} classes for {count} seeds",
            "name one for all, or one for each seed",
        )
    return numbers


def _truncations(text: str | None, count: int) -> tuple[float | None, ...]:
    """What ``--truncation`` says for so many seeds: one value for all, or one for each."""
    values = (None,) if text is None else truncations.parse(text)
    if len(values) not in (1, count):
        raise UsageError(
            f"--truncation '{text}' has {len(values)} values for {count} seeds",
            "give one for all, or one for each seed",
        )
    return values


def _check(target: Path, fps: float | None) -> bool:
    """Whether the result is a strip, once the name and the rate are known to be possible."""
    from gancli.files import check_file
    from gancli.rendering.animation import check

    if target.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        check(target, 24 if fps is None else fps)
        return False
    if fps is not None:
        raise UsageError(f"--fps {fps:g} has no meaning for the strip '{target}'", "leave it out, or name an animation")
    check_file(target)
    return True


def _pictures(model: Model, walk: Inputs, progress: Callable[[int], None], *, scale: int | None) -> Iterator[Tensor]:
    """Frames of a walk, uint8 (C, H, W)."""
    from gancli.rendering.images import default_scale, enlarge

    scale = scale or default_scale(*model.shape[1:], near=128)
    for piece in batches(walk, BATCH):
        images = model.generate(piece)
        progress(len(images))
        yield from enlarge(images, scale)
