"""Rounds that are played back are rounds: on a CPU, by tapes."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tape import Tapes
from tiny import dataset, same, tiny, trainer
from torch import Tensor

from gancli.errors import UsageError
from gancli.latents.spec import _edges
from gancli.objectives.base import Batch
from gancli.recipe import Recipe
from gancli.training import playback
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

ELSEWHERE = torch.ones(3)
REFUSED = ("cyclegan", "autoencoder")
CASES: dict[str, dict[str, Any]] = {name: {} for name in catalogue.models() if name not in REFUSED}
# Rounds of two patterns, noise on what the discriminator sees, several steps of one side, a side that rests.
CASES["dcgan with a penalty now and then"] = {"penalties": {"r1": {"weight": 1.0, "interval": 2}}, "input_noise": 0.1}
CASES["dcgan by turns"] = {"steps": {"discriminator": 3}, "rest": [{"side": "generator", "first": 4, "last": 6}]}
CASES["dcgan with the same fakes"] = {"reuse_fake": True}
CASES["dcgan in bf16"] = {}


def recipe_of(case: str, **training: Any) -> Recipe:
    precision = {"precision": "bf16"} if case.endswith("bf16") else {}
    return tiny(1000, case.split(" ")[0], objective=CASES[case], training={**precision, **training})


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recipe], tuple[Trainer, Tapes]]:
    """Makes a trainer whose rounds are recorded on tapes."""
    held: list[Batch] = []
    usual = Batch.clone

    def clone(batch: Batch) -> Batch:
        held.append(usual(batch))
        return held[-1]

    def make(made: Recipe) -> tuple[Trainer, Tapes]:
        found = trainer(made)
        latent = found.spec.latent

        def lasting() -> Iterator[Tensor]:
            for module in (*found.networks.values(), found.objective):
                yield from (*module.parameters(), *module.buffers())
            yield from (value for batch in held for value in batch.columns if value is not None)
            if latent.shares:
                yield _edges(latent.shares, found.device)

        tapes = Tapes(lasting)
        found._playback = playback.Playback(tapes)
        return found, tapes

    monkeypatch.setattr(Batch, "clone", clone)
    return make


@pytest.mark.parametrize("case", CASES)
def test_rounds_that_are_played_back_are_the_rounds_that_would_have_been(case: str, played) -> None:
    made = recipe_of(case)
    one, (other, tapes) = trainer(made), played(made)
    for number in range(14):
        one.round()
        other.round()
        if number % 5 == 4:
            assert other.means() == one.means()
    assert same(other.state(), one.state())
    assert 0 < tapes.recorded < tapes.rehearsed
    pieces = sum(len(pieces) for pieces in other._playback._pieces.values())
    assert pieces == tapes.recorded
    # As many go on from a saved state, by the recordings that there are.
    kept = copy.deepcopy(one.state())
    for _ in range(3):
        one.round()
        other.round()
    other.load_state(kept)
    for _ in range(3):
        other.round()
    assert same(other.state(), one.state())


def test_a_recording_does_nothing_until_it_is_played() -> None:
    weight = torch.zeros(3)
    tapes = Tapes(lambda: [weight])
    noise = torch.Generator().manual_seed(0)
    before = noise.get_state()
    tape, result = tapes.record(lambda: weight.add_(torch.rand(3, generator=noise)).mul(2))
    assert torch.equal(weight, torch.zeros(3))
    assert torch.equal(noise.get_state(), before)
    for _ in range(2):
        tape.replay()
    again = torch.Generator().manual_seed(0)
    torch.testing.assert_close(weight, torch.rand(3, generator=again) + torch.rand(3, generator=again))
    torch.testing.assert_close(result, 2 * weight)


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (lambda: float(torch.ones(()) + 1), "waits for a GPU"),
        (lambda: torch.ones(3)[torch.ones(3) > 0], "is waited for"),
        (lambda: torch.tensor([1.0]), "made of numbers"),
        (lambda: torch.ones(3) + ELSEWHERE, "from outside"),
    ],
)
def test_what_a_gpu_would_not_record_is_refused(work: Callable[[], Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        Tapes().record(work)


@pytest.mark.parametrize("model", REFUSED)
def test_rounds_that_cannot_be_recorded_are_refused(model: str) -> None:
    made = tiny(10, model, training={"cuda_graphs": True})
    with pytest.raises(UsageError, match=f"rounds of '{model}' cannot be recorded"):
        trainer(made)


def test_on_a_cpu_nothing_is_recorded() -> None:
    """A run that began on a GPU goes on without."""
    made = tiny(10, "dcgan", training={"cuda_graphs": True})
    assert trainer(made)._playback is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("case", CASES)
def test_a_gpu_plays_back_what_it_would_have_computed(case: str) -> None:
    made, device = recipe_of(case, deterministic=True), torch.device("cuda", 0)
    one, other = (
        Trainer(made.with_values(training={"cuda_graphs": wanted}), dataset(made), device) for wanted in (False, True)
    )
    for _ in range(14):
        one.round()
        other.round()
    assert other.means() == pytest.approx(one.means(), rel=1e-4, abs=1e-6)
    for name, network in one.networks.items():
        for key, value in network.state_dict().items():
            torch.testing.assert_close(other.networks[name].state_dict()[key], value, rtol=1e-3, atol=1e-5)
