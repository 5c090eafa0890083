"""Training speed relative to the hardware's limit, and to a round's convolutions and matrix products alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import plain
from benchmarks.timing import interleaved, ratio
from gancli.training.loop import Trainer

TITLE = "Share of the hardware limit"
GATE = 1.25
"""Times the sum of its convolutions and matrix products that a round of dcgan at 64x64 may take."""
CASES = (plain.Case("quick"), plain.Case("dcgan"), plain.Case("dcgan", "emoji", 64))
ALONE = CASES[-1]
PROFILED = (plain.Case("gan"), plain.Case("quick"))


def measure(quick: bool) -> dict[str, Any]:
    """Shares of the limit, one round against its operations alone, and where the time of small networks goes.

    Args:
        quick: two models with few images, two runs of each.
    """
    runs = 2 if quick else 7
    shares, alone, profiles = {}, {}, {}
    for case in CASES[:1] if quick else CASES:
        shares[case.name] = share(case, runs, quick) if case.place else {"absent": case.absent()}
    small = CASES[0] if quick else ALONE
    alone[small.name] = against_alone(small, runs, quick) if small.place else {"absent": small.absent()}
    for case in PROFILED[:1] if quick else PROFILED:
        profiles[case.name] = profile(case, 3 if quick else 100) if case.place else {"absent": case.absent()}
    return {"shares": shares, "alone": alone, "profiles": profiles}


def trainer_of(case: plain.Case, quick: bool) -> Trainer:
    """A trainer that is warm."""
    made, dataset = plain.prepare(case)
    if quick:
        made = made.with_values(training={"batch": 16})
    trainer = Trainer(made, dataset, plain.CPU)
    for _ in range(2):
        trainer.round()
    return trainer


# Operations a second.


def operations(case: plain.Case, quick: bool) -> int:
    """Floating-point operations of one round's convolutions and matrix products, forwards and backwards.

    Of the layers as papers write them: what a faster way to compute one of them adds is no work done.
    """
    trainer = trainer_of(case, quick)
    for network in trainer.networks.values():
        plain.plainly(network)
    with FlopCounterMode(display=False) as counter:
        trainer.round()
    return counter.get_total_flops()


def share(case: plain.Case, runs: int, quick: bool) -> dict[str, Any]:
    """Operations a second of a round, and of one large product and one large convolution in the same precision."""
    trainer = trainer_of(case, quick)
    precision = trainer.settings.precision
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    rows, side, channels = (256, 16, 32) if quick else (2048, 32, 256)
    one, other = torch.randn(rows, rows).to(kind), torch.randn(rows, rows).to(kind)
    images = torch.randn(16, channels, side, side).to(kind, memory_format=torch.channels_last)
    kernel = torch.randn(channels, channels, 3, 3).to(kind, memory_format=torch.channels_last)
    counts = {"round": operations(case, quick)}
    counts["matrix product"] = 2 * rows**3
    counts["convolution"] = 2 * images.numel() * channels * 9
    with torch.inference_mode():
        works = {
            "round": lambda: _round(trainer),
            "matrix product": lambda: torch.mm(one, other),
            "convolution": lambda: torch.conv2d(images, kernel, padding=1),
        }
        taken = interleaved(works, runs, warm_up=2)
    rates = {name: [counts[name] / took for took in taken[name]] for name in works}
    return {"precision": precision, "operations": counts["round"], "rates": rates}


def _round(trainer: Trainer) -> None:
    """A round as it is in training, whatever stands around it."""
    with torch.inference_mode(False), torch.enable_grad():
        trainer.round()


# A round against its convolutions and matrix products alone.

PRODUCTS = ("convolution", "convolution_backward", "mm", "addmm", "bmm")
LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class Matrix:
    """A tensor that a product was called with.

    Attributes:
        shape: its sizes.
        turned: whether it is a matrix whose columns lie together in memory.
    """

    shape: tuple[int, ...]
    turned: bool

    def make(self, kind: torch.dtype, layout: torch.memory_format) -> Tensor:
        """One of its kind."""
        if self.turned:
            return torch.randn(self.shape[::-1]).to(kind).t()
        made = torch.randn(self.shape).to(kind)
        return made.contiguous(memory_format=layout) if made.dim() == 4 else made


@dataclass(frozen=True)
class Call:
    """One product, whose operands are described: what it costs does not depend on their values.

    Attributes:
        function: its name among PyTorch's operators.
        arguments: matrices, numbers, tuples of numbers.
    """

    function: str
    arguments: tuple[Any, ...]

    def work(self, kind: torch.dtype, layout: torch.memory_format) -> Callable[[], object]:
        """The same product on operands that are there already."""
        packet = getattr(torch.ops.aten, self.function)
        given = [each.make(kind, layout) if isinstance(each, Matrix) else each for each in self.arguments]
        return lambda: packet.default(*given)

    def __str__(self) -> str:
        shapes = ["x".join(map(str, each.shape)) for each in self.arguments if isinstance(each, Matrix)]
        return f"{self.function} {', '.join(shapes)}"


class _Recorder(TorchDispatchMode):
    """Counts the products that are computed within."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[Call] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in PRODUCTS and not kwargs:
            self.found[Call(name, tuple(_described(each) for each in args))] += 1
        return func(*args, **(kwargs or {}))


def _described(value: Any) -> Any:
    if isinstance(value, Tensor):
        turned = value.dim() == 2 and not value.is_contiguous() and value.t().is_contiguous()
        return Matrix(tuple(value.shape), turned)
    return tuple(value) if isinstance(value, list) else value


def calls(trainer: Trainer) -> Counter[Call]:
    """The convolutions and matrix products of one round, forwards and backwards, and how often each is computed."""
    with _Recorder() as recorder:
        trainer.round()
    return recorder.found


def best(call: Call, kinds: Sequence[torch.dtype], tries: int) -> tuple[str, Callable[[], object], float]:
    """The fastest of the precisions and layouts for one product: its name, its work and its seconds."""
    images = any(isinstance(each, Matrix) and len(each.shape) == 4 for each in call.arguments)
    works = {
        f"{str(kind).removeprefix('torch.')}{f', {layout}' if images else ''}": call.work(kind, LAYOUTS[layout])
        for kind, layout in product(kinds, LAYOUTS if images else ["contiguous"])
    }
    taken = interleaved(works, tries)
    fastest = min(works, key=lambda name: min(taken[name]))
    return fastest, works[fastest], min(taken[fastest])


def against_alone(case: plain.Case, runs: int, quick: bool) -> dict[str, Any]:
    """Seconds of whole rounds, and of their convolutions and matrix products one after the other, in turn."""
    trainer = trainer_of(case, quick)
    precision = trainer.settings.precision
    kinds = (torch.bfloat16, torch.float32) if precision == "bf16" else (torch.float32,)
    counted = calls(trainer)
    chosen = {call: best(call, kinds, 1 if quick else 5) for call in counted}

    def alone() -> None:
        for call, count in counted.items():
            for _ in range(count):
                chosen[call][1]()

    taken = interleaved({"round": trainer.round, "alone": alone}, runs)
    return {
        "precision": precision,
        "batch": trainer.settings.batch,
        "seconds": taken,
        "ratio": ratio(taken, "round", "alone"),
        "products": [
            {"name": str(call), "calls": count, "best": chosen[call][0], "milliseconds": 1000 * chosen[call][2]}
            for call, count in counted.items()
        ],
    }


# Where the time goes.


def profile(case: plain.Case, rounds: int) -> dict[str, Any]:
    """The ten operators with the largest share of a round's time on the processor."""
    trainer = trainer_of(case, quick=False)
    start = time.perf_counter()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        for _ in range(rounds):
            trainer.round()
    took = time.perf_counter() - start
    rows = sorted(profiler.key_averages(), key=lambda row: row.self_cpu_time_total, reverse=True)
    total = sum(row.self_cpu_time_total for row in rows)
    return {
        "rounds": rounds,
        "seconds": took,
        "rows": [
            {"name": row.key, "share": row.self_cpu_time_total / total, "calls": row.count / rounds}
            for row in rows[:10]
        ],
    }


def markdown(found: dict[str, Any]) -> str:
    """Protocol and three tables."""
    lines = [
        "Operations a second of one round's convolutions and matrix products, forward and backward, counted by "
        "PyTorch's FlopCounterMode in the layers as papers define them. For comparison, a product of two 2048x2048 "
        "matrices and a 3x3 convolution of 256 channels in the same precision, measured in turn. The share is that of "
        "the faster of the two.",
        "",
        "| model | precision | GFLOP a round | GFLOP/s | product | convolution | share of the limit |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, case in found["shares"].items():
        if "absent" in case:
            lines.append(f"| {name} | - | - | - | - | - | - ({case['absent']}) |")
            continue
        rates = [median(case["rates"][part]) / 1e9 for part in ("round", "matrix product", "convolution")]
        lines.append(
            f"| {name} | {case['precision']} | {case['operations'] / 1e9:.2f} | {rates[0]:.0f} | {rates[1]:.0f} "
            f"| {rates[2]:.0f} | **{rates[0] / max(rates[1:]):.0%}** |"
        )
    for name, case in found["alone"].items():
        lines += ["", *_alone(name, case)]
    for name, case in found["profiles"].items():
        if "absent" not in case:
            lines += ["", *_profile(name, case)]
    return "\n".join(lines)


def _alone(name: str, case: dict[str, Any]) -> list[str]:
    if "absent" in case:
        return [f"A round of {name} against its operations alone: - ({case['absent']})."]
    whole, parts = (1000 * median(case["seconds"][part]) for part in ("round", "alone"))
    lines = [
        f"A whole round of {name} (batch {case['batch']}, {case['precision']}) takes {whole:.0f} ms. Its convolutions "
        "and matrix products alone, as often as in the round, in the fastest memory layout and allowed precision, take "
        f"{parts:.0f} ms. The ratio is **{case['ratio']:.2f}** (target: at most {GATE}).",
        "",
        "| operation | calls | fastest in | ms each |",
        "|---|---:|---|---:|",
    ]
    rows = sorted(case["products"], key=lambda row: -row["calls"] * row["milliseconds"])
    return lines + [f"| {row['name']} | {row['calls']} | {row['best']} | {row['milliseconds']:.2f} |" for row in rows]


def _profile(name: str, case: dict[str, Any]) -> list[str]:
    each = 1000 * case["seconds"] / case["rounds"]
    return [
        f"Profile of a round of {name} ({each:.1f} ms under the profiler, mean of {case['rounds']} rounds):",
        "",
        "| operator | share of the time | calls a round |",
        "|---|---:|---:|",
        *(f"| `{row['name']}` | {row['share']:.1%} | {row['calls']:.1f} |" for row in case["rows"]),
    ]
