"""One round at a time: exactness, averages, rates, frozen networks."""

import copy
import math
from typing import Any

import pytest
import torch
from tiny import dataset, same, tiny, trainer

from gancli import checkpoint
from gancli.errors import UsageError
from gancli.runs import planning
from gancli.training.batches import ImageBatches
from gancli.training.loop import Trainer
from gancli.training.optimizers import rate_factor
from gancli.zoo import catalogue

MODELS = [name for name in catalogue.models() if not name.endswith("-small")]
"""Small versions of a model have its parts."""


@pytest.mark.parametrize("model", MODELS)
def test_n_and_n_rounds_are_2n_rounds_through_a_file(model: str, tmp_path) -> None:
    whole = trainer(tiny(8, model))
    for _ in range(4):
        whole.round()
    flat, plain = checkpoint.flatten(whole.state())
    checkpoint.write(tmp_path / "s.safetensors", flat, {"state": plain})
    for _ in range(4):
        whole.round()
    torch.manual_seed(12345)  # whatever else happened in between must not matter
    rest = trainer(tiny(8, model))
    read, header = checkpoint.read(tmp_path / "s.safetensors")
    rest.load_state(checkpoint.unflatten(header["state"], read))
    for _ in range(4):
        rest.round()
    assert same(whole.state(), rest.state())


@pytest.mark.parametrize("model", MODELS)
def test_twice_the_same_with_deterministic_kernels(model: str) -> None:
    made = tiny(3, model, training={"deterministic": True})
    pair = [trainer(made) for _ in range(2)]
    assert torch.are_deterministic_algorithms_enabled()
    for one in pair:
        for _ in range(3):
            one.round()
    assert same(pair[0].state(), pair[1].state())
    trainer(tiny(3))
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_is_another_training() -> None:
    a, b = (trainer(tiny(training={"seed": seed})) for seed in (0, 1))
    assert not same(a.state(), b.state())


def test_sampling_in_between_changes_nothing() -> None:
    quiet, watched = trainer(tiny()), trainer(tiny())
    for _ in range(3):
        quiet.round()
        watched.round()
        watched.sample(watched.spec.latent.from_seeds(range(5)))
        watched.means()
    assert same(quiet.state(), watched.state())


def test_the_average_follows_its_formula() -> None:
    """After the first round it is a copy; then every tensor moves by 1 - 0.5 ** (batch / half-life)."""
    one = trainer(tiny(training={"ema": {"kimg": 0.05, "rampup": 0}, "batch": 12}))
    one.round()
    average, generator = one.sampled.state_dict(), one.generator.state_dict()
    assert all(torch.equal(average[name], generator[name]) for name in generator)
    before = copy.deepcopy(average)
    one.round()
    weight = 1 - 0.5 ** (12 / 50)
    for name, value in one.generator.state_dict().items():
        expected = torch.lerp(before[name], value, weight) if value.is_floating_point() else value
        torch.testing.assert_close(one.sampled.state_dict()[name], expected)


def test_a_player_trains_its_own_networks_and_no_other() -> None:
    one = trainer(tiny())
    for player in one.players:
        with one._frozen(one._others[player.name]):
            trained = {name for name, network in one.networks.items() if next(network.parameters()).requires_grad}
        assert trained == set(player.networks)
    assert all(p.requires_grad for network in one.networks.values() for p in network.parameters())


@pytest.mark.parametrize(
    ("progress", "decay", "factor"),
    [(0, 0, 1), (0.99, 0, 1), (0.2, 0.5, 1), (0.5, 0.5, 1), (0.75, 0.5, 0.5), (1, 0.5, 0), (0.9, 1, 0.1)],
)
def test_rates_fall_at_the_end(progress: float, decay: float, factor: float) -> None:
    assert rate_factor(progress, decay) == pytest.approx(factor)


def test_rates_reach_the_optimizers() -> None:
    one = trainer(tiny(4, training={"rate_decay": 0.5}))
    seen = []
    for _ in range(4):
        one.round()
        seen.append(one.optimizers["generator"].param_groups[0]["lr"])
    assert seen == pytest.approx([2e-3, 2e-3, 2e-3, 1e-3])


def test_means_are_over_the_rounds_since_the_last_call() -> None:
    one, single = trainer(tiny()), trainer(tiny())
    parts = []
    for _ in range(3):
        one.round()
        single.round()
        parts.append(single.means())
    means = one.means()
    assert one.means() == {}
    assert {"loss/discriminator", "loss/generator", "probability/real", "gradient/generator"} <= set(means)
    for name, value in means.items():
        seen = [part[name] for part in parts if name in part]  # gradients are looked at now and then
        assert value == pytest.approx(sum(seen) / len(seen), rel=1e-5)


def test_the_feed_shows_every_image_once_an_epoch() -> None:
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    feed = ImageBatches(images, images.flatten().long(), 4, 0, torch.device("cpu"), (0.0, 255.0))
    batches = [feed.next() for _ in range(5)]
    seen = torch.cat([batch.images.flatten() for batch in batches]).int().tolist()
    assert torch.cat([batch.labels for batch in batches]).tolist() == seen
    assert sorted(seen[:10]) == list(range(10))
    assert sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_the_feed_goes_on_from_a_count() -> None:
    images = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    a, b = (ImageBatches(images, None, 4, 7, torch.device("cpu"), (-1.0, 1.0), mirror=True) for _ in range(2))
    batches = [a.next().images for _ in range(6)]
    b.drawn = 12
    assert torch.equal(b.next().images, batches[3])
    assert batches[0].min() >= -1


def test_a_batch_larger_than_the_data_takes_several_epochs() -> None:
    feed = ImageBatches(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), None, 8, 0, torch.device("cpu"), (0.0, 1.0))
    assert feed.next().images.shape == (8, 1, 2, 2)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"optimizer": {"critic": {"name": "adam", "lr": 1.0}}},
            "optimizer.critic: belongs to no player, one of: discriminator, generator",
        ),
        (
            {"objective": {"order": ["generator", "generator"]}},
            "objective.order = ['generator', 'generator']: each side plays once, as in ['discriminator', 'generator']",
        ),
    ],
)
def test_parts_that_do_not_fit_together(sections: dict, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        trainer(tiny(**sections))
    assert refused.value.message == f"the recipe has an error:\n  {message}"


def test_budgets_become_rounds() -> None:
    for budget, rounds in (("7 rounds", 7), ("2 minutes", 240), ("3 epochs", 30), ("2.5 kimg", 25), ("0.001 kimg", 1)):
        assert planning.rounds_of(tiny(training={"budget": budget}), 1000, images=100, seconds=0.5) == rounds


def test_a_budget_in_minutes_has_room_for_previews() -> None:
    made = tiny(training={"budget": "1 minutes"})
    for previews, rounds in ((0.0, 120), (10.0, 100), (45.0, 60)):
        assert planning.rounds_of(made, 1000, images=100, seconds=0.5, previews=previews) == rounds


def test_measuring_leaves_no_trace() -> None:
    made = tiny()
    fresh = trainer(made)
    planning.measure(made, dataset(made), torch.device("cpu"), seconds=0.1)
    assert same(fresh.state(), trainer(made).state())


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_both_ways_of_a_round_make_products_in_its_precision(precision: str, monkeypatch) -> None:
    one, seen = trainer(tiny(model="dcgan")), []
    monkeypatch.setattr(one, "settings", one.settings.model_copy(update={"precision": precision}))
    for network in one.networks.values():
        network.register_forward_hook(lambda *_: seen.append(torch.backends.cuda.matmul.allow_tf32))
    next(one.generator.parameters()).register_hook(lambda _: seen.append(torch.backends.cudnn.allow_tf32))
    one.round()
    assert len(seen) >= 4
    assert set(seen) == {precision == "tf32"}


def test_the_precision_is_decided_by_the_hardware_alone(monkeypatch) -> None:
    cpu, asked = torch.device("cpu"), tiny().with_values(training={"precision": "auto"})
    monkeypatch.setattr(planning, "multiplies_bf16", lambda: True)
    assert planning.resolve(asked, dataset(asked), cpu).training.precision == "bf16"
    monkeypatch.setattr(planning, "multiplies_bf16", lambda: False)
    assert planning.resolve(asked, dataset(asked), cpu).training.precision == "fp32"
    assert planning.measure_precision(tiny(), dataset(asked), cpu) == (
        "fp32",
        "this cpu does not multiply bf16 natively",
    )


def test_bf16_trains() -> None:
    one = trainer(tiny(training={"precision": "bf16"}))
    for _ in range(3):
        one.round()
    weights = [p for network in one.networks.values() for p in network.parameters()]
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in weights)


def fp16(**sections: Any) -> Trainer:
    """A training with loss scaling, and a gradient of a gradient in every round."""
    objective = {"regularizers": {"r1": {"weight": 1.0}}}
    return trainer(tiny(model="dcgan", objective=objective, training={"precision": "fp16", **sections}))


def test_fp16_agrees_with_fp32_and_resumes_bit_exactly() -> None:
    one, exact = fp16(), fp16(precision="fp32")
    for each in (one, exact):
        each.round()
    found, expected = one.means(), exact.means()
    assert found["loss/r1"] == pytest.approx(expected["loss/r1"], rel=0.05)
    assert found["loss/discriminator"] == pytest.approx(expected["loss/discriminator"], rel=0.05)
    state = copy.deepcopy(one.state())
    assert {name: 0 < each["scale"] <= 65536 for name, each in state["scalers"].items()} == dict.fromkeys(
        ("discriminator", "generator"), True
    )
    for scaler in one.scalers.values():
        scaler.load_state_dict(scaler.state_dict() | {"scale": 128.0})
    for _ in range(2):
        one.round()
    assert one.means()["skipped/discriminator"] == 0
    rest = fp16()
    state["scalers"] = {name: each | {"scale": 128.0} for name, each in state["scalers"].items()}
    rest.load_state(state)
    for _ in range(2):
        rest.round()
    assert same(one.state(), rest.state())


def test_an_overflow_skips_the_step_and_halves_the_scale() -> None:
    one = fp16()
    for scaler in one.scalers.values():
        scaler.load_state_dict(scaler.state_dict() | {"scale": 2.0**60})
    before = [p.detach().clone() for network in one.networks.values() for p in network.parameters()]
    one.round()
    after = [p for network in one.networks.values() for p in network.parameters()]
    assert all(map(torch.equal, before, after))
    means = one.means()
    assert (means["skipped/discriminator"], means["skipped/generator"]) == (1, 1)
    assert all(math.isfinite(value) for value in means.values())
    assert {each["scale"] for each in one.state()["scalers"].values()} == {2.0**59}
    state = one.state()
    state["scalers"]["generator"]["scale"] = math.inf
    with pytest.raises(ValueError, match="no scale"):
        fp16().load_state(state)


def test_auto_is_fp16_on_gpus_with_tensor_cores_and_without_bf16(monkeypatch) -> None:
    gpu, capability = torch.device("cuda", 0), {"P100": (6, 0), "T4": (7, 5), "A100": (8, 0)}
    found = {}
    for name, version in capability.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, version=version: version)
        found[name] = planning.half_precision(gpu)
    assert found == {"P100": None, "T4": "fp16", "A100": "bf16"}
    asked = tiny().with_values(training={"precision": "fp16"})
    with pytest.raises(UsageError, match="loss scaling is for CUDA"):
        planning.resolve(asked, dataset(asked), torch.device("mps"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU: fp16 is tested on the CPU alone")
def test_fp16_trains_on_a_gpu() -> None:
    made = tiny(model="dcgan", training={"precision": "fp16"})
    one = Trainer(made, dataset(made), torch.device("cuda", 0))
    for _ in range(30):
        one.round()
    means = one.means()
    assert all(math.isfinite(value) for value in means.values())
    assert means["skipped/discriminator"] < 0.8


def test_classes_are_drawn_as_often_as_the_data_have_them() -> None:
    made = tiny(2, "cgan")
    labels = dataset(made).labels
    assert labels is not None
    expected = torch.bincount(labels).double() / len(labels)
    assert made.latent.shares == pytest.approx(expected.tolist(), abs=1e-5)
    assert planning.resolve(made, dataset(made), torch.device("cpu")).latent == made.latent
    even = tiny(2, "cgan", latent={"shares": [0.1] * 10})
    assert even.latent.shares == [0.1] * 10


def test_a_state_of_another_kind_of_device_is_taken_with_the_kernels_of_this_one() -> None:
    one, other = trainer(tiny()), trainer(tiny())
    one.round()
    state = one.state()
    for saved in state["optimizer"].values():
        for group in saved["param_groups"]:
            group["fused"] = not group["fused"]
    other.load_state(state)
    assert all(group["fused"] for optimizer in other.optimizers.values() for group in optimizer.param_groups)
    other.round()
