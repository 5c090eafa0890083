"""FID against seconds of training: ``gancli train mnist`` and the tutorials' DCGAN in the plain loop, in turn.

It takes hours and can be split over several calls. Finished parts are stored in ``$GANCLI_BENCHMARK_WORK`` (default
``benchmarks/.work``), each call continues from them, and starts nothing new after ``$GANCLI_BENCHMARK_MINUTES``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torchvision.transforms.functional import resize

import gancli
from benchmarks import plain, tutorial
from benchmarks.throughput import rate
from gancli import checkpoint, files
from gancli.data import load
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.reference import some
from gancli.evaluation.subjects import Pictures
from gancli.zoo import catalogue

TITLE = "Quality against time"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "quality.png"
SIDES = {"gancli": "gancli train mnist", "plain": "the tutorials' DCGAN, plain loop"}


@dataclass(frozen=True)
class Plan:
    """What is trained, and when it is evaluated.

    Attributes:
        budgets: minutes of each training by gancli, which begins anew for each.
        marks: minutes at which the plain training, one for all marks, is judged.
        seeds: of both.
        images: on both sides of an FID.
        longest: minutes that a training goes on before it is another's turn.
        trial: seconds that each number of loader workers is tried.
        width: channels of the plain networks next to the image.
    """

    budgets: tuple[float, ...] = (0.25, 1, 5)
    marks: tuple[float, ...] = (0.25, 0.5, 1, 2, 5, 10, 20, 30, 60)
    seeds: tuple[int, ...] = (0, 1, 2)
    images: int = 10_000
    longest: float = 5
    trial: float = 5
    width: int = 64


QUICK = Plan(budgets=(0.001,), marks=(0.001, 0.002), seeds=(0,), images=50, longest=0.001, trial=0.1, width=4)


@dataclass(frozen=True)
class Piece:
    """A training's next few minutes.

    Attributes:
        side: a key of :data:`SIDES`.
        seed: of the training.
        minutes: how long the training has gone on at the end of this piece.
        judged: whether the model is judged then.
    """

    side: str
    seed: int
    minutes: float
    judged: bool = True

    @property
    def name(self) -> str:
        """Of the file with what was found."""
        return f"{self.side}-{self.seed}-{self.minutes:g}"


def pieces(plan: Plan) -> list[Piece]:
    """All of them, those of both sides and of all seeds in turn, by the length of the training."""
    stops = dict.fromkeys(plan.marks, True)
    for number in range(1, int(max(plan.marks) / plan.longest) + 1):
        stops.setdefault(number * plan.longest, False)
    found = [Piece("gancli", seed, minutes) for seed in plan.seeds for minutes in plan.budgets]
    found += [Piece("plain", seed, minutes, judged) for seed in plan.seeds for minutes, judged in stops.items()]
    return sorted(found, key=lambda piece: (piece.minutes, piece.seed, piece.side))


def measure(quick: bool) -> dict[str, Any]:
    """Go on with what is not done yet, and return all that is.

    Args:
        quick: networks of four channels, trained for an instant, by 50 images, in a temporary folder.
    """
    if plain.Case("quick").place is None:
        return {"absent": plain.Case("quick").absent()}
    allowed = float(os.environ.get("GANCLI_BENCHMARK_MINUTES", "inf"))
    plan, start = QUICK if quick else Plan(), time.perf_counter()
    with ExitStack() as stack:
        if quick:
            folder = Path(stack.enter_context(TemporaryDirectory()))
        else:
            folder = Path(os.environ.get("GANCLI_BENCHMARK_WORK", Path(__file__).parent / ".work")) / "quality"
        folder.mkdir(parents=True, exist_ok=True)
        workers = remembered(folder / "workers.json", lambda: try_workers(plan, quick))
        real = remembered(folder / "real.json", lambda: resized(plan.images))
        for piece in pieces(plan):
            if (time.perf_counter() - start) / 60 >= allowed:
                break
            remembered(
                folder / f"{piece.name}.json", lambda piece=piece: WORK[piece.side](folder, plan, piece, workers)
            )
        found = [
            json.loads(path.read_text()) for piece in pieces(plan) if (path := folder / f"{piece.name}.json").exists()
        ]
    judged = [each for each in found if "fid" in each]
    result = {
        "images": plan.images,
        "workers": workers["best"],
        "tried": workers["tried"],
        "real": real,
        "missing": len(pieces(plan)) - len(found),
        "points": judged,
    }
    if judged and not quick:
        draw(result, PICTURE)
    ends = {(each["side"], each["seed"], each["minutes"] if each["side"] == "gancli" else 0): each for each in found}
    return {**result, "minutes": sum(each["seconds"] for each in ends.values()) / 60}


def remembered(path: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a work found, now or in an earlier call."""
    if not path.exists():
        print(f"  {path.stem}", file=sys.stderr, flush=True)
        found = work()
        with files.atomic(path) as temporary:
            temporary.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


# The two sides.


def train_gancli(folder: Path, plan: Plan, piece: Piece, workers: dict[str, Any]) -> dict[str, Any]:
    """The command, from its start to its end, and what its model is worth."""
    out = folder / piece.name
    whole, start = not out.exists(), time.perf_counter()
    command = [sys.executable, "-m", "gancli", "train", "mnist", "--quiet", "--out", str(out)]
    command += ["--minutes", f"{piece.minutes:g}", "--seed", str(piece.seed)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - start
    header = checkpoint.read_header(out / catalogue.STATE_FILE)
    figures = judge(gancli.load(str(out)), plan.images)
    times = {"seconds": header["seconds"], "command": took if whole else None}
    return {**vars(piece), **times, "images": header["rounds"] * header["recipe"]["training"]["batch"], **figures}


def train_plain(folder: Path, plan: Plan, piece: Piece, workers: dict[str, Any]) -> dict[str, Any]:
    """The plain loop's next minutes, and what its generator is worth then."""
    training = tutorial.Tutorial(piece.seed, plan.width, workers["best"], tutorial.mnist())
    path = folder / f"plain-{piece.seed}.safetensors"
    if path.exists():
        training.load(path)
    training.train(60 * piece.minutes)
    training.save(path)
    times = {"seconds": training.seconds, "images": training.steps * tutorial.BATCH}
    figures = judge(Pictures("plain", training.sample(plan.images)), plan.images) if piece.judged else {}
    return {**vars(piece), **times, **figures}


WORK = {"gancli": train_gancli, "plain": train_plain}


def judge(subject: Any, images: int) -> dict[str, Any]:
    """FID with its floor, and how readable the images are. Other sizes go through the evaluation's own resizing."""
    found = evaluate(subject, "mnist", ["fid"], images)
    result = found.results[0]
    sides = {"": found.generated, "real_": found.real}
    shares = {f"{side}confident": readout.confident for side, readout in sides.items()}
    shares |= {f"{side}least_class": min(readout.classes) for side, readout in sides.items()}
    return {"fid": result.value, "floor": result.floor, **shares}


def resized(count: int) -> dict[str, Any]:
    """What training images get that were brought to 32x32 as the tutorial does, and back as its fakes are."""
    parts, _ = some(load("mnist").images, count)
    large = torch.cat([resize(part, [tutorial.SIDE] * 2, antialias=True) for part in parts])
    return judge(Pictures("resized", large), count)


def try_workers(plan: Plan, quick: bool) -> dict[str, Any]:
    """Images a second of the plain loop for numbers of loader workers."""
    tried = {}
    for workers in plain.workers_to_try(quick):
        loop = tutorial.Tutorial(0, plan.width, workers, tutorial.mnist()).loop()
        tried[str(workers)] = rate(loop.__next__, plan.trial, tutorial.BATCH)
        loop.close()
    return {"best": int(max(tried, key=lambda workers: tried[workers])), "tried": tried}


# What is shown.


def by_time(points: list[dict[str, Any]], side: str) -> Iterator[tuple[float, list[dict[str, Any]]]]:
    """The points of one side by their minutes, of all seeds together."""
    for minutes in sorted({point["minutes"] for point in points if point["side"] == side}):
        yield minutes, [point for point in points if point["side"] == side and point["minutes"] == minutes]


def draw(found: dict[str, Any], path: Path) -> None:
    """FID by seconds, both by their logarithms: each seed a dot, the medians a line, and what real images get."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for side, colour, style in (("gancli", "#0072B2", "-"), ("plain", "#D55E00", "--")):
        groups = [same for _, same in by_time(found["points"], side)]
        for same in groups:
            panel.plot([p["seconds"] for p in same], [p["fid"] for p in same], "o", color=colour, alpha=0.35, ms=4)
        middle = [[median(p[key] for p in same) for same in groups] for key in ("seconds", "fid")]
        panel.plot(*middle, style, color=colour, marker="o", label=SIDES[side])
    floors = {
        "training images": found["points"][0]["floor"],
        "training images, to 32x32 and back": found["real"]["fid"],
    }
    for (label, floor), style in zip(floors.items(), (":", "-."), strict=True):
        panel.axhline(floor, color="0.5", linestyle=style, linewidth=1, label=label)
    panel.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="FID (mnist-cnn)")
    shown = [seconds for seconds in (15, 30, 60, 120, 300, 600, 1200, 1800, 3600) if seconds <= panel.get_xlim()[1]]
    panel.set_xticks(shown, [str(seconds) for seconds in shown])
    panel.set_xticks([], minor=True)
    panel.grid(color="0.9", linewidth=0.8, which="both")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def markdown(found: dict[str, Any]) -> str:
    """Protocol, picture, a table of FIDs, and one of what is readable at a quarter of a minute."""
    if "absent" in found:
        return f"Not measured: {found['absent']}."
    points = found["points"]
    lines = [
        f"FID by gancli's `mnist-cnn` features ({found['images']:,} images on both sides) against the training time on "
        "MNIST. One side is the command `gancli train mnist --minutes N` with its default model `quick`, which is told "
        "the labels, one training for each budget, because its learning rates decay towards the end. The other is the "
        "DCGAN of PyTorch's tutorial, which is not, at its usual width of 64, on images resized to 32x32, in the plain "
        "loop of `benchmarks/plain.py` "
        f"with {found['workers']} loader workers, the fastest number; the evaluation resizes its images to 28x28. Both "
        "train on the same machine in turn. A training's clock stops while another trains and during evaluations; that "
        "of the plain loop starts after its first step. Medians, with each seed in brackets.",
        "",
        "![FID against seconds of training](pictures/quality.png)",
        "",
        "| minutes | gancli | plain |",
        "|---:|---:|---:|",
    ]
    sides = {side: dict(by_time(points, side)) for side in SIDES}
    for minutes in sorted({point["minutes"] for point in points}):
        cells = [_fids(sides[side].get(minutes, [])) for side in SIDES]
        lines.append(f"| {minutes:g} | {' | '.join(cells)} |")
    floor = points[0]["floor"] if points else None
    lines += [
        "",
        f"Training images have a FID of {_number(floor)}, and of {found['real']['fid']:.3g} when they are resized to "
        "32x32 and back as on the plain side.",
    ]
    lines += ["", *(sentence for sentence in _reached(sides) if sentence)]
    lines += ["", *_readable(sides)]
    if found["missing"]:
        lines += ["", f"Not measured yet: {found['missing']} points of the trainings."]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _fids(same: list[dict[str, Any]]) -> str:
    if not same:
        return "-"
    each = ", ".join(f"{point['fid']:.3g}" for point in same)
    return f"**{median(point['fid'] for point in same):.3g}** ({each})"


def _reached(sides: dict[str, dict[float, list[dict[str, Any]]]]) -> Iterator[str]:
    """When the plain side is as good as gancli after each of its budgets."""
    if not sides["plain"]:
        return
    theirs = {minutes: median(point["fid"] for point in same) for minutes, same in sides["plain"].items()}
    for minutes, same in sides["gancli"].items():
        fid = median(point["fid"] for point in same)
        when = next((f"reaches it at {mark:g} minutes" for mark, value in theirs.items() if value <= fid), None)
        when = when or f"does not reach it within {max(theirs):g} minutes"
        yield f"- gancli's FID after {minutes:g} min ({fid:.3g}): the plain side {when}."


def _readable(sides: dict[str, dict[float, list[dict[str, Any]]]]) -> Iterator[str]:
    """Confidence and class balance of the images of the shortest training."""
    first = {side: next(iter(groups.items())) for side, groups in sides.items() if groups}
    yield "Images after the shortest training, as the extractor classifies them:"
    yield ""
    yield "| | seconds | confident (above 0.9) | least frequent class |"
    yield "|---|---:|---:|---:|"
    for side, (_, same) in first.items():
        seconds, confident, least = (median(p[key] for p in same) for key in ("seconds", "confident", "least_class"))
        yield f"| {SIDES[side]} | {seconds:.1f} | {confident:.1%} | {least:.1%} |"
    if first:
        real = next(iter(first.values()))[1][0]
        yield f"| held-out images | - | {real['real_confident']:.1%} | {real['real_least_class']:.1%} |"
