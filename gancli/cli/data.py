"""``gancli data``: the data sets, and what is in them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli._options import AsJson, DataDir, parse_grid
from gancli.cli._outputs import picture_path
from gancli.cli.terminal.console import print_json, say, tell_left_out, tell_which
from gancli.cli.terminal.progress import progress_bar
from gancli.errors import UsageError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.data import Dataset
    from gancli.data.shards.index_file import Index
    from gancli.data.types import Progress

app = typer.Typer(
    no_args_is_help=True,
    help="Data sets by name, folder, zip or shards.",
    epilog="Example: gancli data show digits",
)
_NAMED = 10
"""Files left out that are named; further ones are counted."""


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the named data sets, and which of them are on this machine.

    \b
    Examples:
      gancli data list
      gancli data list --json
    """
    from gancli.data.builtin.names import DATASETS
    from gancli.data.paths import present

    found: list[dict[str, Any]] = [
        {
            "name": facts.name,
            "size": list(facts.size),
            "channels": facts.channels,
            "classes": len(facts.classes),
            "images": {} if facts.formula else dict(facts.images),
            "here": present(facts, data_dir),
            "needs": list(facts.extra),
            "licence": facts.licence or None,
        }
        for facts in DATASETS.values()
    ]
    if as_json:
        print_json(found)
        return
    line = "{:<16}{:>10}{:>10}{:>9}{:>9}{:>9}  {}"
    print(line.format("name", "size", "channels", "classes", "train", "test", "here"))
    for row in found:
        height, width = row["size"]
        counts = [f"{count:,}" for count in row["images"].values()] or ["drawn", "drawn"]
        size = f"{height}x{width}" if row["images"] else f"{width} numbers"
        classes = row["classes"] or "none"
        print(line.format(row["name"], size, row["channels"], classes, *counts, "yes" if row["here"] else "no"))
    say("`gancli data show NAME` shows one, and downloads it first; folders and zips of images serve as data too")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name of the list, a folder or zip of images, shards, or hf:USER/REPO."),
    ],
    data_dir: DataDir = None,
    split: Annotated[str, typer.Option(metavar="train|test", help="Which split.")] = "train",
    size: Annotated[
        str | None, typer.Option(metavar="S|HxW", help="Resize to this size. Default: the size of the data.")
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            metavar="1|3|4", help="1 grey, 3 colour, 4 colour with alpha. Default: grey or colour as the data."
        ),
    ] = None,
    fit: Annotated[
        str, typer.Option(metavar="crop|pad|stretch", help="How images of another aspect ratio are resized.")
    ] = "crop",
    background: Annotated[
        str,
        typer.Option(
            metavar="COLOUR", help="Behind transparent pixels and around padded images, but with --channels 4."
        ),
    ] = "white",
    grid: Annotated[str, typer.Option(metavar="CxR", help="Columns x rows of the picture.")] = "8x8",
    augmented: Annotated[
        str | None,
        typer.Option(
            metavar="diffaugment|ada", help="Show in each row an image and augmentations of it; ada with p = 0.8."
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE.png", help="The picture. Default: NAME-grid.png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a data set holds.

    Number, shape and classes of the images, the files left out, and a picture of some. Of a folder or zip also copies
    and near-duplicates, odd sizes, and the smallest and largest class.

    \b
    Examples:
      gancli data show digits
      gancli data show mnist --split test --out test.png
      gancli data show grid
      gancli data show photos/ --size 64x48 --fit pad --background black
      gancli data show digits --augmented ada --out ada.png
    """
    from gancli.data.builtin.names import parse_size

    columns, rows = parse_grid(grid)
    wanted = parse_size(size) if size is not None else None
    path = picture_path(out)
    if path is not None:
        _check_outside(path, name)
    if augmented is not None:
        _check_augmented(augmented, columns)

    from gancli.data import load

    with progress_bar() as progress:
        dataset = load(
            name,
            split=split,
            size=wanted,
            channels=channels,
            fit=fit,
            background=background,
            data_dir=data_dir,
            progress=progress,
        )
        found = _survey(dataset, name, progress)
    picture = _save_picture(dataset, path, columns, rows, augmented)
    if as_json:
        print_json(_facts(dataset, picture) | found)
    else:
        _print(dataset, picture, found, own_size=size is None)


@app.command()
def shard(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A folder or zip of images.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for the shards.")],
    per_shard: Annotated[
        int, typer.Option("--images-per-shard", min=1, max=1_000_000, metavar="N", help="Images in each shard.")
    ] = 1000,
) -> None:
    """Write images as tar shards.

    They are shuffled, with their classes and an index; the same images give the same bytes.

    \b
    Examples:
      gancli data shard photos/ --out shards
      gancli data shard photos.zip --out shards --images-per-shard 200
    """
    from gancli.data.shards.writing import write_shards

    with progress_bar() as progress:
        made = write_shards(name, out, per_shard, progress=progress)
    _report(out, made, f"; use: `gancli train {shlex.quote(str(out))}`")


@app.command()
def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of tar shards.")],
) -> None:
    """Write index.json for a folder of tar shards.

    It holds images, bytes and checksum of each, and the classes.

    With it, a training run that streams the shards by https need not download them all first.

    \b
    Example:
      gancli data index shards/
    """
    from gancli.data.shards.index_file import write_index

    with progress_bar() as progress:
        made = write_index(folder, None, progress)
    _report(folder / "index.json", made, f", {len(made.classes)} classes")


def _report(path: Path, made: Index, end: str) -> None:
    tell_left_out(made.skipped, _NAMED)
    print(f"{path}  {len(made.shards):,} shards, {sum(each.images for each in made.shards):,} images{end}")


def _check_outside(path: Path, name: str) -> None:
    folder = Path(name).expanduser()
    if path.exists() and folder.is_dir() and path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"--out '{path}' is inside '{name}' itself", "name another path")


def _check_augmented(name: str, columns: int) -> None:
    from gancli.terms.augmentation import AUGMENTATIONS

    if name not in AUGMENTATIONS:
        raise UsageError(f"there is no augmentation '{name}'", nearest(name, AUGMENTATIONS))
    if columns < 2:
        raise UsageError(
            "--augmented needs a second column beside the images themselves", "give more columns, as in --grid 8x4"
        )


def _save_picture(dataset: Dataset, out: Path | None, columns: int, rows: int, augmented: str | None) -> Path:
    import torch

    from gancli.hub.names import title
    from gancli.rendering.images import save_grid
    from gancli.rendering.layout import file_stem

    path = out if out is not None else Path(f"{file_stem(title(dataset.name))}-{augmented or 'grid'}.png")
    if dataset.formula is not None:
        from gancli.rendering.numbers import Plot

        if augmented is not None:
            raise UsageError(f"'{dataset.name}' has numbers, which are not augmented", "choose a data set of images")
        # Real points are what a plot of points shows anyway.
        shown = dataset.images[: 0 if dataset.formula.width == 2 else columns * rows]
        Plot(dataset.formula).save(shown, path)
        return path
    count = min(rows if augmented else columns * rows, len(dataset.images))
    # From all over the set: folders come sorted by class.
    images = dataset.images[torch.arange(count) * len(dataset.images) // count]
    save_grid(_augment(images, augmented, columns) if augmented else images, path, columns=columns)
    return path


def _augment(images: Tensor, name: str, columns: int) -> Tensor:
    """Rows of one image and ``columns - 1`` augmentations of it, drawn from seed 0."""
    import torch

    from gancli.architectures import from_uint8, to_uint8
    from gancli.terms.augmentation import AUGMENTATIONS
    from gancli.terms.step import SampleRandom

    augment = AUGMENTATIONS[name](**{"probability": 0.8} if name == "ada" else {})
    copies = from_uint8(images, augment.limits).repeat_interleave(columns - 1, 0)
    random = SampleRandom(dict, torch.Generator().manual_seed(0), len(copies))
    shown = to_uint8(augment(copies, random), augment.limits).unflatten(0, (len(images), columns - 1))
    return torch.cat([images[:, None], shown], 1).flatten(0, 1)


def _facts(dataset: Dataset, picture: Path) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "split": dataset.split,
        "images": dataset.count,
        "shape": list(dataset.images.shape[1:]),
        "classes": _counts(dataset),
        "splits": dict(dataset.splits),
        "left_out": dict(dataset.left_out),
        "fingerprint": dataset.fingerprint,
        "skipped": [{"name": one.name, "reason": one.reason} for one in dataset.skipped],
        "picture": str(picture),
    }


def _counts(dataset: Dataset) -> dict[str, int]:
    if dataset.labels is None:
        return {}
    counts = dataset.labels.bincount(minlength=len(dataset.classes)).tolist()
    return dict(zip(dataset.classes, counts, strict=True))


def _survey(dataset: Dataset, name: str, progress: Progress) -> dict[str, Any]:
    """Copies, odd sizes and the balance of classes, of a folder or zip."""
    from gancli.data import DATASETS
    from gancli.data.hub.fetching import path_of
    from gancli.data.survey import survey

    if name in DATASETS or dataset.formula is not None or dataset.stream is not None:
        return {}
    path = path_of(name)
    if not path.is_dir() and path.suffix.lower() != ".zip":
        return {}
    return survey(dataset, path, progress)


def _print_survey(found: dict[str, Any]) -> None:
    """In lines of at most 80 characters."""
    alike = found.get("near_duplicates", {})
    lines = {
        "copies": ("{images:,} with the pixels of another image", found["copies"]),
        "alike": ("{images:,} are near-duplicates; groups: {groups:,}, the largest {largest:,}", alike),
        "odd shapes": ("{images:,} lose more than a third if cropped", found["odd_shapes"]),
        "small": ("{images:,} smaller than these sizes, and enlarged", found["small"]),
    }
    for key, (words, facts) in lines.items():
        if facts.get("images"):
            print(f"{key:12} {words.format(**facts)}")
            print(f"{'':12} such as {_shortened(', '.join(facts['examples']), 58)}")
    if balance := found.get("balance"):
        sizes = " to ".join(f"{count:,} ({_shortened(name, 20)})" for name, count in balance.items())
        print(f"{'balance':12} {sizes} images a class" if len(balance) > 1 else f"{'balance':12} equal classes")


def _shortened(text: str, most: int) -> str:
    """The text, cut to so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _print(dataset: Dataset, picture: Path, found: dict[str, Any], own_size: bool) -> None:
    from gancli.data.builtin.names import DATASETS
    from gancli.data.folder.decoding import LONGEST_SIDE

    height, width = dataset.images.shape[2:]
    facts = _facts(dataset, picture)
    counts, numbers = facts["classes"], dataset.formula is not None
    shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:20])
    drawn = f"drawn anew for every batch, {dataset.formula.origin}" if dataset.formula else ""
    facts["images"] = drawn or f"{dataset.count:,}"
    facts["shape"] = f"{width} numbers" if numbers else f"{height}x{width}, {dataset.kind}"
    facts["classes"] = f"{len(counts)}: {shown}{', …' if len(counts) > 20 else ''}" if counts else "none"
    for key in ("splits", "left_out"):
        facts[key] = ", ".join(f"{name} {count:,}" for name, count in facts[key].items())
    for key, value in facts.items():
        if key != "skipped" and value:
            print(f"{key.replace('_', ' '):12} {value}")
    if found:
        _print_survey(found)
    tell_which(dataset.name)
    if own_size and dataset.name not in DATASETS and max(height, width) == LONGEST_SIDE:
        say(f"note: larger images are reduced to {LONGEST_SIDE} pixels on the longer side; --size changes that")
    if dataset.stream is not None:
        say(f"note: class counts and picture are those of {len(dataset.images):,} example images")
    tell_left_out(dataset.skipped, _NAMED, "; --json names them all")
