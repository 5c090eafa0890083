"""How time and memory grow with resolution, batch and the size of the data, and the cost of opening a large folder."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import linear_regression, median
from tempfile import TemporaryDirectory
from typing import IO, Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from benchmarks import timing
from gancli import recipe
from gancli.data import Dataset, cache, load, paths, pixels
from gancli.runs import planning
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

TITLE = "Scaling with image size, batch and data set"
RUNS = 5
SECONDS = 3.0
SIDES = (28, 32, 64, 128)
BATCHES = (16, 32, 64, 128, 256, 512, 1024)
COUNTS = (1_000, 10_000, 100_000, 1_000_000)
FIXED = {"side": 28, "batch": 128, "count": 4_096}
"""What a sweep keeps while it changes one of them."""

DRAWN = 2_048
"""Images a timing of drawing: a batch alone is too short."""

CPU = torch.device("cpu")
JPEGS = "cifar10-jpg-train.zip"
ROOT = Path(__file__).parents[1]
WITHIN = 0.1
"""Gate: the share by which the time per image may change with the number of images."""

Point = dict[str, Any]


def measure(quick: bool) -> dict[str, Any]:
    """The three sweeps, and the folder.

    Args:
        quick: two small points of each sweep, once, all in this process; 64 files in the folder.
    """
    sweeps = {
        "side": (8, 12) if quick else SIDES,
        "batch": (4, 8) if quick else BATCHES,
        "count": (100, 1_000) if quick else COUNTS,
    }
    fixed = {"side": 8, "batch": 4, "count": 100} if quick else FIXED
    found = {name: _sweep([fixed | {name: value} for value in values], quick) for name, values in sweeps.items()}
    return {"seconds": 0.02 if quick else SECONDS, "fixed": fixed, **found, "folder": _folder(quick)}


def _sweep(points: Sequence[Point], quick: bool) -> list[Point]:
    """The points of one sweep: all of them in turn, run after run, each in a process of its own."""
    with TemporaryDirectory(prefix="gancli-growth-") as folder:
        for point in points:
            with _in_cache(folder):
                _make(point)
        return _alternate(points, 1 if quick else RUNS, lambda point: _cost(folder, point, quick))


def _alternate(points: Sequence[Point], runs: int, cost: Callable[[Point], Point]) -> list[Point]:
    """Each point with every figure of its cost as a list over the runs."""
    taken: list[list[Point]] = [[] for _ in points]
    for _ in range(runs):
        for point, costs in zip(points, taken, strict=True):
            costs.append(cost(point))
    return [
        {**point, **{key: [one[key] for one in costs] for key in costs[0]}}
        for point, costs in zip(points, taken, strict=True)
    ]


def _cost(folder: str, point: Point, quick: bool) -> Point:
    if quick:
        return cost(folder, point, 0.02)
    return json.loads(_apart("cost", folder, point, SECONDS))


def _apart(function: str, *arguments: Any) -> str:
    """What a function of this module returns in a fresh process, as JSON."""
    code = (
        "import json, sys; from benchmarks import growth; "
        "print(json.dumps(getattr(growth, sys.argv[1])(*json.loads(sys.argv[2]))))"
    )
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", code, function, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout


@contextmanager
def _in_cache(folder: str) -> Generator[None]:
    """Cached images lie in ``folder`` meanwhile."""
    with mock.patch.dict(os.environ, GANCLI_CACHE=folder):
        yield


def _key(point: Point) -> str:
    """Of the images in the cache."""
    return f"noise{point['side']}x{point['count']}"


def _make(point: Point) -> None:
    """Grey images of random bytes, kept as a folder's decoded images are."""
    if cache.find(_key(point)) is not None:
        return
    count, side = point["count"], point["side"]

    def write(file: IO[bytes]) -> cache.Contents:
        random = np.random.default_rng(0)
        for _ in range(count):
            file.write(random.bytes(side * side))
        return None, (), ()

    cache.store(_key(point), count, (1, side, side), write)


def cost(folder: str, point: Point, span: float) -> Point:
    """What a training costs at one point.

    Args:
        folder: the cache with the images.
        point: side, batch and count.
        span: seconds of training that are timed, after two rounds that are not.

    Returns:
        Seconds an image of the training (``train``) and of drawing batches alone (``draw``), and bytes of memory: the
        most that the process held (``peak``), at the end its own (``own``) and what it maps from files (``files``);
        None where the system does not tell.
    """
    with _in_cache(folder):
        images = cache.find(_key(point))
        assert images is not None
        dataset = Dataset("noise", "train", images.images, None, (), images.fingerprint)
    table = recipe.for_data(catalogue.recipe_table("dcgan"), "noise")
    made = recipe.parse(recipe.merge(table, {"training": {"batch": point["batch"], "rounds": 10**6}}))
    trainer = Trainer(planning.resolve(made, dataset, CPU), dataset, CPU)
    for _ in range(2):
        trainer.round()
    train = _median_seconds(trainer.round, span) / planning.images_a_round(trainer)
    draws = max(1, DRAWN // point["batch"])
    draw = _median_seconds(lambda: [trainer.batches.next() for _ in range(draws)], span / 4) / draws / point["batch"]
    return {"train": train, "draw": draw, **_memory()}


def _median_seconds(work: Callable[[], object], span: float) -> float:
    """The median over calls that fill so many seconds, three at least."""
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < span:
        taken.append(timing.seconds(work))
    return median(taken)


def _memory() -> dict[str, int | None]:
    """Bytes of memory: most that was held, the process' own, and what it maps from files."""
    fields = {"peak": "VmHWM", "own": "RssAnon", "files": "RssFile"}
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return dict.fromkeys(fields)
    lines = {name: re.search(rf"{field}:\s+(\d+) kB", status) for name, field in fields.items()}
    return {name: None if line is None else 1024 * int(line[1]) for name, line in lines.items()}


def _folder(quick: bool) -> dict[str, Any]:
    """Opening a folder of small JPEGs the first and the second time, compared with the least possible time."""
    archive = next((path for root in paths.search_folders() if (path := root / JPEGS).exists()), None)
    if archive is None:
        return {"absent": f"{JPEGS} is not under $GANCLI_DATA"}
    with TemporaryDirectory(prefix="gancli-growth-") as place:
        files = Path(place) / "images"
        with zipfile.ZipFile(archive) as pack:
            names = [name for name in pack.namelist() if name.endswith(".jpg")]
            pack.extractall(files, names[:: len(names) // 64] if quick else names)
        taken: list[dict[str, Any]] = []
        for run in range(1 if quick else RUNS):
            arguments = (str(files), str(Path(place) / f"cache-{run}"))
            taken.append(openings(*arguments) if quick else json.loads(_apart("openings", *arguments)))
    return {key: [one[key] for one in taken] for key in taken[0]}


def openings(folder: str, kept: str) -> dict[str, Any]:
    """Open a folder twice, and do with plain loops what cannot be left out.

    Args:
        folder: of images.
        kept: where gancli keeps what it decoded; empty.

    Returns:
        Files, and seconds: ``first`` and ``second`` opening; ``plain``: PIL decodes the files one by one; ``listed``:
        the files are listed with their sizes and times.
    """
    pixels.formats()  # Loads the readers of all formats, which is not the folder's cost.
    with mock.patch.dict(os.environ, GANCLI_CACHE=kept):
        return {
            "plain": timing.seconds(lambda: _decoded(folder)),
            "first": timing.seconds(lambda: load(folder)),
            "listed": timing.seconds(lambda: _listed(folder)),
            "second": timing.seconds(lambda: load(folder)),
            "files": len(load(folder).images),
        }


def _decoded(folder: str) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(Path(folder).rglob("*.jpg"))])


def _listed(folder: str) -> list[tuple[str, int, int]]:
    found = []
    for root, _, names in os.walk(folder):
        for name in names:
            about = os.stat(f"{root}/{name}")  # noqa: PTH116
            found.append((f"{root}/{name}", about.st_size, about.st_mtime_ns))
    return sorted(found)


def exponent(points: Sequence[Point], what: str, cost: str) -> float | None:
    """The slope of log(cost) over log(what): 0 is constant, 1 proportional; None where unknown."""
    known = [(math.log(point[what]), math.log(median(point[cost]))) for point in points if None not in point[cost]]
    return linear_regression(*zip(*known, strict=True)).slope if len(known) > 1 else None


def slower(points: Sequence[Point], cost: str) -> float:
    """How many times the first point's cost the last one's is: the median of their ratios within a run."""
    return median(last / first for first, last in zip(points[0][cost], points[-1][cost], strict=True))


def markdown(found: dict[str, Any]) -> str:
    """Protocol, a table a sweep, the folder."""
    side, batch = found["fixed"]["side"], found["fixed"]["batch"]
    return "\n\n".join(
        [
            _protocol(found),
            _table("side", found["side"], f"Pixels a side, in batches of {batch}"),
            _table("batch", found["batch"], f"Batch, {side}x{side}"),
            _table("count", found["count"], f"Images in the set, {side}x{side} in batches of {batch}"),
            _asked(found["count"]),
            _about_folder(found["folder"]),
        ]
    )


def _protocol(found: dict[str, Any]) -> str:
    return (
        f"`dcgan` (width {_width()}) on grey images of random bytes, memory-mapped from gancli's cache of decoded "
        "images. Each point is a process of its own, which trains for "
        f"{found['seconds']:g} seconds; medians of {len(found['count'][0]['train'])} runs through all points. "
        "*Loading* is the time for data: reading a batch, converting to float32 and scaling. Memory: the peak of the "
        "process and, at the end, its private memory and the memory-mapped files, which the system can reclaim. An "
        "exponent is the slope of a least-squares line through the logarithms: 0 is constant, 1 proportional."
    )


def _asked(points: Sequence[Point]) -> str:
    return (
        f"Target: private memory and the time per image are constant within {WITHIN:.0%}. Measured, the largest data "
        f"set relative to the smallest: training {_change(points, 'train')}, private memory {_change(points, 'own')}; "
        "the order of an epoch takes 8 bytes an image. All of these files fit into the machine's free memory. If a "
        "data set does not, an image that is not cached by the system is read from the disk."
    )


def _width() -> int:
    return catalogue.recipe_table("dcgan")["networks"]["generator"]["width"]


def _change(points: Sequence[Point], cost: str) -> str:
    return f"{slower(points, cost) - 1:+.1%}" if None not in points[0][cost] else "-"


def _table(what: str, points: Sequence[Point], title: str) -> str:
    lines = [
        f"| {title} | images/s | loading, µs/image | share | peak, MB | private, MB | mapped, MB |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for point in points:
        train, draw = median(point["train"]), median(point["draw"])
        sizes = " | ".join(_megabytes(point[key]) for key in ("peak", "own", "files"))
        lines.append(f"| {point[what]:,} | {1 / train:,.0f} | {draw * 1e6:.2f} | {draw / train:.2%} | {sizes} |")
    found = {key: exponent(points, what, key) for key in ("train", "draw", "peak", "own")}
    words = {"train": "seconds per image", "draw": "loading", "peak": "peak", "own": "private memory"}
    told = ", ".join(f"{words[key]} {'-' if slope is None else f'{slope:+.2f}'}" for key, slope in found.items())
    return "\n".join([*lines, "", f"Exponents: {told}."])


def _megabytes(values: Sequence[int | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known) / 1e6:,.0f}" if known else "-"


def _about_folder(folder: dict[str, Any]) -> str:
    if "absent" in folder:
        return f"Opening a folder of JPEGs: - ({folder['absent']})."
    lines = [
        f"Opening a folder of {folder['files'][0]:,} JPEGs of 32x32 that are cached by the system. The references: "
        f"decoding them one by one with PIL, and listing all with size and time. Medians of {len(folder['first'])}.",
        "",
        "| opening | seconds | reference | seconds | ratio |",
        "|---|---:|---|---:|---:|",
    ]
    for ours, theirs, words in (("first", "plain", "PIL one by one"), ("second", "listed", "listed")):
        ratio = timing.ratio(folder, ours, theirs)
        lines.append(f"| {ours} | {median(folder[ours]):.2f} | {words} | {median(folder[theirs]):.2f} | {ratio:.2f} |")
    return "\n".join(lines)
