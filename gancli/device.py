"""Devices: which one computes, and how."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

from gancli.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str) -> torch.device:
    """The device that a user asked for; ``auto`` is the fastest there is.

    Raises:
        UsageError: unknown, or not on this machine.
    """
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind, _, number = name.partition(":")
    if kind == "cuda" and not number and (mine := os.environ.get("LOCAL_RANK")) is not None:
        if int(mine) >= there["cuda"]:
            raise UsageError(
                f"process {mine} of this machine has no GPU of its own: there are {there['cuda']}",
                "start as many processes as there are GPUs, or choose `device=cpu`",
            )
        return torch.device("cuda", int(mine))
    if kind not in there or (number and not number.isdecimal()):
        raise UsageError(f"no device is called '{name}'", f"one of: {', '.join(DEVICES)}")
    if int(number or 0) >= there[kind]:
        raise UsageError(f"this machine has no usable {name} device", "leave `device` out, or choose cpu")
    # With its number, as tensors there name it.
    return torch.device("cuda", int(number or 0)) if kind == "cuda" else torch.device(name)


def multiplies_bf16() -> bool:
    """Whether this processor multiplies bfloat16 natively: elsewhere it would only be slower."""
    features: Any = getattr(torch.cpu, "get_capabilities", dict)()
    return any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "amx_tile"))


def be_deterministic(deterministic: bool) -> None:
    """Have PyTorch choose deterministic kernels, or the fastest ones.

    A CPU computes the same with the same number of threads either way. An operation without a deterministic kernel
    raises an error.
    """
    if deterministic:
        # Read by cuBLAS when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt``."""


def keep_memory() -> None:
    """Have glibc keep up to a gigabyte of freed memory for the next round.

    By default it returns large blocks to the system, which clears every page again: a twentieth of the time of a small
    round. Does nothing with another C library.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_MMAP_THRESHOLD, 2**25)  # the most that it takes
        mallopt(_TRIM_THRESHOLD, 2**30)


@contextmanager
def float32_products(*, tf32: bool) -> Generator[None]:
    """On CUDA, multiply float32 in full precision, or in TF32, which is several times as fast.

    PyTorch's default is TF32 for convolutions and full precision for matrices.
    """
    matrices, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matrices.allow_tf32, convolutions.allow_tf32
    matrices.allow_tf32 = convolutions.allow_tf32 = tf32
    try:
        yield
    finally:
        matrices.allow_tf32, convolutions.allow_tf32 = before
