"""Translation without pairs: its losses by hand, its pool, and its place in training."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from steps import ToyDiscriminator, losses, random, step
from torch import Tensor, nn

from gancli import checkpoint, recipe
from gancli.data import Dataset, load
from gancli.data.pairs.styles import restyle
from gancli.objectives._pool import ImagePool
from gancli.objectives.cyclegan import CycleGan
from gancli.recipe import Recipe
from gancli.terms.batch import Batch
from gancli.terms.step import Step
from gancli.training.loop import Trainer
from gancli.zoo import catalogue

CPU = torch.device("cpu")


class Shift(nn.Module):
    """Adds a constant to every pixel."""

    shape = (1, 1, 1)

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, source: Tensor) -> Tensor:
        return source + self.by


class Mean(ToyDiscriminator):
    """The mean pixel as logit."""

    def forward(self, images: Tensor, source: Tensor | None = None) -> Tensor:
        return images.mean((1, 2, 3), keepdim=True)


def batch(images: float, sources: float) -> Batch:
    made = [torch.full((2, 1, 1, 1), value) for value in (images, sources)]
    return Batch(made[0], source=made[1])


def by_hand(cycle: float, identity: float, **options: Any) -> CycleGan:
    networks = {"generator": Shift(0.5), "back": Shift(-0.25), "discriminator": Mean(), "discriminator_source": Mean()}
    return CycleGan(networks, cycle=cycle, identity=identity, **options)


def test_losses_by_hand() -> None:
    """Images are 1.0, sources 0.0: made images 0.5, made sources 0.75."""
    objective = by_hand(cycle=10.0, identity=4.0)
    shared: dict[str, Any] = {}
    found = losses(objective, "generator", step(objective, batch(1.0, 0.0), shared=shared))
    assert found["generator"].item() == pytest.approx((0.5 - 1) ** 2)
    assert found["back"].item() == pytest.approx((0.75 - 1) ** 2)
    # There and back adds a quarter to either side.
    assert found["cycle"].item() == pytest.approx(10 * (0.25 + 0.25))
    assert found["identity"].item() == pytest.approx(4 * (0.5 + 0.25))
    found = losses(objective, "discriminator", step(objective, shared=shared))
    assert found["discriminator"].item() == pytest.approx(((1 - 1) ** 2 + 0.5**2) / 2)
    assert found["discriminator_source"].item() == pytest.approx(((0 - 1) ** 2 + 0.75**2) / 2)


def test_terms_of_weight_zero_are_not_computed() -> None:
    objective = by_hand(cycle=0.0, identity=0.0)
    assert set(losses(objective, "generator", step(objective, batch(1.0, 0.0)))) == {"generator", "back"}


def test_a_pool_fills_and_then_gives_old_fakes_half_of_the_time() -> None:
    pool, generator = ImagePool(5, (1, 1, 1)), torch.Generator().manual_seed(0)
    given, old = [], 0
    for number in range(200):
        fresh = (torch.arange(3.0) + 3 * number)[:, None, None, None]
        shown = pool.exchange(fresh, 3 * number, generator)
        assert shown.shape == fresh.shape
        if number < 2:
            assert torch.equal(shown, fresh)
        else:
            old += int((shown != fresh).sum())
        given += shown.flatten().tolist()
    assert 0.4 < old / (3 * 198) < 0.6
    # A fake is shown when it is new or when it leaves the pool; only those that fill it are shown twice.
    assert len(given) - len(set(given)) <= 5
    assert sorted(given[:6]) == list(range(6))


def test_a_pool_fills_in_the_rounds_that_its_discriminator_plays() -> None:
    rest = [{"side": "discriminator", "first": first, "last": 9} for first in (0, 4)]
    objective = by_hand(cycle=10.0, identity=4.0, pool=6, rest=rest)
    assert [objective.rounds_played("discriminator", number) for number in (0, 5, 10, 12)] == [0, 0, 0, 2]
    full = []
    for number in (10, 11, 12):
        losses(objective, "discriminator", step(objective, batch(1.0, 0.0), number=number))
        full.append(int((objective.pool.kept == 0.5).sum()))
    assert full == [2, 4, 6]


def test_the_discriminators_make_fakes_of_a_batch_of_their_own() -> None:
    """As by hand above, but without a step of the generators before it."""
    objective = by_hand(cycle=10.0, identity=4.0, smoothing=0.25)
    found = losses(objective, "discriminator", step(objective, batch(1.0, 0.0)))
    assert found["discriminator"].item() == pytest.approx(((1 - 0.75) ** 2 + 0.5**2) / 2)
    assert found["discriminator_source"].item() == pytest.approx(((0 - 0.75) ** 2 + 0.75**2) / 2)


def test_an_empty_pool_changes_nothing() -> None:
    fresh = torch.rand(3, 1, 2, 2)
    assert ImagePool(0, (1, 2, 2)).exchange(fresh, 100, torch.Generator()) is fresh


def small(**sections: object) -> Recipe:
    table = recipe.for_data(catalogue.recipe_table("cyclegan"), "digits")
    narrow = {"generator": {"width": 4, "blocks": 1}, "discriminator": {"width": 4}}
    networks = {**narrow, "back": narrow["generator"], "discriminator_source": narrow["discriminator"]}
    changed = {
        "data": {"size": [8, 8], "channels": 1},
        "networks": networks,
        "objective": {"pool": 10},
        "training": {"rounds": 4, "batch": 4, "precision": "fp32", "samples": 3},
    }
    return recipe.parse(recipe.merge(recipe.merge(table, changed), sections))


def unpaired(style: str = "inverted") -> Dataset:
    digits = load("digits")
    return replace(digits, images=digits.images[:100], sources=restyle(style, digits.images[100:180]))


def test_it_trains_all_four_and_resumes_to_the_bit_with_its_pool(tmp_path) -> None:
    whole = Trainer(small(), unpaired(), CPU)
    start = {name: value.clone() for name, value in checkpoint.flatten(whole.state())[0].items()}
    for _ in range(3):
        whole.round()
    flat, plain = checkpoint.flatten(whole.state())
    checkpoint.write(tmp_path / "s.safetensors", flat, {"state": plain})
    whole.round()
    rest = Trainer(small(), unpaired(), CPU)
    read, header = checkpoint.read(tmp_path / "s.safetensors")
    rest.load_state(checkpoint.unflatten(header["state"], read))
    rest.round()
    a, b = checkpoint.flatten(whole.state())[0], checkpoint.flatten(rest.state())[0]
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert a["objective.pool.kept"].shape == (10, 1, 8, 8)
    assert a["objective.pool.kept"].abs().sum() > 0
    moved = {key.split(".")[1] for key in start if key.startswith("networks") and not torch.equal(start[key], a[key])}
    assert moved == {"generator", "back", "discriminator", "discriminator_source"}
    # Both players look at the same batch.
    assert whole.batches.drawn == 4 * 4


def test_the_preview_is_source_translation_and_round_trip() -> None:
    one = Trainer(small(), unpaired("thick"), CPU)
    real = one.batches.next()
    shown = one.preview({}, lambda: real)
    assert shown.shape == (3 * 4, 1, 8, 8)
    assert real.source is not None
    assert torch.equal(shown[::3], real.source)
    with torch.inference_mode():
        made = one.generator.eval()(source=real.source)
        torch.testing.assert_close(shown[1::3], made)
        torch.testing.assert_close(shown[2::3], one.networks["back"].eval()(source=made))


def test_parts_of_a_batch_fill_places_after_each_other() -> None:
    objective = by_hand(cycle=1.0, identity=0.0, pool=4)
    objective.pool.kept = torch.full((4, 1, 1, 1), -1.0)
    for number, part in enumerate((slice(0, 2), slice(2, 4))):
        one = Step(random(4, part=part), objective.step_options)
        objective.pool.exchange_in(one, torch.full((2, 1, 1, 1), float(number)), rounds=0)
    assert objective.pool.kept.flatten().tolist() == [0, 0, 1, 1]
