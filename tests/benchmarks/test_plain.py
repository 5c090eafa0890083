"""The plain loop and gancli's compute the same training; and what tutorials train is what is claimed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from benchmarks import limit, plain, tutorial
from gancli import recipe
from gancli.data import Dataset, load
from gancli.errors import UsageError
from gancli.recipe import Recipe
from gancli.runs import planning
from gancli.training.loop import Trainer
from gancli.zoo import catalogue


def both(**options) -> dict[str, dict]:
    return {"generator": options, "discriminator": options}


# Without dropout: its masks are drawn in the order in which layers and memory are gone through, which is not the same.
SMALL = {
    "gan": both(hidden=[16, 12], dropout=0.0),
    "mlp-gan": both(hidden=[16]),
    "dcgan": both(width=4),
    "wgan": both(width=4),
    "wgan-gp": both(width=4),
    "vae": {"generator": {"hidden": [16]}, "encoder": {"hidden": [16]}},
    "dcgan-upsample": {
        "generator": {"dropout": 0.0, "depth": 4, "depths": [4, 4, 4]},
        "discriminator": {"dropout": 0.0, "depths": [4, 4, 4]},
    },
}


def resolved(model: str, **sections) -> tuple[Recipe, Dataset]:
    """A recipe with narrow networks for digits, float32."""
    table = recipe.for_data(catalogue.recipe_table(model), "digits")
    size = 16 if "width" in SMALL[model]["generator"] else 8  # two stages, of which one has batch norm
    small = {
        "data": {"size": [size, size]},
        "latent": {"dim": 6},
        "training": {"rounds": 1000, "batch": 12, "precision": "fp32"},
        "networks": SMALL[model],
    }
    made = recipe.parse(recipe.merge(recipe.merge(table, small), sections))
    dataset = load("digits", size=(size, size))
    return planning.resolve(made, dataset, plain.CPU), dataset


def alike(model: str, **sections) -> tuple[Trainer, dict[str, torch.nn.Module], plain.Loop]:
    """A trainer and a plain loop from the same weights, for the same batches and the same latents."""
    made, dataset = resolved(model, **sections)
    fast, feeder = Trainer(made, dataset, plain.CPU), Trainer(made, dataset, plain.CPU)
    if model in ("vae", "wgan-gp"):
        # Whose chance is more than latents: all of it comes from one place in the same order, as in a tutorial.
        fast.noise = feeder.noise = torch.default_generator
    networks = plain.networks_of(made)
    for name, network in networks.items():
        network.load_state_dict(fast.networks[name].state_dict())

    def images() -> Iterator[Tensor]:
        while True:
            yield feeder.batches.next().images.contiguous()

    return fast, networks, plain.loop_of(made, networks, images(), lambda: feeder._latents()["z"])


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in float64: also what is float32 for the sake of bf16."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def apart(fast: Trainer, networks: dict[str, torch.nn.Module]) -> float:
    """The largest difference between any two weights."""
    return max(
        float((value - fast.networks[name].state_dict()[key]).abs().max())
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    )


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("model", SMALL)
def test_in_float64_fifty_steps_give_the_same_weights(model: str) -> None:
    fast, networks, loop = alike(model)
    before = {name: [p.detach().clone() for p in network.parameters()] for name, network in networks.items()}
    rounds = 10 if model.startswith("wgan") else 50  # a round of theirs has six steps
    torch.manual_seed(1)
    for _ in range(rounds):
        fast.round()
    torch.manual_seed(1)
    for _ in range(rounds):
        next(loop)
    for name, network in networks.items():
        assert all(p.dtype == torch.float64 for p in network.parameters())
        assert any(not torch.equal(p, old) for p, old in zip(network.parameters(), before[name], strict=True))
    assert apart(fast, networks) < 1e-8


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("reuse", [False, True])
def test_fakes_are_made_once_or_twice_a_round_as_the_recipe_says(reuse: bool) -> None:
    fast, networks, loop = alike("dcgan", objective={"reuse_fake": reuse})
    for _ in range(10):
        fast.round()
        next(loop)
    assert apart(fast, networks) < 1e-8


@pytest.mark.parametrize("model", SMALL)
def test_in_float32_gradients_agree_to_rounding(model: str) -> None:
    """Of every step of a round that starts from a training's weights and leaves them where they are."""
    trained, _, _ = alike(model)
    for _ in range(3):
        trained.round()
    fast, networks, loop = alike(model, optimizer={name: {"lr": 1e-30} for name in trained.optimizers})
    for name, network in trained.networks.items():
        fast.networks[name].load_state_dict(network.state_dict())
        networks[name].load_state_dict(network.state_dict())
    ours, theirs = gradients(fast.round), gradients(lambda: next(loop))
    assert len(ours) == len(theirs) == sum(player.steps_in(0) for player in fast.players)
    for one, other in zip(ours, theirs, strict=True):
        assert one.norm() > 0
        assert (one - other).norm() <= 1e-5 * one.norm()


def gradients(step: Callable[[], object]) -> list[Tensor]:
    """What every step of an optimizer was given, as one vector each."""
    found: list[Tensor] = []

    def keep(optimizer: torch.optim.Optimizer, *_: object) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        found.append(torch.cat([p.grad.flatten() for p in parameters]))

    hook = register_optimizer_step_pre_hook(keep)
    torch.manual_seed(1)
    try:
        step()
    finally:
        hook.remove()
    return found


@pytest.mark.parametrize("model", ["dcgan", "dcgan-upsample"])
def test_layers_are_computed_as_tutorials_write_them(model: str) -> None:
    """Upwards by transposed convolutions, downwards by kernels of the layer's own size, with gradients too."""
    made, _ = resolved(model)
    networks, side = plain.networks_of(made), 4 if model == "dcgan" else 5
    with limit._Recorder() as up:
        images = networks["generator"](torch.randn(2, 6))
    with limit._Recorder() as down:
        networks["discriminator"](images)
    for recorder, transposed in ((up, True), (down, False)):
        convolutions = [call for call in recorder.found if call.function == "convolution"]
        assert convolutions
        for call in convolutions:
            _, weight, _, _, _, _, turned, *_ = call.arguments
            assert (weight.shape[2:], turned) == ((side, side), transposed)


def test_the_tutorials_networks_are_those_of_the_paper() -> None:
    generator, discriminator = tutorial.dcgan()
    counts = [sum(p.numel() for p in network.parameters()) for network in (generator, discriminator)]
    # 4x4 kernels: 100 -> 256 -> 128 -> 64 -> 1 and 1 -> 64 -> 128 -> 256 -> 1, two values a channel of batch norm.
    assert counts[0] == 16 * (100 * 256 + 256 * 128 + 128 * 64 + 64) + 2 * (256 + 128 + 64)
    assert counts[1] == 16 * (64 + 64 * 128 + 128 * 256 + 256) + 2 * (128 + 256)
    images = generator(torch.randn(4, 100))
    assert images.shape == (4, 1, 32, 32)
    assert float(images.detach().abs().max()) <= 1
    assert discriminator(images).shape == (4, 1)
    assert float(generator[1].weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_colour_images_are_the_same_on_both_sides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "noto-emoji-72"
    folder.mkdir()
    pixels = torch.randint(0, 256, (6, 64, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image.numpy()).save(folder / f"{number}.png")
    monkeypatch.setenv("GANCLI_DATA", str(tmp_path))
    case = plain.COLOUR[1]
    made, dataset = plain.prepare(case)
    with plain.samples(case, made, dataset) as there:
        read = torch.stack([image for image, _ in there])
    torch.testing.assert_close(read, dataset.images / 127.5 - 1)
    assert read.shape == (6, 3, 64, 64)


def test_absent_data_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANCLI_DATA", str(tmp_path))
    assert plain.COLOUR[0].place is None
    with pytest.raises(UsageError, match=r"cifar10-jpg-train\.zip is not under \$GANCLI_DATA"):
        plain.prepare(plain.COLOUR[0])
