"""Which device computes."""

import pytest

from gancli.device import pick_device
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
