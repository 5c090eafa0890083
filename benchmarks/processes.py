"""Several processes compared with one: equal losses, speed, and recovery after a process dies."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file

from gancli import checkpoint
from gancli.zoo import catalogue

TITLE = "Several processes"
ROOT = Path(__file__).parents[1]
WORKER = ROOT / "tests" / "training" / "side_by_side.py"
MODELS = {"quick": 100, "dcgan": 80, "mlp-gan": 1500}
"""Rounds of a measured training on MNIST."""
PAIRS, DEATHS, LIMIT = 5, 20, 500.0
"""Trainings of each kind, processes killed, and seconds after which a command counts as hanging."""


def measure(quick: bool) -> dict[str, Any]:
    """Agreement in float64 of every model, speed of two processes, and restarts.

    Args:
        quick: two rounds of each model, no speeds, one death.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder)
        return {
            "agreement": agreement(place, 2 if quick else 20),
            "speed": {} if quick else {model: speed(place, model, rounds) for model, rounds in MODELS.items()},
            "restarts": restarts(place, 1 if quick else DEATHS, 60 if quick else 400),
        }


# The same numbers.


def agreement(folder: Path, rounds: int) -> dict[str, Any]:
    """How far weights and losses of two processes are from those of one, by model, after so many rounds in float64."""
    together(folder, 2, [], *(f"of-{size}:{size}:1:fp64:{rounds}" for size in (1, 2)))
    weights = [load_file(folder / f"of-{size}.safetensors") for size in (1, 2)]
    told = [json.loads((folder / f"of-{size}.json").read_text()) for size in (1, 2)]
    by_model: dict[str, Any] = {}
    for name, value in weights[0].items():
        model = name.partition("/")[0]
        off = float((value.double() - weights[1][name].double()).abs().max()) if value.numel() else 0.0
        found = by_model.setdefault(model, {"weights": 0.0, "losses": 0.0})
        found["weights"] = max(found["weights"], off)
    for model, found in by_model.items():
        pairs = zip(told[0][model]["losses"], told[1][model]["losses"], strict=True)
        found["losses"] = max(abs(one[name] - other[name]) for one, other in pairs for name in one)
    return {"rounds": rounds, "models": by_model}


def free_port() -> int:
    """A port that nothing listens on, below those that systems give to outgoing connections meanwhile."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


def together(folder: Path, size: int, cases: Iterable[str], *plans: str) -> None:
    """Have so many processes of one thread carry out the plans of ``side_by_side.py``.

    Args:
        folder: for what they find.
        size: how many processes.
        cases: what is trained; every model of the zoo if none is named.
        plans: each trains all cases.

    Raises:
        RuntimeError: one of them failed.
        TimeoutExpired: one of them hangs.
    """
    paths = os.pathsep.join([str(ROOT), str(WORKER.parent)])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(size)}
    command = [sys.executable, str(WORKER), str(folder), str(size), ",".join(cases), *plans]
    environment = os.environ | shared | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise RuntimeError(f"one of {size} processes ended with exit code {done.returncode}: {done.stderr}")


# Speed.


def speed(folder: Path, model: str, rounds: int) -> dict[str, Any]:
    """Images a second of one process with all threads and of two with half of them each, in turn."""
    found: dict[str, list[float]] = {"1": [], "2": []}
    for pair in range(PAIRS):
        for processes in found:
            out = folder / f"{model}-{pair}-{processes}"
            arguments = ["train", "mnist", "--model", model, "--rounds", str(rounds), "--precision", "bf16"]
            command(*arguments, "--out", str(out), "--processes", processes)
            header = checkpoint.read_header(out / catalogue.STATE_FILE)
            images = rounds * header["recipe"]["training"]["batch"]
            found[processes].append(images / header["seconds"])
    ratios = [two / one for one, two in zip(found["1"], found["2"], strict=True)]
    return {"rounds": rounds, "images_per_second": found, "ratios": ratios}


def command(*arguments: str) -> None:
    """Run gancli to its end, in silence."""
    whole = [sys.executable, "-m", "gancli", *arguments, "--quiet"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    subprocess.run(whole, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT, env=environment)


# Deaths.


def restarts(folder: Path, deaths: int, rounds: int) -> dict[str, Any]:
    """Kill one of two processes at a random moment, ``deaths`` times, and compare the ends with an undisturbed run."""
    small = ["--set", "networks.generator.width=4", "--set", "networks.discriminator.width=4", "--precision", "fp32"]
    small += ["--set", "training.batch=16", "--rounds", str(rounds), "--save-every", "0.2", "--quiet"]
    arguments = ["train", "digits", "--model", "dcgan", *small, "--processes", "2"]
    begun = time.perf_counter()
    _start(folder / "undisturbed", arguments).wait(LIMIT)
    took = time.perf_counter() - begun
    wanted = load_file(folder / "undisturbed" / catalogue.STATE_FILE)
    dice, found = random.Random(0), {"deaths": 0, "ended": 0, "alike": 0, "hangs": 0}
    for number in range(deaths):
        out = folder / f"killed-{number}"
        training = _start(out, arguments)
        time.sleep(dice.uniform(0.3, 0.9) * took)
        found["deaths"] += _kill_one(training.pid, dice)
        try:
            found["ended"] += training.wait(LIMIT) == 0
        except subprocess.TimeoutExpired:
            training.kill()
            found["hangs"] += 1
            continue
        with suppress(OSError):
            state = load_file(out / catalogue.STATE_FILE)
            same = state.keys() == wanted.keys() and all(torch.equal(state[name], wanted[name]) for name in wanted)
            found["alike"] += same
    return {"rounds": rounds, "tried": deaths, "seconds": took, **found}


def _start(out: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    whole = [sys.executable, "-m", "gancli", *arguments, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(whole, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def trainers(parent: int) -> list[int]:
    """The processes that a command with ``--processes`` has started to train, on Linux."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"gancli" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _kill_one(parent: int, dice: random.Random) -> int:
    """SIGKILL to one of a command's processes; how many that were."""
    if not (there := trainers(parent)):
        return 0
    os.kill(dice.choice(there), signal.SIGKILL)
    return 1


def markdown(found: dict[str, Any]) -> str:
    """Three paragraphs and two tables."""
    same, died = found["agreement"], found["restarts"]
    weights, losses = (max(each[key] for each in same["models"].values()) for key in ("weights", "losses"))
    lines = [
        "One process compared with two that share each batch, for all models of the zoo with small networks on digits, "
        f"{same['rounds']} rounds in float64 with synchronised batch norm: no weight differs by more "
        f"than {weights:.1e}, no loss of any round by more than {losses:.1e}.",
        "",
        "| model | weights differ by | losses differ by |",
        "|---|---:|---:|",
        *(f"| {model} | {each['weights']:.1e} | {each['losses']:.1e} |" for model, each in same["models"].items()),
        "",
    ]
    if found["speed"]:
        lines += [
            "Images a second on MNIST by one process with all threads, and by two with half of the threads each "
            f"(`--processes 2`), {PAIRS} trainings of each in turn; the ratio is the median of the pairs, with minimum "
            "and maximum.",
            "",
            "| model | rounds | one process | two processes | ratio |",
            "|---|---:|---:|---:|---:|",
        ]
        for model, each in found["speed"].items():
            one, two = (median(each["images_per_second"][key]) for key in ("1", "2"))
            ratios = each["ratios"]
            lines.append(
                f"| {model} | {each['rounds']:,} | {one:,.0f} | {two:,.0f} "
                f"| **{median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}) |"
            )
        lines.append("")
    lines.append(
        f"One of two processes was killed (SIGKILL) at a random moment in {died['deaths']} of {died['tried']} "
        f"trainings of {died['rounds']} rounds: {died['ended']} resumed automatically from the last checkpoint "
        f"and ended, {died['alike']} with the same bytes as an undisturbed training, {died['hangs']} hung."
    )
    return "\n".join(lines)
