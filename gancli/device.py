"""Which device computes."""

from __future__ import annotations

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
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    kind, _, number = name.partition(":")
    if kind not in there or (number and not number.isdecimal()):
        raise UsageError(f"no device is called '{name}'", f"one of: {', '.join(DEVICES)}")
    if int(number or 0) >= there[kind]:
        raise UsageError(f"this machine has no usable {name} device", "leave --device out, or choose cpu")
    return torch.device(name)


def multiplies_bf16() -> bool:
    """Whether this processor multiplies bfloat16 natively: elsewhere it would only be slower."""
    features: Any = getattr(torch.cpu, "get_capabilities", dict)()
    return any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "amx_tile"))
