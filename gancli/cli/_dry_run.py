"""What ``gancli train --dry-run`` prints: a recipe that can be saved and used, with the rest in its comments."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from gancli.cli import _start
from gancli.library.progress import clock, rate

if TYPE_CHECKING:
    import torch

    from gancli.data import Dataset
    from gancli.library.request import Checked
    from gancli.recipe import Recipe
    from gancli.runs.periodic_evaluation import Settings
    from gancli.runs.planning import Plan


def explain(checked: Checked, made: Plan, dataset: Dataset) -> None:
    """Print the resolved recipe, and what training it takes on this machine."""
    from gancli.runs.previews import FRAMES

    recipe, measured = made.recipe, made.measurement
    assert measured is not None
    rounds = recipe.training.rounds or 1
    numbers = dataset.formula is not None
    contents = f"{dataset.count:,} images {tuple(dataset.images.shape[1:])}"
    if numbers:
        contents = f"{dataset.images.shape[-1]} numbers per sample, drawn anew for every batch"
    if dataset.held_out is not None and dataset.divided is not None:
        contents += (
            f"; {dataset.held_out.count:,} others are held out, in {dataset.divided.groups:,} groups of near-duplicates"
        )
    shown = rounds * measured.images
    epochs = "" if numbers else f", {shown / dataset.count:,.1f} epochs"
    weights, activations, data = (
        size / 2**20 for size in (measured.weights, measured.activations, dataset.images.nbytes)
    )
    facts = {
        "model": f"{recipe.model}: {recipe.summary}",
        "why": recipe.teaches,
        **_fitted(recipe),
        "parameters": ", ".join(f"{name} {count:,}" for name, count in measured.parameters.items()),
        "data": f"{dataset.name}, {contents}",
        "device": f"{checked.device}, {recipe.training.precision}: {made.precision}",
        "threads": f"{recipe.training.threads or 'default'}: {made.threads}",
        "memory": f"{weights + activations + data:,.0f} MiB and what PyTorch itself takes: parameters and optimizers "
        f"{weights:,.0f}, activations {activations:,.0f}, data {data:,.0f}",
        "throughput": f"{rate(measured.images / measured.seconds)} images/s, just measured",
        "budget": f"{rounds:,} rounds, {shown:,} {'samples' if numbers else 'images'}{epochs}",
        "time": clock(rounds * measured.seconds + FRAMES * measured.preview),
    }
    if recipe.training.compile:
        eager = [name for name in measured.parameters if name not in measured.compiled]
        facts["compiled"] = ", ".join(measured.compiled) or "nothing"
        facts["compiled"] += f"; eager for second-order gradients: {', '.join(eager)}" if eager else ""
    if checked.settings is not None:
        facts["evaluation"] = _evaluation(checked.settings, rounds, made, dataset, checked.device)
    print(recipe.to_toml())
    for name, text in facts.items():
        _print(name, text)
    for number, line in enumerate(_start.lines(recipe, checked.sources)):
        _print("" if number else "weights", line)


def _print(name: str, text: str) -> None:
    """A comment with a name in its margin, in lines that fit a terminal."""
    for number, line in enumerate(textwrap.wrap(text, 64, break_long_words=False, break_on_hyphens=False)):
        print(f"# {'' if number else name:<13} {line}")


def _fitted(recipe: Recipe) -> dict[str, str]:
    """What networks chose themselves for these images, by name."""
    from gancli.architectures._build import build

    networks: dict[str, Any] = {name: build(recipe, name, blank=True) for name in recipe.networks}
    return {name: network.fitted for name, network in networks.items() if network.fitted}


def _evaluation(settings: Settings, rounds: int, made: Plan, dataset: Dataset, device: torch.device) -> str:
    """What evaluations cost, measured on the untrained model."""
    from gancli.runs.periodic_evaluation import Evaluator
    from gancli.training.loop import Trainer

    assert made.measurement is not None
    trainer, evaluator = Trainer(made.recipe, dataset, device), Evaluator(settings)
    evaluator.try_out(trainer, dataset)  # also extracts the real features, which later evaluations find in the cache
    report, seconds = evaluator.try_out(trainer, dataset)
    times = math.ceil(rounds * made.measurement.images / 1000 / settings.every) + 1
    by, count = settings.best_by or report.results[0].metric, report.protocol.generated_images
    return (
        f"{by} of {count:,} generated images, {times:,} times, {seconds:.1f} s each: "
        f"{clock(times * seconds)} in addition to the time above"
    )
