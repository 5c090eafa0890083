"""When memory runs out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import CPU, dataset, tiny

from gancli.runs import memory
from gancli.training.loop import Trainer

ROOT = Path(__file__).parents[2]
HUNGRY = """
import contextlib, io, json, re, resource, sys
import torch, torch._dynamo
import gancli.runs.run
from gancli.cli import main
torch.set_num_threads(1)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (400 << 20),) * 2)
def tried(batch):
    try:
        with contextlib.redirect_stderr(io.StringIO()) as words:
            main([*sys.argv[1:], "--set", f"training.batch={batch}", "--out", f"r{batch}"])
    except SystemExit as leaving:
        return leaving.code or 0, words.getvalue()
code, words = tried(65536)
suggested = int((re.findall("training.batch=([0-9]+)", words) or [2])[0])
print(json.dumps([code, words, suggested, *tried(suggested)]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_batch_too_large_for_the_memory_is_answered_with_one_that_fits(home: Path) -> None:
    """In a process that may take 400 MB more than it has."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [sys.executable, "-c", HUNGRY, "train", "digits", "--model", "dcgan", "--precision", "fp32"]
    command += ["--rounds", "2", "--device", "cpu", "--set", "training.samples=4"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    code, words, batch, then, afterwards = json.loads(done.stdout.splitlines()[-1])
    assert code == 1
    assert words.endswith(
        "error: the memory of cpu is too small for a batch of 65,536\n\n"
        f"hint: start a new run with --set training.batch={batch} (by what a small batch takes, it fits); "
        "a run that is there keeps its batch\n"
    )
    assert "Traceback" not in words
    assert 256 <= batch <= 32768
    assert then == 0, afterwards


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=["python", "cuda", "cpu", "mps", "c++"],
)
def test_half_of_the_batch_where_nobody_knows_the_memory(monkeypatch, error: Exception) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: None)
    made = tiny(3)
    with pytest.raises(memory.OutOfMemory) as told, memory.suggesting(made, dataset(made), CPU):
        raise error
    assert told.value.message == "the memory of cpu is too small for a batch of 12"
    assert told.value.hint == (
        "start a new run with --set training.batch=6 (it is half of that); a run that is there keeps its batch"
    )
    assert told.value.exit_code == 1


def test_not_even_two_fit(monkeypatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    made = tiny(3)
    with pytest.raises(memory.OutOfMemory) as told, memory.suggesting(made, dataset(made), CPU):
        raise MemoryError
    assert told.value.hint.startswith("not even a batch of 2 fits")


def test_another_fault_is_no_lack_of_memory() -> None:
    made = tiny(3)
    with pytest.raises(RuntimeError, match="shapes"), memory.suggesting(made, dataset(made), CPU):
        raise RuntimeError("shapes cannot be multiplied")


@pytest.mark.parametrize("parts", [3, 12])
@pytest.mark.parametrize("known", [True, False])
def test_a_batch_in_parts_is_answered_with_one_that_can_be_shared(parts: int, known: bool, monkeypatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1 << 40 if known else None)
    made = tiny(3, training={"batch": 96, "accumulate": parts})
    with pytest.raises(memory.OutOfMemory) as told, memory.suggesting(made, dataset(made), CPU):
        raise MemoryError
    suggested = int(told.value.hint.split("training.batch=")[1].split()[0])
    assert suggested == {(3, True): 48, (3, False): 48, (12, True): 48, (12, False): 48}[parts, known]
    Trainer(made.with_values(training={"batch": suggested}), dataset(made), CPU).round()
