"""What is done to gradients and rates between a loss and a step."""

import pytest
import torch
from tiny import tiny, trainer


def test_a_rate_decays_with_the_steps() -> None:
    one = trainer(tiny(4, optimizer={"generator": {"lr": 1e-3, "decay": 0.5}}))
    rates = []
    for _ in range(3):
        one.round()
        rates.append(one.optimizers["generator"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-3 / 1.5, 1e-3 / 2])


def test_the_decay_goes_on_after_a_resume() -> None:
    made = tiny(6, optimizer={"discriminator": {"decay": 0.1}}, objective={"steps": {"discriminator": 2}})
    one, other = trainer(made), trainer(made)
    for _ in range(2):
        one.round()
    other.load_state(one.state())
    assert other.steps == {"discriminator": 4, "generator": 2}


def test_gradient_values_are_clipped_one_by_one() -> None:
    one = trainer(tiny(optimizer={"generator": {"clip_value": 1e-4}}))
    one.round()
    largest = max(p.grad.abs().max() for p in one.networks["generator"].parameters() if p.grad is not None)
    assert 0 < largest <= 1e-4
    free = max(p.grad.abs().max() for p in one.networks["discriminator"].parameters() if p.grad is not None)
    assert free > 1e-4


def test_the_gradient_is_shown_as_it_was_before_clipping() -> None:
    seen = []
    for clip in (None, 1e-6):
        extra = {} if clip is None else {"clip_value": clip}
        one = trainer(tiny(optimizer={"discriminator": extra}))
        one.round()
        seen.append(one.means()["gradient/discriminator"])
    assert seen[0] == seen[1] > 1e-5
    assert torch.tensor(seen).isfinite().all()
