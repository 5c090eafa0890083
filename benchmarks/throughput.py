"""Training images a second of gancli's trainer relative to the plain loop, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from benchmarks import plain
from gancli.runs import planning
from gancli.training.loop import Trainer

TITLE = "Training throughput"
PAIRS, SECONDS = 7, 2.0
MEDIAN, LEAST, PERCEPTRONS = 1.8, 1.4, 6.0
"""Gates: the median over convolutional models, each of them, and the multilayer perceptrons of GANs."""


def measure(quick: bool) -> dict[str, Any]:
    """Images a second of both sides for every case whose data are here.

    Args:
        quick: two models, two short pairs.
    """
    cases = (plain.Case("gan"), plain.Case("dcgan")) if quick else (*plain.GREY, *plain.COLOUR)
    return {
        "seconds": 0.1 if quick else SECONDS,
        "cases": {case.name: compare(case, quick) if case.place else {"absent": case.absent()} for case in cases},
    }


def compare(case: plain.Case, quick: bool, device: torch.device = plain.CPU, **training: Any) -> dict[str, Any]:
    """One case: both sides, pair after pair, the plain one with the number of loader workers that suits it best.

    Args:
        case: which one.
        quick: two short pairs.
        device: of both sides.
        training: values of gancli's recipe.
    """
    span, pairs = (0.1, 2) if quick else (SECONDS, PAIRS)
    made, dataset = plain.prepare(case, device)
    trainer = Trainer(made.with_values(training=training), dataset, device)
    images = planning.images_a_round(trainer)
    with plain.samples(case, made, dataset) as there:
        tried = {}
        for workers in plain.workers_to_try(quick):
            loop = plain.fresh(made, there, workers, device)
            tried[workers] = rate(loop.__next__, span, images, device)
            loop.close()
        best = max(tried, key=lambda workers: tried[workers])
        loop = plain.fresh(made, there, best, device)
        ours, theirs = [], []
        for _ in range(pairs):
            ours.append(rate(trainer.round, span, images, device))
            trainer.means()
            theirs.append(rate(loop.__next__, span, images, device))
        loop.close()
    return {
        "model": case.model,
        "batch": made.training.batch,
        "precision": made.training.precision,
        "workers": best,
        "tried": {str(workers): found for workers, found in tried.items()},
        "gancli": ours,
        "plain": theirs,
        "ratios": [one / other for one, other in zip(ours, theirs, strict=True)],
    }


def rate(step: Callable[[], object], span: float, images: int, device: torch.device = plain.CPU) -> float:
    """Images a second of a step that sees so many real images, over so many seconds.

    A tenth of the time goes before: what loader workers have prepared while they were not asked is used up then.
    """
    _spin(step, span / 10, device)
    start = time.perf_counter()
    rounds = _spin(step, span, device)
    return rounds * images / (time.perf_counter() - start)


def _spin(step: Callable[[], object], span: float, device: torch.device) -> int:
    """Call it until so many seconds are over and all is computed; how often that was."""
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < span:
        step()
        count += 1
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return count


def gates(cases: dict[str, Any]) -> dict[str, float | None]:
    """What the gates ask of: the median and the least ratio of convolutional models, the least of perceptrons."""
    ratios = {name: median(found["ratios"]) for name, found in cases.items() if "ratios" in found}
    convolutional = [ratio for name, ratio in ratios.items() if cases[name]["model"] in plain.CONVOLUTIONAL]
    perceptrons = [ratio for name, ratio in ratios.items() if cases[name]["model"] in ("gan", "mlp-gan")]
    return {
        "median": median(convolutional) if convolutional else None,
        "least": min(convolutional, default=None),
        "perceptrons": min(perceptrons, default=None),
    }


def markdown(found: dict[str, Any]) -> str:
    """Protocol, table, and how the figures stand to the gates."""
    lines = [
        "Real images a second that the discriminator (or the autoencoder) is trained on. The reference is the loop of "
        "the tutorials (`benchmarks/plain.py`): the same networks, losses, batches and number of updates; images one "
        "by one through ToTensor, Normalize and a DataLoader, with the fastest number of workers; float32, contiguous "
        "memory, plain Adam, both losses fetched after every step. In float64 both compute the same weights "
        f"(`tests/benchmarks/test_plain.py`). {found['seconds']:g} seconds of each in turn; the ratio is the median of "
        "the pairs, with minimum and maximum in brackets.",
        "",
        "| model | batch | gancli, images/s | plain, images/s | workers | ratio |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, case in found["cases"].items():
        if "absent" in case:
            lines.append(f"| {name} | - | - | - | - | - ({case['absent']}) |")
            continue
        ours, theirs = (median(case[side]) for side in ("gancli", "plain"))
        ratios = case["ratios"]
        lines.append(
            f"| {name} | {case['batch']} | {ours:,.0f} ({case['precision']}) | {theirs:,.0f} | {case['workers']} "
            f"| **{median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    reached = gates(found["cases"])
    return "\n".join([*lines, "", *_sentences(reached)])


def _sentences(reached: dict[str, float | None]) -> list[str]:
    asked = {
        "median": f"a median of at least {MEDIAN} for convolutional models",
        "least": f"none of them below {LEAST}",
        "perceptrons": f"at least {PERCEPTRONS:g} for `gan` and `mlp-gan`",
    }
    parts = [
        f"{words} (measured: {'-' if (v := reached[key]) is None else f'{v:.2f}'})" for key, words in asked.items()
    ]
    return [f"Targets: {'; '.join(parts)}."]
