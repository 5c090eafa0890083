"""The cost of a round in counts that no noise changes: operators, allocations and synchronisations."""

from collections import Counter
from typing import Any

import pytest
from tiny import tiny, trainer
from torch.profiler import ProfilerActivity, profile

ROUNDS = 8
"""As many as there are between two measurements of gradient norms."""

MOST = {
    "quick": (1500, 300),
    "dcgan": (1450, 300),
    "gan": (770, 90),
    "mlp-gan": (750, 85),
    "vae": (550, 60),
    "wgan-gp": (5700, 960),
}
"""Operators called, and tensors allocated, a round."""

WAITS = {
    "aten::_linalg_check_errors",
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::equal",
    "aten::masked_select",
    "aten::nonzero",
}
"""Operators for which the host would wait for a GPU."""


def inside(event: Any, name: str) -> bool:
    """Whether an operator was called by another."""
    return event is not None and (event.name == name or inside(event.cpu_parent, name))


@pytest.mark.parametrize("model", MOST)
def test_a_round_calls_few_operators_and_never_waits(model: str) -> None:
    one = trainer(tiny(ROUNDS, model, training={"precision": "bf16"}))
    for _ in range(ROUNDS):
        one.round()
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        for _ in range(ROUNDS):
            one.round()
    events = [event for event in watched.events() if event.name.startswith("aten::")]
    calls = Counter(event.name for event in events)
    # Adam reads its count of steps, which is on the CPU.
    waits = [event.name for event in events if event.name in WAITS and not inside(event, "aten::_fused_adam_")]
    assert not waits
    assert len(events) / ROUNDS <= MOST[model][0]
    pieces = calls["aten::empty"] + calls["aten::empty_strided"] + calls["aten::empty_like"]
    assert pieces / ROUNDS <= MOST[model][1]
