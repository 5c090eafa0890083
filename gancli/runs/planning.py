"""Decisions before round one, which the recipe then stores: CPU threads, precision, and the budget in rounds.

Rounds of a throwaway training are timed where a decision depends on the machine. A budget in minutes is planned anew
while the training goes on, where the machine turns out slower or faster.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from gancli import checkpoint
from gancli.data import Dataset
from gancli.data.memory import total_memory
from gancli.device import multiplies_bf16
from gancli.errors import UsageError
from gancli.processes import ALONE, World
from gancli.recipe import Recipe
from gancli.rendering.images import grid
from gancli.runs.previews import FRAMES, Preview
from gancli.training.loop import Trainer


def natively_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 natively: elsewhere it would only be slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and multiplies_bf16()


def half_precision(device: torch.device) -> str | None:
    """The precision of 16 bits that a device multiplies natively: bf16, else fp16 on a GPU with tensor cores."""
    if natively_bf16(device):
        return "bf16"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0):
        return "fp16"
    return None


SPEEDUP = 1.1
"""Of 16 bits over fp32, below which their three digits are not worth it."""


def measure_precision(
    recipe: Recipe, dataset: Dataset, device: torch.device, *, seconds: float = 0.4
) -> tuple[str, str]:
    """(precision, the reason in words) for a resolved recipe, from a few rounds in fp32 and in 16 bits in turn.

    Small networks are as fast in fp32. Where the hardware multiplies no 16 bits, nothing is measured.
    """
    if recipe.training.precision == "fp32":
        return "fp32", f"this {device.type} does not multiply bf16 natively"
    half = recipe.training.precision
    precisions = [recipe.with_values(training={"precision": precision}) for precision in ("fp32", half)]
    trainers = [halfway(one, dataset, device) for one in precisions]
    ratios: list[float] = []
    start = time.perf_counter()
    for trainer in trainers:
        _time_round(trainer)
    while len(ratios) < 2 or (time.perf_counter() - start < seconds and len(ratios) < 25):
        fp32, faster = (_time_round(trainer) for trainer in trainers)
        ratios.append(fp32 / faster)
    speedup = median(ratios)
    reason = f"measured just now, a round in {half} takes {1 / speedup:.2f} times as long as in fp32"
    return half if speedup >= SPEEDUP else "fp32", reason


def measure_threads(recipe: Recipe, dataset: Dataset, device: torch.device, *, seconds: float = 1.0) -> tuple[int, str]:
    """(CPU threads, the reason in words) for a resolved recipe, from a few rounds with 1, 2, 4, … of them in turn.

    Small networks gain nothing from more threads, and lose much where another program keeps a core busy: at the end of
    every operation all threads wait for the slowest. As few are chosen as are within a tenth of the fastest.
    """
    most = torch.get_num_threads()
    if device.type != "cpu" or most == 1:
        return most, "as many as PyTorch may use"
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count < most] + [most]
    trainer, times = halfway(recipe, dataset, device), {count: list[float]() for count in counts}
    try:
        if _time_round(trainer) > seconds:  # only one of each can be timed
            counts = [1, most]
        start = time.perf_counter()
        while not times[most] or (time.perf_counter() - start < seconds and len(times[most]) < 50):
            for count in counts:
                torch.set_num_threads(count)
                times[count].append(_time_round(trainer))
    finally:
        torch.set_num_threads(most)
    medians = {count: median(times[count]) for count in counts}
    chosen = next(count for count in counts if medians[count] <= 1.1 * min(medians.values()))
    compared = ", ".join(f"{count}: {1000 * span:.3g} ms" for count, span in medians.items())
    return chosen, f"measured just now, a round with {compared}"


def _time_round(trainer: Trainer) -> float:
    """Seconds of a round."""
    begin = time.perf_counter()
    trainer.round()
    torch.get_device_module(trainer.device).synchronize()
    return time.perf_counter() - begin


def resolve(recipe: Recipe, dataset: Dataset, device: torch.device) -> Recipe:
    """The recipe with the images' shape, the classes and the precision filled in; the budget is still open.

    Raises:
        UsageError: the recipe is class-conditional, and the data has no classes.
    """
    _, channels, height, width = dataset.images.shape
    _check_room(recipe, (channels, height, width), device)
    precision = recipe.training.precision
    if precision == "auto":
        precision = half_precision(device) or "fp32"
    if precision == "fp16" and device.type == "mps":
        raise UsageError("training.precision = fp16: loss scaling is for CUDA", "leave it out, or choose fp32")
    found: dict[str, dict[str, Any]] = {"data": {"size": [height, width], "channels": channels}}
    if recipe.latent.classes == "data":
        if not dataset.classes:
            raise UsageError(
                f"'{recipe.model}' is class-conditional, and {dataset.name} has no classes",
                "put the images into one folder a class, or train another model, as in `model=quick`",
            )
        found["latent"] = {"classes": len(dataset.classes)}
        # Of shards only examples are loaded, which may all be of one class.
        if dataset.labels is not None and dataset.stream is None and recipe.latent.shares is None:
            counts = torch.bincount(dataset.labels, minlength=len(dataset.classes)).double()
            found["latent"]["shares"] = [round(share, 6) for share in (counts / counts.sum()).tolist()]
    return recipe.with_values(**found, training={"precision": precision})


def _check_room(recipe: Recipe, shape: tuple[int, int, int], device: torch.device) -> None:
    """Refuse a batch of images, or a grid of samples, that alone is larger than the memory.

    Raises:
        UsageError: it is.
    """
    room = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else total_memory()
    for key in ("batch", "samples"):
        count = getattr(recipe.training, key)
        if (needed := 4 * count * math.prod(shape)) > room:
            raise UsageError(
                f"training.{key} = {count}: so many images of {shape[1]}x{shape[2]} pixels take "
                f"{needed / 2**30:,.0f} GiB, and there are {room / 2**30:,.0f}",
                f"a smaller number, or smaller images, as in `training.{key}=64` `data.size=[64,64]`",
            )


@dataclass(frozen=True)
class Measurement:
    """What a few real rounds cost on this machine.

    Attributes:
        seconds: a round.
        preview: seconds of a preview, of which a run has a fixed number.
        images: real images a round.
        parameters: by network.
        compiled: names of the networks that are compiled.
        weights: bytes of weights, gradients, optimizer moments and average.
        activations: bytes that a step keeps for its backward pass.
    """

    seconds: float
    preview: float
    images: int
    parameters: dict[str, int]
    compiled: list[str]
    weights: int
    activations: int


MIDST = 500_000
"""A round halfway through a training: at its beginning, one player may not train yet."""


def images_a_round(trainer: Trainer) -> int:
    """Real images that a round draws halfway through a training."""
    return sum(player.steps_in(MIDST) * trainer.settings.batch for player in trainer.players if player.real)


def halfway(recipe: Recipe, dataset: Dataset, device: torch.device) -> Trainer:
    """A throwaway training at the middle of its rounds."""
    trainer = Trainer(recipe.with_values(training={"rounds": 2 * MIDST, "earlier_plans": []}), dataset, device)
    trainer.rounds = MIDST
    return trainer


def measure(recipe: Recipe, dataset: Dataset, device: torch.device, *, seconds: float = 3.0) -> Measurement:
    """Time a throwaway training; the training that follows starts from its own seed and is not affected."""
    trainer = halfway(recipe, dataset, device)
    with saved_bytes() as activations:
        trainer.round()
    trainer.round()
    torch.get_device_module(device).synchronize()
    # The median of short spans: another program that takes the machine for a moment must not plan the whole run.
    spans: list[float] = []
    start = time.perf_counter()
    while len(spans) < 3 or (time.perf_counter() - start < seconds and len(spans) < 200):
        spans.append(_time_round(trainer))
    preview = Preview(trainer, dataset)
    return Measurement(
        seconds=median(spans),
        preview=min(_time_preview(preview) for _ in range(3)),  # the first one also loads what all share
        images=images_a_round(trainer),
        parameters={name: sum(p.numel() for p in net.parameters()) for name, net in trainer.networks.items()},
        compiled=trainer.compiled,
        weights=state_bytes(trainer),
        activations=activations[0],
    )


def _time_preview(preview: Preview) -> float:
    begin = time.perf_counter()
    grid(preview.images(), columns=preview.columns)
    preview.statistics()
    return time.perf_counter() - begin


@dataclass(frozen=True)
class Plan:
    """A recipe with nothing left open.

    Attributes:
        recipe: with its threads, its precision and its rounds.
        threads: the reason for its threads, in words.
        precision: the reason for its precision.
        minutes: that it should take, where that decided its rounds.
        measurement: what its rounds cost; None where that was not needed.
    """

    recipe: Recipe
    threads: str
    precision: str
    minutes: float | None
    measurement: Measurement | None


def in_minutes(recipe: Recipe) -> bool:
    """Whether the budget can be converted to rounds only by timing them."""
    return recipe.training.rounds is None and minutes_of(recipe.training.budget) is not None


def minutes_of(budget: str) -> float | None:
    """The minutes of a budget; None if it has another unit."""
    number, unit = budget.split()
    return float(number) if unit == "minutes" else None


def make(
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    measured: bool = False,
    world: World = ALONE,
    resumed: bool = False,
) -> Plan:
    """Decide what a recipe leaves open; one that leaves nothing open stays as it is.

    Several processes each time their share of a batch at once, and all decide the same. Their communication is not
    part of it.

    Args:
        recipe: as it was requested.
        dataset: what it is to be trained on.
        device: where.
        measured: whether to measure what its rounds cost, also where its budget is not in minutes.
        world: the processes that are to train it.
        resumed: whether a run has it already, which takes the threads that it finds if its recipe has none.
    """
    requested, minutes = recipe.training.precision, minutes_of(recipe.training.budget) if in_minutes(recipe) else None
    recipe, why, threads = resolve(recipe, dataset, device), "as asked", "as asked"
    share = {"batch": max(2, recipe.training.batch // world.size)}
    if recipe.training.threads is None and not resumed and device.type == "cpu":
        count, threads = world.broadcast(measure_threads(recipe.with_values(training=share), dataset, device))
        recipe = recipe.with_values(training={"threads": count})
    if requested == "auto":
        precision, why = world.broadcast(measure_precision(recipe.with_values(training=share), dataset, device))
        recipe = recipe.with_values(training={"precision": precision})
    measurement = None
    if measured or in_minutes(recipe):
        measurement = measure(recipe.with_values(training=share), dataset, device)
        seconds, preview = world.maximum([measurement.seconds, measurement.preview])
        images = world.size * measurement.images
        measurement = dataclasses.replace(measurement, seconds=seconds, preview=preview, images=images)
    if recipe.training.rounds is None:
        seconds, previews = math.nan, 0.0
        if measurement:
            images, seconds, previews = measurement.images, measurement.seconds, FRAMES * measurement.preview
        elif recipe.training.budget.endswith("rounds"):
            images = 1  # not needed: no training is built to count them
        else:
            images = images_a_round(halfway(recipe, dataset, device))
        rounds = rounds_of(recipe, dataset.count, images, seconds, previews)
        recipe = recipe.with_values(training={"rounds": rounds})
    return Plan(recipe, threads, why, minutes, measurement)


def more_rounds(budget: str, trainer: Trainer, dataset: Dataset, seconds: float) -> int:
    """A further budget of a training in rounds.

    Args:
        budget: as in "10 minutes".
        trainer: where the training stands.
        dataset: what it is trained on.
        seconds: that its rounds have taken.
    """
    minutes = minutes_of(budget)
    if minutes is None:
        asked = trainer.recipe.with_values(training={"budget": budget})
        return rounds_of(asked, dataset.count, images_a_round(trainer), math.nan)
    if not trainer.rounds or not seconds:  # the plan is corrected as soon as there are rounds
        return trainer.settings.rounds or 1
    return max(1, round(60 * minutes * trainer.rounds / seconds))


class Pace:
    """Plans rounds anew where a training with a deadline is slower or faster than it was planned.

    Args:
        deadline: seconds of training after which it should end; None for no deadline.
        seconds: that it has taken so far.
        done: rounds so far.
    """

    CHECKS = 20
    """Over a whole training."""

    TOLERANCE = 0.02
    """Share of the deadline by which the end may be off."""

    def __init__(self, deadline: float | None, seconds: float, done: int) -> None:
        self.deadline, self._seconds, self._done = deadline, seconds, done

    def due(self, seconds: float) -> bool:
        """Whether to check the plan now."""
        return self.deadline is not None and seconds - self._seconds >= self.deadline / self.CHECKS

    def plan(self, seconds: float, done: int, planned: int) -> int | None:
        """The rounds that the deadline allows in all, at the pace since the last call; None to keep the plan."""
        span, rounds = seconds - self._seconds, done - self._done
        self._seconds, self._done = seconds, done
        if self.deadline is None or span <= 0 or rounds <= 0:  # as after a rollback
            return None
        pace = rounds / span
        allowed = done + max(0, round((self.deadline - seconds) * pace))
        return allowed if abs(allowed - planned) > self.TOLERANCE * self.deadline * pace else None


def rounds_of(recipe: Recipe, count: int, images: int, seconds: float, previews: float = 0.0) -> int:
    """A budget in rounds.

    Args:
        recipe: with its budget in words.
        count: images in the data set, which an epoch shows once.
        images: that a round draws.
        seconds: that a round takes; needed for a budget in minutes.
        previews: seconds that the previews of a whole run take; they get at most half of a budget in minutes.
    """
    number, unit = recipe.training.budget.split()
    if unit == "minutes":
        budget = 60 * float(number)
        return max(1, round(max(budget - previews, budget / 2) / seconds))
    a_round = {"rounds": 1.0, "epochs": images / count, "kimg": images / 1000}[unit]
    return max(1, round(float(number) / a_round))


def state_bytes(trainer: Trainer) -> int:
    """Bytes of weights, their gradients, optimizer moments and the EMA."""
    gradients = [p for network in trainer.networks.values() for p in network.parameters()]
    state, _ = checkpoint.flatten(trainer.state())
    return sum(tensor.nbytes for tensor in [*gradients, *state.values()])


@contextmanager
def saved_bytes() -> Generator[list[int]]:
    """Counts the bytes that autograd keeps for the backward passes within."""
    total = [0]

    def pack(tensor: Tensor) -> Tensor:
        total[0] += 0 if isinstance(tensor, torch.nn.Parameter) else tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total
