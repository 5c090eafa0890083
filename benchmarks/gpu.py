"""Training on a GPU: speed relative to the plain loop, and the share of the time in which kernels run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from math import inf
from statistics import median
from typing import Any

import torch

from benchmarks import plain
from benchmarks.throughput import compare
from gancli.training.loop import Trainer

TITLE = "On a GPU"
RATIO, BUSY = 15.0, 0.9
"""Gates: times the plain loop's images a second, and the share of the time that kernels run."""
CASE = plain.Case("dcgan")
WAYS: dict[str, dict[str, Any]] = {"one by one": {}, "recorded": {"cuda_graphs": True}}
"""How kernels are started, and what a recipe's training says for it."""


def measure(quick: bool) -> dict[str, Any]:
    """Both sides in turn and the share of busy time; nothing without a GPU or without MNIST.

    Args:
        quick: two short pairs.
    """
    if not torch.cuda.is_available():
        return {"gpu": None}
    if CASE.place is None:
        return {"gpu": torch.cuda.get_device_name(), "absent": CASE.absent()}
    device = torch.device("cuda", 0)
    made, dataset = plain.prepare(CASE, device)
    ways = {}
    for name, training in WAYS.items():
        found = compare(CASE, quick, device, **training)
        trainer = Trainer(made.with_values(training=training), dataset, device)
        ways[name] = {**found, "busy": busy(trainer, quick)}
    return {"gpu": torch.cuda.get_device_name(), "ways": ways}


def busy(trainer: Trainer, quick: bool) -> float:
    """Share of the time in which kernels and copies run, while several hundred rounds are trained."""
    for _ in range(5 if quick else 50):
        trainer.round()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        start = time.perf_counter()
        for _ in range(20 if quick else 300):
            trainer.round()
        torch.cuda.synchronize()
        took = time.perf_counter() - start
    kernels = [
        (event.time_range.start, event.time_range.end)
        for event in profiler.events() or ()
        if event.device_type == torch.autograd.DeviceType.CUDA and not event.is_user_annotation
    ]
    return covered(kernels) / 1e6 / took


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of spans, each (start, end)."""
    total, reached = 0.0, -inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def markdown(found: dict[str, Any]) -> str:
    """The two figures, or how to measure them."""
    if found["gpu"] is None:
        return "No GPU was at hand. On a machine with one, `uv run python -m benchmarks gpu` measures this."
    if "absent" in found:
        return f"Not measured: {found['absent']}."
    some = next(iter(found["ways"].values()))
    lines = [
        f"Training images a second of `dcgan` on MNIST (batch {some['batch']}), gancli's trainer and the plain loop on "
        f"the same {found['gpu']}, in turn; the plain loop with the fastest number of loader workers. "
        "*Recorded*: with `--set training.cuda_graphs=true`.",
        "",
        "| kernels started | gancli, images/s | plain, images/s | workers | ratio | busy |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, way in found["ways"].items():
        ours, theirs = (median(way[side]) for side in ("gancli", "plain"))
        ratios = way["ratios"]
        spread = f"**{median(ratios):.1f}** ({min(ratios):.1f} to {max(ratios):.1f})"
        cells = [name, f"{ours:,.0f} ({way['precision']})", f"{theirs:,.0f}", str(way["workers"]), spread]
        lines.append(f"| {' | '.join(cells)} | {way['busy']:.0%} |")
    lines += [
        "",
        "Busy is the share of the time in which the GPU's kernels run, by PyTorch's profiler. "
        f"Target: a ratio of at least {RATIO:g}, and {BUSY:.0%} busy.",
    ]
    return "\n".join(lines)
