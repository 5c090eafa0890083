"""Which device computes."""

import platform
import subprocess
import sys

import pytest
import torch

from gancli.device import be_deterministic, float32_products, pick_device
from gancli.errors import UsageError


@pytest.mark.parametrize("name", ["tpu", "meta", "cpu:x", "", "CPU"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        pick_device(name)
    assert refused.value.message == f"no device is called '{name}'"
    assert refused.value.hint == "one of: auto, cpu, cuda, mps"


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(UsageError) as refused:
        pick_device("cuda:99")
    assert refused.value.message == "this machine has no usable cuda:99 device"
    assert refused.value.hint == "leave `device` out, or choose cpu"


def test_auto_finds_one() -> None:
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("tf32", [False, True])
def test_products_are_made_as_asked_and_afterwards_as_before(tf32: bool) -> None:
    def allowed() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = allowed()
    with float32_products(tf32=tf32):
        assert allowed() == (tf32, tf32)
    assert allowed() == before


def test_kernels_are_tried_on_a_gpu_unless_bytes_must_be_equal() -> None:
    for wanted in (True, False):
        be_deterministic(wanted)
        assert torch.backends.cudnn.benchmark is not wanted
        assert torch.are_deterministic_algorithms_enabled() is wanted


FAULTS = """
import ctypes, resource, torch
from gancli.device import keep_memory
for number in (-3, -1):
    assert ctypes.CDLL(None).mallopt(number, 2**17)  # as glibc begins; what it makes of it later is its own affair
def round():
    return [torch.ones(2**21) for _ in range(8)]
for prepare in (lambda: None, keep_memory):
    prepare()
    for _ in range(3):
        round()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        round()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, whose memory it is about")
def test_memory_of_one_round_serves_the_next() -> None:
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    before, afterwards = map(int, done.stdout.split())
    pages = 5 * 8 * 2**23 // 4096
    assert before > pages / 4
    assert afterwards < pages / 50


@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:0"])
def test_a_gpu_has_its_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors there name it, and a device without one is another to PyTorch."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert pick_device(name) == torch.device("cuda", 0)
