"""Training on a GPU: over the plain loop on the same one, and how much of the time it is busy."""

from __future__ import annotations

import time
from collections.abc import Iterable
from math import inf
from statistics import median
from typing import Any

import torch

from benchmarks import plain
from benchmarks.throughput import compare
from gancli.training.trainer import Trainer

TITLE = "On a GPU"
RATIO, BUSY = 15.0, 0.9
"""Gates: times the plain loop's images a second, and the share of the time that kernels run."""
CASE = plain.Case("dcgan")


def measure(quick: bool) -> dict[str, Any]:
    """Both sides in turn and the share of busy time; nothing without a GPU or without MNIST.

    Args:
        quick: two short pairs.
    """
    if not torch.cuda.is_available():
        return {"gpu": None}
    if CASE.place is None:
        return {"gpu": torch.cuda.get_device_name(), "absent": CASE.absent()}
    device = torch.device("cuda")
    found = compare(CASE, quick, device)
    made, dataset = plain.prepare(CASE, device)
    return {"gpu": torch.cuda.get_device_name(), **found, "busy": busy(Trainer(made, dataset, device), quick)}


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
    ours, theirs = (median(found[side]) for side in ("gancli", "plain"))
    ratios = found["ratios"]
    return "\n".join(
        [
            f"Training images a second of `dcgan` on MNIST (batch {found['batch']}), gancli's trainer and the plain "
            f"loop on the same {found['gpu']}, in turn; the plain loop with {found['workers']} loader workers, its "
            "best number.",
            "",
            "| gancli, images/s | plain, images/s | ratio | busy |",
            "|---:|---:|---:|---:|",
            f"| {ours:,.0f} ({found['precision']}) | {theirs:,.0f} | **{median(ratios):.1f}** ({min(ratios):.1f} to "
            f"{max(ratios):.1f}) | {found['busy']:.0%} |",
            "",
            "Busy is the time that the GPU's kernels run as a share of the time that goes by, by PyTorch's profiler. "
            f"What is asked: a ratio of at least {RATIO:g}, and {BUSY:.0%} busy.",
        ]
    )
