"""Which device computes."""

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
    assert refused.value.hint == "leave --device out, or choose cpu"


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
