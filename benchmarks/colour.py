"""Quality in colour: ``gancli train FOLDER``, the model ``quick``, and the tutorials' DCGAN, in turn.

A minute is a minute of a quiet machine. What an update takes is measured first, for all sides of a data set in turn,
with nothing else running; a training then does as many updates as fit its minutes. So it may share the machine with
other work, and what it finds can be repeated.

It takes many hours and is split over many calls: each pace, and each piece, a training and its evaluation, is stored as
soon as it has run, with its machine and date, and a call goes on with what is missing. Nothing new begins after
``$GANCLI_BENCHMARK_MINUTES``; ``$GANCLI_BENCHMARK_PIECES`` (such as ``emoji`` or ``emoji-default-0``) chooses pieces by
the beginning of their names, and ``paces`` measures those alone. Images and trainings lie in
``$GANCLI_BENCHMARK_WORK`` (default ``benchmarks/.work``).
"""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.datasets import ImageFolder

import gancli
from benchmarks import tutorial
from benchmarks.timing import machine
from gancli import checkpoint
from gancli.data import Dataset, load, paths
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.subjects import Pictures, Subject, as_subject
from gancli.rendering.images import save_grid
from gancli.runs.folder import METRICS_FILE
from gancli.runs.metrics_log import read_metrics
from gancli.zoo import catalogue

TITLE = "Quality in colour"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
METRICS = ("fid", "kid", "precision", "recall", "coverage", "memorisation")
SHOWN, COLUMNS = 32, 8
"""Images of a grid in the page."""


@dataclass(frozen=True)
class Images:
    """A data set.

    Attributes:
        train: its training images, a folder or zip under ``$GANCLI_DATA``.
        test: held-out images; empty where a tenth of the training images is held out, whole ``groups`` at a time.
        side: pixels a side.
        labelled: whether it has classes.
        count: images of an evaluation; None for as many as half of the training images.
    """

    train: str
    test: str
    side: int
    labelled: bool
    count: int | None = None


SETS = {
    "emoji": Images("noto-emoji-72", "", 64, labelled=False),
    "clothing": Images("clothing-128/train", "clothing-128/test", 64, labelled=True),
    "cifar": Images("cifar10-jpg-train.zip", "cifar10-jpg-test.zip", 32, labelled=True, count=5_000),
}


@dataclass(frozen=True)
class Side:
    """What is trained.

    Attributes:
        title: in the page.
        command: what ``gancli train FOLDER`` is given besides; None for the plain loop.
        told: whether it is told the classes where there are any.
    """

    title: str
    command: tuple[str, ...] | None
    told: bool


SIDES = {
    "default": Side("`gancli train`, unconditional", ("--set", "latent.classes=0"), told=False),
    "dcgan": Side("tutorials' DCGAN, unconditional", None, told=False),
    "quick": Side("`--model quick`, the former default", ("--model", "quick"), told=True),
    "default-told": Side("`gancli train`, class-conditional", (), told=True),
    "dcgan-told": Side("tutorials' DCGAN, class-conditional", None, told=True),
}


@dataclass(frozen=True)
class Piece:
    """A training up to a number of minutes, and its evaluation."""

    data: str
    side: str
    seed: int
    minutes: float

    @property
    def name(self) -> str:
        """As the figures call it."""
        return f"{self.data}-{self.side}-{self.seed}-{self.minutes:g}"


def pieces() -> list[Piece]:
    """All of them: short trainings first, and those of all sides in turn."""
    budgets = [(15.0, seed) for seed in (0, 1, 2)] + [(60.0, 0)]
    return [Piece(data, side, seed, minutes) for minutes, seed in budgets for data in SETS for side in sides(data)]


def sides(data: str) -> list[str]:
    """Those that train on a data set: told classes only where there are any."""
    return [side for side in SIDES if SETS[data].labelled or not side.endswith("-told")]


QUICK = [Piece("emoji", side, 0, 0.001) for side in ("default", "dcgan")]


def measure(quick: bool, before: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Go on with what is not done yet; all that is done, after every piece.

    Args:
        quick: a few images and an instant of training, in a temporary folder.
        before: what earlier calls found.
    """
    stored = None if quick else before
    points, paces = ([], {}) if stored is None else (list(stored["points"]), dict(stored["paces"]))
    if place(SETS["emoji"].train) is None:
        yield {"absent": "the images are not under $GANCLI_DATA"}
        return
    allowed, start = float(os.environ.get("GANCLI_BENCHMARK_MINUTES", "inf")), time.perf_counter()
    chosen = os.environ.get("GANCLI_BENCHMARK_PIECES", "")
    waiting = [piece for piece in (QUICK if quick else pieces()) if chosen == "paces" or piece.name.startswith(chosen)]
    with TemporaryDirectory() as temporary:
        default = Path(__file__).parent / ".work"
        work = Path(temporary if quick else os.environ.get("GANCLI_BENCHMARK_WORK", default)) / "colour"
        for data in dict.fromkeys(piece.data for piece in waiting):
            if data not in paces:
                print(f"  paces of {data}", file=sys.stderr, flush=True)
                paces[data] = {"seconds": pace(data, work, quick), "machine": machine()}
                yield found(points, paces)
        for piece in () if chosen == "paces" else waiting:
            if piece.name in {point["name"] for point in points}:
                continue
            if (time.perf_counter() - start) / 60 >= allowed:
                break
            print(f"  {piece.name}", file=sys.stderr, flush=True)
            updates = max(1, round(60 * piece.minutes / paces[piece.data]["seconds"][piece.side]))
            points.append({"name": piece.name, **vars(piece), **run(piece, updates, work, quick), "machine": machine()})
            yield found(points, paces)
    yield found(points, paces)


def found(points: list[dict[str, Any]], paces: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored."""
    missing = len({piece.name for piece in pieces()} - {point["name"] for point in points})
    minutes = sum(point["seconds"] for point in points) / 60
    return {"points": points, "paces": paces, "missing": missing, "minutes": minutes}


def pace(data: str, work: Path, quick: bool) -> dict[str, float]:
    """Seconds an update of each side, each the median of three measurements in turn, without starting and ending."""
    folder = prepared(SETS[data], work / "images" / data, most=FEW if quick else None)
    found: dict[str, list[float]] = {side: [] for side in sides(data)}
    for _ in range(1 if quick else PACES):
        for side, times in found.items():
            measured = pace_gancli if SIDES[side].command is not None else pace_plain
            times.append(measured(data, side, folder, quick))
    return {side: median(times) for side, times in found.items()}


PACES, PACE_SECONDS = 3, 20
FEW = 2 * tutorial.BATCH
"""Images of each split when it is only tried."""


def pace_gancli(data: str, side: str, folder: Path, quick: bool) -> float:
    """Seconds an update at the beginning of a long training, since a short one draws as many previews."""
    with TemporaryDirectory() as temporary:
        out = Path(temporary) / "run"
        budget = ("--rounds", "3") if quick else ("--minutes", "15")
        training = subprocess.Popen(gancli_command(side, folder, out, 0, *budget), stdout=subprocess.DEVNULL)
        while training.poll() is None:
            if (rows := read_metrics(out / METRICS_FILE)) and rows[-1]["seconds"] >= PACE_SECONDS:
                training.send_signal(signal.SIGINT)
                training.wait()
            time.sleep(0.2)
        rows = read_metrics(out / METRICS_FILE)
    first, last = (rows[0] if len(rows) > 1 else {"round": 0, "seconds": 0.0}), rows[-1]
    return (last["seconds"] - first["seconds"]) / (last["round"] - first["round"])


def pace_plain(data: str, side: str, folder: Path, quick: bool) -> float:
    """Seconds an update of the plain loop, which leaves out its first."""
    training = tutorial.Tutorial(0, 64, 0, plain_images(folder / "train", SETS[data], SIDES[side].told))
    training.train(0.001 if quick else PACE_SECONDS)
    return training.seconds / (training.steps - 1)


def run(piece: Piece, updates: int, work: Path, quick: bool) -> dict[str, Any]:
    """Train for so many updates, evaluate, and keep a grid of images."""
    images = SETS[piece.data]
    folder = prepared(images, work / "images" / piece.data, most=FEW if quick else None)
    train = train_gancli if SIDES[piece.side].command is not None else train_plain
    subject, told = train(piece, updates, folder, work)
    count = 32 if quick else images.count
    report = evaluate(subject, str(folder), METRICS, count)
    figures = {result.metric: {"value": result.value, "floor": result.floor} for result in report.results}
    checked = evaluate(subject, str(folder), ["fid"], count, extractor="imagenet-lite2" if not quick else None)
    lite2 = checked.results[0]
    if piece.seed == 0 and not quick:
        shown = torch.cat(list(subject.images(range(SHOWN), SHOWN)))
        save_grid(shown, PICTURES / f"colour-{piece.data}-{piece.side}-{piece.minutes:g}.png", columns=COLUMNS, scale=1)
    return {
        **told,
        "figures": figures,
        "lite2": {"value": lite2.value, "floor": lite2.floor},
        "images": report.protocol.generated_images,
        "load": os.getloadavg()[0],
    }


# The images, which both sides read as PNG.


def place(name: str) -> Path | None:
    """Where a folder or zip lies under ``$GANCLI_DATA``."""
    return next((folder / name for folder in paths.search_folders() if (folder / name).exists()), None)


def prepared(images: Images, folder: Path, most: int | None) -> Path:
    """A folder of PNG files, of the size that is trained on, in ``train`` and ``test``.

    Args:
        images: which ones.
        folder: for them.
        most: images of each split; None for all.
    """
    if not (folder / "done").exists():
        parts = {"train": _read(images.train, images.side), "test": _read(images.test, images.side)}
        if not images.test:
            held = held_out(images.train)
            whole = parts["train"].images
            parts = {"train": whole[~held], "test": whole[held]}
        for split, part in parts.items():
            _write(part, folder / split, most)
        (folder / "done").touch()
    return folder


def _read(name: str, side: int) -> Any:
    found = place(name) if name else None
    return load(str(found), size=(side, side), channels=3) if found else None


def _write(part: Dataset | Tensor, folder: Path, most: int | None) -> None:
    pixels = part if isinstance(part, Tensor) else part.images
    labels = None if isinstance(part, Tensor) else part.labels
    names = ("images",) if isinstance(part, Tensor) else part.classes
    for number, image in enumerate(pixels[:most]):
        inner = folder / names[0 if labels is None else int(labels[number])] if labels is not None else folder
        inner.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(inner / f"{number:06}.png")


def held_out(train: str) -> Tensor:
    """Which emoji are held out, bool (N,): every tenth of the first code points that file names tell, with all skin
    tones and combinations that begin with it."""
    folder = place(train)
    assert folder is not None
    first = [path.stem.removeprefix("emoji_u").split("_")[0] for path in sorted(folder.glob("*.png"))]
    number = {code: at for at, code in enumerate(sorted(set(first)))}
    return torch.tensor([number[code] % 10 == 0 for code in first])


# The two kinds of training.


def train_gancli(piece: Piece, updates: int, folder: Path, work: Path) -> tuple[Subject, dict[str, Any]]:
    """The command, from its start to its end."""
    out = work / piece.name
    command = gancli_command(piece.side, folder, out, piece.seed, "--rounds", str(updates))
    seconds, cpu = clocked(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    header = checkpoint.read_header(out / catalogue.STATE_FILE)
    seen = header["rounds"] * header["recipe"]["training"]["batch"]
    times = {"seconds": seconds, "cpu": cpu, "updates": header["rounds"], "seen": seen}
    return as_subject(gancli.load(str(out))), times


def gancli_command(side: str, folder: Path, out: Path, seed: int, *budget: str) -> list[str]:
    """The command that trains a side of the comparison."""
    command = [sys.executable, "-m", "gancli", "train", str(folder), "--quiet", "--out", str(out)]
    return [*command, "--seed", str(seed), *budget, *(SIDES[side].command or ())]


def clocked(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds that something takes, and seconds of CPU of the processes that it starts."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def train_plain(piece: Piece, updates: int, folder: Path, work: Path) -> tuple[Subject, dict[str, Any]]:
    """The plain loop, from where an earlier piece of the same training ended."""
    path = work / f"{piece.data}-{piece.side}-{piece.seed}.safetensors"
    images, told = SETS[piece.data], SIDES[piece.side].told
    training = tutorial.Tutorial(piece.seed, 64, 0, plain_images(folder / "train", images, told))
    if path.exists():
        training.load(path)
    cpu = time.process_time()
    training.train(math.inf, updates)
    training.save(path)
    cpu = time.process_time() - cpu
    times = {
        "seconds": training.seconds,
        "cpu": cpu,
        "updates": training.steps,
        "seen": training.steps * tutorial.BATCH,
    }
    return Pictures(piece.name, training.sample(5_000)), times


def plain_images(folder: Path, images: Images, told: bool) -> tutorial.Images:
    """A folder as torchvision reads it, image by image."""
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
    # A folder without classes is the one class of the folder above it, which has no other inside "train".
    data = ImageFolder(str(folder if images.labelled else _alone(folder)), steps)
    labels = torch.tensor(data.targets) if told else None
    return tutorial.Images(data, 3, images.side, len(data.classes) if told else 0, labels)


def _alone(folder: Path) -> Path:
    """A folder whose only class is this folder."""
    outer = folder.parent.with_name(f"{folder.parent.name}-plain")
    outer.mkdir(exist_ok=True)
    if not (outer / folder.name).exists():
        (outer / folder.name).symlink_to(folder, target_is_directory=True)
    return outer


# What is shown.

PROTOCOL = (
    "Emoji (googlefonts/noto-emoji, OFL, a tenth of the code points held out) and photographs of clothing "
    "(alexeygrigorev/clothing-dataset-small, CC0, ten classes) at 64x64, CIFAR-10 (as JPEG, so that its figures "
    "compare with each other only) at 32x32, all read from folders of PNG. Minutes are those of a quiet machine with "
    "two threads: seconds an update were measured first, all in turn with nothing else running (median of three), and "
    "each training did as many updates as fit. It shared the machine with other work.",
    "",
    "`quick`, the former default, is class-conditional where there are classes. The DCGAN is that of PyTorch's "
    "tutorial at its usual width of 64, with one layer more at 64x64, in the plain loop of `benchmarks/plain.py`; "
    "class-conditional, it gets an embedding beside the latents and planes beside the images. FID's excess is what "
    "lies above its floor, the FID of as many real images, by `imagenet`; `imagenet-lite2` confirms. Medians, with "
    "each seed in brackets.",
)


def markdown(found: Mapping[str, Any]) -> str:
    """A table and grids for each data set."""
    if "absent" in found:
        return f"Not measured: {found['absent']}."
    lines = [*PROTOCOL]
    for data in SETS:
        points = [point for point in found["points"] if point["data"] == data]
        for minutes in sorted({point["minutes"] for point in points}):
            lines += ["", *table([point for point in points if point["minutes"] == minutes], data, minutes)]
    if found["missing"]:
        lines += ["", f"Not measured yet: {found['missing']} trainings."]
    return "\n".join(lines)


def excess(point: Mapping[str, Any], by: str = "imagenet") -> float:
    """What of a FID lies above its floor."""
    found = point["figures"]["fid"] if by == "imagenet" else point["lite2"]
    return found["value"] - found["floor"]


def table(points: list[dict[str, Any]], data: str, minutes: float) -> Iterator[str]:
    """Figures of one data set after so many minutes, one row a side, and grids."""
    floor = points[0]["figures"]["fid"]["floor"]
    yield f"### {data}, {minutes:g} minutes"
    yield ""
    yield f"{points[0]['images']:,} images on both sides; the floor of FID is {floor:.3g}."
    yield ""
    yield "| | updates | images | FID's excess | by `lite2` | KID | precision | recall | coverage | memorisation |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    groups = {side: [point for point in points if point["side"] == side] for side in SIDES}
    for side, same in groups.items():
        if same:
            cells = [f"{median(point[key] for point in same):,.0f}" for key in ("updates", "seen")]
            cells += [told([excess(point, by) for point in same]) for by in ("imagenet", "lite2")]
            for name in METRICS[1:]:
                values = [point["figures"][name]["value"] for point in same if name in point["figures"]]
                cells.append(told(values) if values else "-")
            yield f"| {SIDES[side].title} | {' | '.join(cells)} |"
    drawn = [side for side, same in groups.items() if any(point["seed"] == 0 for point in same)]
    yield ""
    yield f"| {' | '.join(SIDES[side].title for side in drawn)} |"
    yield f"|{'---|' * len(drawn)}"
    yield f"| {' | '.join(f'![{data}, {side}](pictures/colour-{data}-{side}-{minutes:g}.png)' for side in drawn)} |"


def told(values: list[float]) -> str:
    """The median, and each where there are several."""
    each = f" ({', '.join(short(value) for value in values)})" if len(values) > 1 else ""
    return f"{short(median(values))}{each}"


def short(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
