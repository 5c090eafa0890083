"""``gancli sample``: images from a model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.console import say
from gancli.cli.progress import counting
from gancli.errors import UsageError
from gancli.latent import Seeds, parse_seeds
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
Batch = Annotated[int, typer.Option(min=1, metavar="N", help="Images computed at once.")]


def sample(
    model: ModelName = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Seeds and ranges, such as 0-9,42; 0-63 unless given. One seed is one image.", show_default=False
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, metavar="N", help="The first N seeds: 0 to N - 1.")] = None,
    grid: Annotated[str | None, typer.Option(metavar="CxR", help="Columns x rows of the picture.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help="A .png for one grid; a folder, or a .zip, for one PNG a seed. MODEL.png unless given.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    batch: Batch = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make images: one grid, or one PNG a seed.

    \b
    Examples:
      gancli sample dcgan/mnist
      gancli sample dcgan/mnist --seeds 0-9,42 --grid 11x1 --out row.png
      gancli sample dcgan/mnist -n 10000 --out images.zip
    """
    cells = parse_grid(grid) if grid is not None else None
    chosen = _chosen(seeds, n, cells)
    many = out is not None and _holds_many(out)
    _check(chosen, cells, many, Path(out) if out else None)

    from gancli import model as models

    source = models.load(model, device=device)
    path = Path(out) if out else Path(f"{file_stem(source.name)}.png")
    with counting("images", len(chosen)) as progress:
        if many:
            from gancli.rendering.images import save_images

            save_images(source.images(chosen, batch), chosen, path, progress=progress)
        else:
            _save_grid(source, chosen, path, cells[0] if cells else None, batch, progress)
    if as_json:
        print(json.dumps({"model": source.name, "out": str(path), "seeds": str(chosen), "images": len(chosen)}))
    else:
        say(f"{len(chosen):,} image{'s' * (len(chosen) != 1)} of {source.name}")
        print(path)


def _chosen(seeds: str | None, n: int | None, cells: tuple[int, int] | None) -> Seeds:
    """The seeds that the options name, once the options agree with each other."""
    if seeds is not None and n is not None:
        raise UsageError(f"-n {n} and --seeds '{seeds}' both choose the images", "give one of them")
    room = cells[0] * cells[1] if cells else 64
    chosen = parse_seeds(seeds) if seeds is not None else parse_seeds(f"0-{(n or room) - 1}", option="-n")
    if cells and len(chosen) != room:
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
    if not many and len(chosen) > MAX_GRID:
        raise UsageError(
            f"{len(chosen):,} images are too many for one picture, which shows at most {MAX_GRID:,}",
            "name a folder or a .zip for one PNG a seed, such as --out images.zip",
        )
    if path and many and (path / "state.safetensors").exists():
        raise UsageError(f"--out '{path}' is a run folder", f"name another folder, such as {path.name or 'run'}-images")
    if path:
        (check_folder if many and path.suffix.lower() != ".zip" else check_file)(path)


def _save_grid(
    source: "Model", chosen: Seeds, path: Path, columns: int | None, batch: int, progress: Callable[[int], None]
) -> None:
    import torch

    from gancli.rendering.images import default_scale, grid_size, save_grid

    _, height, width = source.shape
    scale = default_scale(height, width)
    grid_size(len(chosen), height, width, columns=columns, scale=scale)
    made = []
    for images in source.images(chosen, batch):
        made.append(images.cpu())
        progress(len(images))
    save_grid(torch.cat(made), path, columns=columns, scale=scale)
