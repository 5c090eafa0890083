"""Time from a command to its first result, compared with importing torch alone."""

from __future__ import annotations

from contextlib import chdir
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import timing

TITLE = "Start-up"
RUNS = 7

GANCLI = "import sys; from gancli.cli import main; main(sys.argv[1:])"


def first_step(then: str = "None") -> str:
    """Code of a training that ends with its first round, after an expression.

    The hook goes in where the last of torch has been imported. Trials begin in the midst of a training.
    """
    return f"""
import os, sys
from gancli.cli import _training, main
quickly = _training.import_quickly
def and_stop(*modules):
    quickly(*modules)
    if "torch._dynamo" in modules:
        from gancli.training.loop import Trainer
        step = Trainer.round
        Trainer.round = lambda self: (step(self), self.rounds == 1 and ({then}, os._exit(0)))
_training.import_quickly = and_stop
try:
    main(sys.argv[1:])
finally:
    sys.exit("there was no first step")
"""


TORCH, ADAM = "import torch", "import torch, build Adam"
COMMANDS: dict[str, tuple[str, ...]] = {
    "python": ("pass",),
    TORCH: (TORCH,),
    ADAM: ("import torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)])",),
    "gancli --help": (GANCLI, "--help"),
    "gancli zoo list": (GANCLI, "zoo", "list"),
    "gancli sample dcgan/mnist": (GANCLI, "sample", "dcgan/mnist", "-n", "64"),
    "gancli train digits, first step": (first_step(), "train", "digits", "--rounds", "1", "--quiet"),
    "gancli train mnist, first step": (first_step(), "train", "mnist", "--model", "quick", "--rounds", "1", "--quiet"),
}
"""Code and arguments of a process, by name."""

LIGHT = ("python", TORCH, "gancli --help", "gancli zoo list")

GATES: dict[str, tuple[str | None, float]] = {
    "gancli --help": (None, 0.5),
    "gancli zoo list": (None, 0.5),
    "gancli sample dcgan/mnist": (TORCH, 1.2),
    "gancli train digits, first step": (ADAM, 1.3),
    "gancli train mnist, first step": (ADAM, 1.3),
}
"""The reference of a command and the largest ratio to it; without a reference, the most seconds."""


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of every command, run after run.

    Args:
        quick: once, and only what is light.

    Returns:
        {"seconds": {command: [...]}}.
    """
    names = [name for name in COMMANDS if not quick or name in LIGHT]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for run in range(1 if quick else 1 + RUNS):
        for name in names:
            with TemporaryDirectory(prefix="gancli-startup-") as folder, chdir(folder):
                took = timing.run(*COMMANDS[name]).seconds
            if quick or run:  # the first run of each reads the files into memory
                seconds[name].append(took)
    return {"seconds": seconds}


def markdown(found: dict[str, Any]) -> str:
    """Seconds, and their ratio to the reference."""
    seconds = found["seconds"]
    rows = [f"| {name} | {_row(name, seconds)} |" for name in COMMANDS]
    return "\n".join(
        [
            f"Each command runs in a process of its own, in turn, {len(seconds['python'])} times after a warm-up. The",
            "reference of a command is the time that PyTorch alone needs: to import it, or to import it and build an",
            "optimizer, which imports about as much again. *First step*: data loaded, folder created, one round.",
            "A command can be faster than its reference because it pauses the garbage collector during imports.",
            "",
            "| command | seconds | reference | ratio | target |",
            "|---|---:|---|---:|---:|",
            *rows,
        ]
    )


def _row(name: str, seconds: dict[str, list[float]]) -> str:
    yardstick, most = GATES.get(name, (None, None))
    took = f"{median(seconds[name]):.2f}" if name in seconds else "-"
    ratio = f"{timing.ratio(seconds, name, yardstick):.2f}" if yardstick and {name, yardstick} <= set(seconds) else "-"
    return f"{took} | {yardstick or '-'} | {ratio} | {_gate(yardstick, most)}"


def _gate(yardstick: str | None, most: float | None) -> str:
    return "-" if most is None else f"{most:g}" if yardstick else f"{most:g} s"
