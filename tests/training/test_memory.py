"""When memory runs out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import CPU, dataset, tiny

from gancli.processes import World
from gancli.runs import memory
from gancli.training.loop import Trainer

ROOT = Path(__file__).parents[2]
HUNGRY = """
import resource, sys
import torch, torch._dynamo
import gancli.runs.run
from gancli.cli import main
torch.set_num_threads(1)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (400 << 20),) * 2)
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_batch_too_large_for_the_memory_is_answered_with_what_takes_less(home: Path) -> None:
    """In a process that may take 400 MB more than it has."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [sys.executable, "-c", HUNGRY, "train", "digits", "--model", "dcgan", "--precision", "fp32"]
    command += ["--rounds", "2", "--device", "cpu", "--set", "training.samples=4", "--set", "training.batch=65536"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: the memory of cpu is too small for a batch of 65,536\n\n"
        "hint: start a new run with --set training.batch=32768, or with --set training.accumulate=2, which keeps the "
        "batch and works on it in parts; a run that is there keeps its recipe\n"
    )
    assert "Traceback" not in done.stderr


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
def test_what_allocators_say_is_one_error(error: Exception) -> None:
    with pytest.raises(memory.OutOfMemory) as refused, memory.explain_out_of_memory(tiny(3), CPU):
        raise error
    assert refused.value.message == "the memory of cpu is too small for a batch of 12"
    assert refused.value.exit_code == 1


@pytest.mark.parametrize(
    ("batch", "accumulate", "processes", "smaller", "parts"),
    [(12, 1, 1, 6, 2), (96, 3, 1, 48, 6), (96, 12, 1, 48, 24), (96, 1, 4, 48, 2), (30, 3, 1, 15, 6), (6, 1, 1, 3, 2)],
)
def test_what_is_suggested_can_be_trained(
    batch: int, accumulate: int, processes: int, smaller: int, parts: int
) -> None:
    made = tiny(3, training={"batch": batch, "accumulate": accumulate})
    world = World(size=processes)
    with pytest.raises(memory.OutOfMemory) as refused, memory.explain_out_of_memory(made, CPU, world):
        raise MemoryError
    assert refused.value.hint == (
        f"start a new run with `training.batch={smaller}`, or with `training.accumulate={parts}`, "
        "which keeps the batch and works on it in parts; a run that is there keeps its recipe"
    )
    if processes == 1:
        for values in ({"batch": smaller}, {"accumulate": parts}):
            Trainer(made.with_values(training=values), dataset(made), CPU).round()


@pytest.mark.parametrize(("batch", "hint"), [(2, "make images or networks smaller"), (5, "start a new run with")])
def test_a_batch_that_cannot_be_divided(batch: int, hint: str) -> None:
    made = tiny(3, training={"batch": batch})
    with pytest.raises(memory.OutOfMemory) as refused, memory.explain_out_of_memory(made, CPU):
        raise MemoryError
    assert refused.value.hint.startswith(hint)
    assert "accumulate" not in refused.value.hint


def test_another_fault_is_no_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory.explain_out_of_memory(tiny(3), CPU):
        raise RuntimeError("shapes cannot be multiplied")
