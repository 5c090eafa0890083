"""``gancli sample``: images from a model."""

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli._imports import import_quickly
from gancli.cli._outputs import check_no_run
from gancli.cli._processes import Processes, launch_or_meet
from gancli.cli.terminal.console import say
from gancli.cli.terminal.progress import counting
from gancli.errors import UsageError
from gancli.latents import Seeds, parse_seeds
from gancli.latents.conditions import COLUMNS, Code, Request, check_codes, folder_names, parse_classes, parse_codes
from gancli.processes import distribute, distributing, rank
from gancli.rendering.layout import MAX_GRID, file_stem, parse_grid

if TYPE_CHECKING:
    from gancli.model import Model

ModelName = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="A zoo name such as dcgan/mnist, a run folder, or a .safetensors file. Without it: the newest run.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")]
Truncation = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="The largest value of a latent: from 2 down to about 1, images become safer and more alike.",
        show_default=False,
    ),
]
Batch = Annotated[int, typer.Option(min=1, metavar="N", help="Images computed at once.")]


def kind_of_class(source: "Model") -> str:
    """What to call a class that the model is told: those that it found without labels have no meaning but its own."""
    return "class" if source.labelled else "category"


def sample(
    context: typer.Context,
    model: ModelName = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Seeds and ranges, such as 0-9,42; 0-63 unless given. One seed is one image.", show_default=False
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, metavar="N", help="The first N seeds: 0 to N - 1.")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAMES",
            help="Names or numbers of classes, such as 7 or 3,7 or 0-4, or all. Every class gets all the seeds. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    codes: Annotated[
        list[str] | None,
        typer.Option(
            "--code",
            metavar="I=VALUE",
            help="Fix code I, or sweep it along the rows of the picture, as in 0=-2..2. Repeatable.",
            show_default=False,
        ),
    ] = None,
    grid: Annotated[str | None, typer.Option(metavar="CxR", help="Columns x rows of the picture.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help="A .png for one grid; a folder, or a .zip, for one PNG a seed, with --class in a folder for each "
            "class. MODEL.png unless given.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a model's numbers, a line a seed; - prints them. Without --out no plot.",
            show_default=False,
        ),
    ] = None,
    truncation: Truncation = None,
    device: Device = "auto",
    batch: Batch = 256,
    processes: Processes = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make images: one grid, or one PNG a seed; of a model of numbers, a plot or a table.

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
    """
    cells = parse_grid(grid) if grid is not None else None
    asked, named = parse_codes(codes or []), ",".join(classes) if classes else None
    sweeping = any(code.last is not None for code in asked)
    chosen = _chosen(seeds, n, cells, plain=named is None and not sweeping)
    many = out is not None and _holds_many(out)
    if many and sweeping:
        raise UsageError(f"a sweep is one picture, but '{out}' takes one PNG a seed", "name a .png, or fix the code")
    if csv is None or out is not None:
        _check(chosen or Seeds([]), cells, many, Path(out) if out else None)

    world = launch_or_meet(context.obj, processes)
    import_quickly("gancli.model")
    from gancli import model as models
    from gancli.cli import _numbers

    source = models.load(model, device=device, truncation=truncation)
    path = Path(out) if out else Path(f"{file_stem(source.name)}.png")
    if source.numbers:
        _numbers.refuse_options(source, grid=grid, out=out if many else None)
        _request(source, chosen, named, asked, None)
        chosen = chosen if chosen and (seeds or n) else _numbers.usual(source)
        if world.first:
            _numbers.sample(source, chosen, path if out or not csv else None, csv, batch, as_json)
        return
    if csv is not None:
        raise UsageError(f"--csv is for numbers, and '{source.name}' makes images", "leave out --csv")
    request = _request(source, chosen, named, asked, cells)
    if many:
        _check_folders(source, request)
    else:
        _check_picture(len(request))
    with distributing(world), counting("images", len(request)) as progress:
        if many:
            _save_many(source, request, path, batch, progress)
        else:
            _save_grid(source, request, path, cells[0] if cells else request.columns, batch, progress)
    if not world.first:
        return
    told = [source.classes[number] for number in request.classes or ()]
    if as_json:
        made = {"model": source.name, "out": str(path), "seeds": str(request.seeds), "images": len(request)}
        print(json.dumps({**made, "classes": told} if told else made))
    else:
        of_class = f", {kind_of_class(source)} {', '.join(told)}" if told else ""
        say(f"{len(request):,} image{'s' * (len(request) != 1)} of {source.name}{of_class}")
        print(path)


def _chosen(seeds: str | None, n: int | None, cells: tuple[int, int] | None, *, plain: bool) -> Seeds | None:
    """The seeds that the options name, once the options agree with each other.

    None, unless ``plain``, where neither option names any: classes and sweeps decide how many a picture takes.
    """
    if seeds is not None and n is not None:
        raise UsageError(f"-n {n} and --seeds '{seeds}' both choose the images", "give one of them")
    if not plain and seeds is None and n is None:
        return None
    room = cells[0] * cells[1] if cells else 64
    chosen = parse_seeds(seeds) if seeds is not None else parse_seeds(f"0-{(n or room) - 1}", option="-n")
    if plain and cells and len(chosen) != room:
        raise UsageError(
            f"--grid {cells[0]}x{cells[1]} has {room:,} cells, but there are {len(chosen):,} seeds",
            f"choose {room:,} seeds, or leave out --grid",
        )
    return chosen


def _holds_many(out: str) -> bool:
    """Whether the name stands for a folder or a .zip (one PNG a seed) and not for a .png (one grid)."""
    if not out:
        raise UsageError("--out is empty", "name a .png, a .zip or a folder")
    path = Path(out)
    suffix = path.suffix.lower()
    if suffix == ".png":
        return False
    if suffix in ("", ".zip") or path.is_dir() or out.endswith("/"):
        return True
    raise UsageError(
        f"--out '{out}' ends in '{path.suffix}'",
        "end it in .png for one grid, in .zip for an archive, or in / for a folder",
    )


def _check(chosen: Seeds, cells: tuple[int, int] | None, many: bool, path: Path | None) -> None:
    """Find faults before any work: a picture with too many images, an unwritable place, two files of one name."""
    from gancli.files import check_file, check_folder

    if many and cells:
        raise UsageError(f"--grid lays out one picture, but '{path}' takes one PNG a seed", "leave out one of the two")
    if many and (twice := chosen.repeated()) is not None:
        raise UsageError(f"seed {twice} is named twice, and its file can be there once", "name every seed once")
    if not many:
        _check_picture(len(chosen))
    if path and many:
        check_no_run(path)
    if path:
        (check_folder if many and path.suffix.lower() != ".zip" else check_file)(path)


def _check_picture(count: int) -> None:
    if count > MAX_GRID:
        raise UsageError(
            f"{count:,} images are too many for one picture, which shows at most {MAX_GRID:,}",
            "name a folder or a .zip for one PNG a seed, such as --out images.zip",
        )


def _check_folders(source: "Model", request: Request) -> None:
    """Make sure that every class has a folder of its own."""
    numbers = request.classes or ()
    if twice := [number for number in numbers if numbers.count(number) > 1]:
        raise UsageError(
            f"{kind_of_class(source)} '{source.classes[twice[0]]}' is named twice, and its folder can be there once",
            "name every one once",
        )


def _request(
    source: "Model", seeds: Seeds | None, classes: str | None, codes: tuple[Code, ...], cells: tuple[int, int] | None
) -> Request:
    """What the model is asked for, in the order of the picture."""
    check_codes(codes, source.name, source.latent.codes)
    numbers = None
    if classes is not None:
        numbers = parse_classes(classes, source.classes, source.name, kind_of_class(source))
    moving = next((code for code in codes if code.last is not None), None)
    columns = cells[0] if cells else COLUMNS
    sweep = (moving.number, tuple(moving.values(columns))) if moving else None
    if seeds is None:
        seeds = Seeds([range(_room(cells, len(numbers or (0,)), len(sweep[1]) if sweep else 1))])
    request = Request(seeds, numbers, tuple(code for code in codes if code.last is None), sweep)
    if cells and len(request) != cells[0] * cells[1]:
        raise UsageError(
            f"--grid {cells[0]}x{cells[1]} has {cells[0] * cells[1]:,} cells, but there are {len(request):,} images",
            "choose as many seeds as fill it, or leave out --grid",
        )
    return request


def _room(cells: tuple[int, int] | None, classes: int, values: int) -> int:
    """Seeds that a picture takes of each class: a sweep has a row for each, several classes have a row each."""
    if cells:
        return max(1, cells[0] * cells[1] // (classes * values))
    if classes > 1:
        return 1 if values > 1 else COLUMNS
    return COLUMNS if values > 1 else 64


def _save_many(source: "Model", request: Request, path: Path, batch: int, progress: Callable[[int], None]) -> None:
    """One PNG a seed; with classes, a folder for each, as `gancli train` and torchvision's ImageFolder read them."""
    from gancli.rendering.images import file_name, save_images

    folders = [f"{name}/" for name in folder_names(source.classes, request.classes)] if request.classes else [""]
    names = (folder + file_name(seed) for folder in folders for seed in request.seeds)
    images = distribute(request.inputs(source.latent, batch), source.generate)
    if rank():
        deque(images, maxlen=0)  # the first process writes what all have made
    else:
        save_images(images, names, path, progress=progress)


def _save_grid(
    source: "Model", request: Request, path: Path, columns: int | None, batch: int, progress: Callable[[int], None]
) -> None:
    import torch

    from gancli.rendering.images import default_scale, grid_size, save_grid

    _, height, width = source.shape
    scale = default_scale(height, width)
    grid_size(len(request), height, width, columns=columns, scale=scale)
    made = []
    for images in distribute(request.inputs(source.latent, batch), source.generate):
        made.append(images.cpu())
        progress(len(images))
    if not rank():
        save_grid(torch.cat(made), path, columns=columns, scale=scale)
