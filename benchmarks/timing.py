"""Timing and memory measurements that are robust to noise: interleaved runs, medians, ratios."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

import gancli


def machine() -> dict[str, Any]:
    """The hardware and the versions that figures were taken on."""
    facts: Any = getattr(torch.cpu, "get_capabilities", dict)()
    return {
        "cpu": facts.get("cpu_name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bf16": bool(facts.get("avx512_bf16") or facts.get("amx_bf16")),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gancli": gancli.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(works: Mapping[str, Callable[[], object]], runs: int = 5, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of each work, taken in turn, so that other load on the machine affects all of them equally.

    Args:
        works: by name.
        runs: measurements of each.
        warm_up: rounds through all of them before, which do not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for run in range(warm_up + runs):
        for name, work in works.items():
            took = seconds(work)
            if run >= warm_up:
                taken[name].append(took)
    return taken


def ratio(taken: Mapping[str, Sequence[float]], slow: str, fast: str) -> float:
    """How many times longer one takes than the other: the median over the runs of their ratios within a run."""
    return median(a / b for a, b in zip(taken[slow], taken[fast], strict=True))


@dataclass(frozen=True)
class Process:
    """What a command cost.

    Attributes:
        seconds: from start to end.
        out: its standard output.
    """

    seconds: float
    out: str


def run(code: str, *arguments: str) -> Process:
    """Run Python code in a process of its own.

    Raises:
        subprocess.CalledProcessError: it failed; its standard error is shown.
    """
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return Process(time.perf_counter() - start, done.stdout)
