"""``gancli sample``: images from a model."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli import files
from gancli.cli import _numbers, _options
from gancli.cli._images import count_of, open_model, report, save_generated
from gancli.cli._outputs import picture_or_folder
from gancli.cli._processes import launch_or_meet
from gancli.cli.terminal.progress import counting
from gancli.editing import directions
from gancli.errors import UsageError, printable
from gancli.latents import MAX_SEEDS, Inputs, Seeds, parse_seeds, seeds_text
from gancli.latents.conditions import COLUMNS, Code, Request, check_codes, folder_names, parse_classes, parse_codes
from gancli.processes import distribute, distributing, rank
from gancli.rendering.layout import MAX_GRID

if TYPE_CHECKING:
    from gancli.model import Model


def sample(
    context: typer.Context,
    model: _options.ModelOrNewest = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds and ranges, such as 0-9,42. One seed is one image. Default: 0-63.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", min=1, max=MAX_SEEDS, metavar="N", help="The first N seeds: 0 to N - 1.")
    ] = None,
    classes: _options.Classes = None,
    codes: Annotated[
        list[str] | None,
        typer.Option(
            "--code",
            metavar="I=VALUE",
            help="Fix code I, or vary it along the rows of the picture, as in 0=-2..2. Repeatable.",
        ),
    ] = None,
    moves: _options.Moves = None,
    grid: _options.Grid = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help="A .png, .jpg or .webp is one grid; a folder or .zip gets one PNG for each seed, with --class in a "
            "folder for each class. Default: MODEL.png.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For a model of numbers: write a line for each seed, and no plot unless --out is given; - prints "
            "them.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the images of another model in the folder --out.")
    ] = False,
    truncation: _options.Truncation = None,
    device: _options.Device = "auto",
    processes: _options.Processes = None,
    as_json: _options.AsJson = False,
) -> None:
    """Generate images: one grid, or one PNG for each seed. A model of numbers gives a plot or a table.

    With --class, every class gets all the seeds.

    \b
    Examples:
      gancli sample dcgan/mnist
      gancli sample dcgan/mnist --seeds 0-9,42 --grid 11x1 --out row.png
      gancli sample dcgan/mnist -n 10000 --out images.zip
      gancli sample sine-gan/sine --csv curves.csv
      gancli sample cgan/mnist --class all
      gancli sample cgan/mnist --class 7 -n 1000 --out more
      gancli sample infogan/mnist --code 0=-2..2
      gancli sample acgan/mnist --truncation 1.2
      gancli sample FILE.safetensors --move smile=2
    """
    cells = _options.parse_grid(grid) if grid is not None else None
    steps = directions.parse_moves(moves or [])
    asked, named = parse_codes(codes or []), ",".join(classes) if classes else None
    sweeping = any(code.last is not None for code in asked)
    chosen = _chosen(seeds, n)
    many = not picture_or_folder(out, archive=True)
    if many and (grid or sweeping):
        what = "--grid" if grid else "a code that varies"
        raise UsageError(
            f"{what} is for one picture, but '{out}' takes one PNG for each seed", "name a .png with --out"
        )

    world = launch_or_meet(context.obj, processes)
    source, path = open_model(model, out, ".png", device=device, truncation=truncation)
    if source.numbers:
        _numbers.refuse_options(source, grid=grid, out=out if many else None, move=moves[0] if moves else None)
        _request(source, chosen, named, asked, None)
        if world.first:
            shown = path if out or not csv else None
            _numbers.sample(source, chosen or _numbers.default_seeds(source), shown, csv, as_json)
        return
    if csv is not None:
        raise UsageError(f"--csv is for numbers, and '{source.name}' makes images", "leave out --csv")
    along = directions.chosen(source, steps)
    request = _request(source, chosen, named, asked, cells)
    if not many and len(request) > MAX_GRID:
        raise UsageError(
            f"{len(request):,} images are too many for one picture, which shows at most {MAX_GRID:,}",
            "name a folder or a .zip for one PNG for each seed, such as --out images.zip",
        )
    if many and path.suffix.lower() != ".zip" and world.first:
        _claim(path, source.name, overwrite)
    with distributing(world), counting("images", len(request)) as progress:
        inputs = (directions.move(source, each, along) for each in request.inputs(source.latent))
        if many:
            _save_many(source, request, inputs, path, progress)
        else:
            columns = cells[0] if cells else request.columns
            save_generated(source, inputs, len(request), path, columns, progress)
    if not world.first:
        return
    text, facts = f"{count_of(len(request))} of {source.name}", {}
    if request.classes:
        facts["classes"] = [source.classes[number] for number in request.classes]
        text += f", class {', '.join(facts['classes'])}"
    if steps:
        facts["moves"] = steps
        text += f", moved by {', '.join(f'{name}={value:g}' for name, value in steps.items())}"
    report(as_json, source, path, text, seeds=seeds_text(request.seeds), images=len(request), **facts)


def _chosen(seeds: str | None, n: int | None) -> Seeds | None:
    """The seeds that the options name; None if neither is given."""
    if seeds is not None and n is not None:
        raise UsageError(f"-n {n} and --seeds '{seeds}' both choose the images", "give one of them")
    if n is not None:
        return range(n)
    return tuple(dict.fromkeys(parse_seeds(seeds))) if seeds is not None else None


def _request(
    model: Model, seeds: Seeds | None, classes: str | None, codes: tuple[Code, ...], cells: tuple[int, int] | None
) -> Request:
    """The images asked for, in the order of the picture."""
    check_codes(codes, model.name, model.latent.codes)
    numbers = None
    if classes is not None:
        numbers = tuple(dict.fromkeys(parse_classes(classes, model.classes, model.name)))
    moving = next((code for code in codes if code.last is not None), None)
    sweep = (moving.number, tuple(moving.values(cells[0] if cells else COLUMNS))) if moving else None
    if seeds is None:
        seeds = range(_default_count(cells, len(numbers or (0,)), len(sweep[1]) if sweep else 1))
    request = Request(seeds, numbers, tuple(code for code in codes if code.last is None), sweep)
    if cells and len(request) != cells[0] * cells[1]:
        raise UsageError(
            f"--grid {cells[0]}x{cells[1]} has {cells[0] * cells[1]:,} cells, but there are {len(request):,} images",
            "choose as many seeds as fill it, or leave out --grid",
        )
    return request


def _default_count(cells: tuple[int, int] | None, classes: int, values: int) -> int:
    """Seeds of each class in a picture: a sweep has a row for each seed, several classes have a row each."""
    if cells:
        return max(1, cells[0] * cells[1] // (classes * values))
    if classes > 1:
        return 1 if values > 1 else COLUMNS
    return COLUMNS if values > 1 else 64


def _claim(folder: Path, name: str, overwrite: bool) -> None:
    """Make sure that the folder holds images of no other model, and none of the user's, and note whose it is to hold.

    Raises:
        UsageError: it does, and they are not to be deleted.
    """
    note = folder / ".model"
    if folder.is_dir() and not note.exists():
        # Samples in a folder of photographs would be trained on.
        kinds = ".png", ".jpg", ".jpeg", ".webp"
        users = [each for each in sorted(folder.iterdir()) if each.suffix.lower() in kinds and each.name[:4] != "seed"]
        if users:
            raise UsageError(
                f"'{folder}' holds other images ({printable(users[0].name)}), which samples would be mixed with",
                f"name another folder, as in --out {shlex.quote(str(folder / 'samples'))}",
            )
    owner = note.read_text("utf-8") if note.is_file() else "an unknown model"
    others = [] if owner == name else [*folder.glob("seed*.png"), *folder.glob("*/seed*.png")]
    if others and not overwrite:
        raise UsageError(
            f"'{folder}' holds images of {owner}, not of {name}", "name another folder, or delete them with `overwrite`"
        )
    for image in others:
        image.unlink()
    with files.atomic(note) as temporary:
        temporary.write_text(name, "utf-8")


def _save_many(
    model: Model, request: Request, inputs: Iterator[Inputs], path: Path, progress: Callable[[int], None]
) -> None:
    """One PNG for each seed; with classes, in a folder for each, as `gancli train` and ImageFolder read them."""
    from gancli.rendering.images import file_name, save_images

    folders = [f"{name}/" for name in folder_names(model.classes, request.classes)] if request.classes else [""]
    names = (folder + file_name(seed) for folder in folders for seed in request.seeds)
    images = distribute(inputs, model.generate)
    if rank():
        deque(images, maxlen=0)  # the first process writes the images of all
    else:
        save_images(images, names, path, progress=progress)
