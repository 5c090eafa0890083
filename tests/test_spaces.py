"""Generators with a mapping network: w in place of z, truncation toward its mean, and everything that works in w."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import Copy, Mapped, mapped, model_of

import gancli
from gancli import checkpoint, recipe, registry
from gancli.architectures import MappingGenerator, Spec
from gancli.editing.arithmetic import mix, parse
from gancli.editing.inpainting import inpaint
from gancli.editing.inversion import Perception, invert, search_space
from gancli.editing.traversal import traverse
from gancli.errors import UsageError
from gancli.latents import LatentSpec, path
from gancli.latents.truncation import check, toward_mean
from gancli.training.distributed.batch_norm import share


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a model with a mapping network, of a family that is registered for this test."""
    monkeypatch.setitem(registry._added, ("architecture", "mapped"), {"generator": Mapped})
    table = {
        "model": "mapped",
        "data": {"name": "digits", "size": [8, 8], "channels": 1},
        "latent": {"dim": 6},
        "networks": {"generator": {"architecture": "mapped"}},
        "objective": {"name": "adversarial"},
        "optimizer": {},
    }
    made = recipe.parse(table, components=False)
    header = {"format": checkpoint.FORMAT, "kind": "model", "recipe": made.to_dict(), "networks": ["generator"]}
    tensors = {f"generator.{name}": value for name, value in mapped().state_dict().items()}
    checkpoint.write(tmp_path / "w.safetensors", tensors, {**header, "latent": LatentSpec(6).to_dict()})
    return tmp_path / "w.safetensors"


def test_the_halves_of_a_generator_are_the_whole() -> None:
    generator = mapped()
    inputs = generator.latent.from_seeds(range(5))
    w = generator.map(**inputs)
    assert w.shape == (5, generator.layers, 8)
    assert torch.equal(generator(**inputs), generator.synthesize(w))
    plain = gancli.load("quick/digits", device="cpu").latents()
    inputs = plain.latent.from_seeds(range(5))
    assert plain.layers == 1
    assert torch.equal(plain.map(**inputs), plain.latent.join(**inputs))
    assert torch.equal(plain(**inputs), plain.synthesize(plain.map(**inputs)))


def test_noise_is_constant_when_sampling() -> None:
    model = model_of(mapped())
    together = model.sample(seeds=range(6))
    assert torch.equal(together, torch.cat([model.sample(seeds=[seed]) for seed in range(6)]))


def test_the_mean_of_w_follows_in_training_over_all_processes() -> None:
    generator = mapped()
    before = generator.w_mean.clone()
    inputs = generator.latent.from_seeds(range(32))
    generator.map(**inputs)
    assert torch.equal(generator.w_mean, before)
    assert torch.isclose(
        before, generator.map(**generator.latent.from_seeds(range(2000)))[:, 0].mean(0), atol=0.1
    ).all()

    class World:
        @staticmethod
        def mean(value: torch.Tensor) -> torch.Tensor:
            return value + 1

    share(generator.train(), World())  # ty: ignore[invalid-argument-type]
    found = generator.map(**inputs)
    torch.testing.assert_close(generator.w_mean, before.lerp(found.mean((0, 1)) + 1, generator.w_momentum))


def test_psi_moves_w_toward_its_mean() -> None:
    model = model_of(mapped())
    w, mean = model.points(model.latent.from_seeds(range(9)), "w")["w"], model.centre("w")["w"]
    whole = model.sample(seeds=range(9))
    model.truncate(1.0)
    assert (model.sample(seeds=range(9)).int() - whole.int()).abs().max() <= 1
    model.truncate(0.5)
    torch.testing.assert_close(model.points(model.latent.from_seeds(range(9)), "w")["w"], (w + mean) / 2)
    assert torch.equal(model.latent.from_seeds([3])["z"], LatentSpec(6).from_seeds([3])["z"])
    model.truncate(0.0)
    assert len(model.sample(seeds=range(9)).unique(dim=0)) == 1
    w = torch.randn(4, 3, 2)
    few = toward_mean(w, torch.ones(1, 2), None, 0.0, layers=1)
    assert torch.equal(few[:, 0], torch.ones(4, 2))
    assert torch.equal(few[:, 1:], w[:, 1:])


def test_psi_moves_w_toward_the_mean_of_its_class() -> None:
    model = model_of(mapped(latent=LatentSpec(6, classes=3)))
    z = model.latent.from_seeds(range(2000, 6000))["z"]  # others than those that the means are taken over
    means = torch.stack([model.map({"z": z, "y": torch.full((4000,), number)})[:, 0].mean(0) for number in range(3)])
    apart = (means[0] - means[1]).norm()
    torch.testing.assert_close(model.w_means, means, atol=0.1 * apart, rtol=0)
    inputs = {"z": z[:6], "y": torch.tensor([0, 1, 2, 0, 1, 2])}
    w = model.map(inputs)
    model.truncate(0.25)
    torch.testing.assert_close(model.map(inputs), model.w_means[inputs["y"]][:, None] * 0.75 + w * 0.25)
    model.truncate(0.0)
    mixed = {"z": z[:1], "y": torch.tensor([[0.5, 0.0, 0.5]])}
    torch.testing.assert_close(model.map(mixed)[0, 0], (model.w_means[0] + model.w_means[2]) / 2)
    assert len(model.generate(inputs).unique(dim=0)) == 3


@pytest.mark.parametrize("value", [-2.5, 3.0, float("nan")])
def test_each_strategy_has_a_range_of_its_own(value: float) -> None:
    with pytest.raises(UsageError, match="moves w toward its mean by a factor") as refused:
        model_of(mapped()).truncate(value)
    assert refused.value.hint.startswith("from -2 to 2; 1 changes nothing")
    if value != 3:
        with pytest.raises(UsageError, match="leaves nothing to draw from"):
            check("z-cutoff", value)


def test_a_file_holds_the_mean_of_w(stored: Path) -> None:
    model = gancli.load(stored, device="cpu")
    assert isinstance(model.generator, MappingGenerator)
    assert torch.equal(model.generator.w_mean, mapped().w_mean)
    assert (model.space(), model.space("z")) == ("w", "z")
    same = gancli.load(stored, device="cpu", truncation=0)
    assert same.truncation == 0
    assert len(same.sample(seeds=range(3)).unique(dim=0)) == 1


def test_a_path_in_w_is_straight_and_passes_its_keyframes() -> None:
    model = model_of(mapped(latent=LatentSpec(6, classes=3)))
    keyframes = model.points(model.latent.from_seeds([3, 14]), "w")
    walk = path(model.latent, keyframes, 4)
    assert walk["w"].shape == (5, 3, 8)
    assert torch.equal(walk["w"][[0, 4]], keyframes["w"])
    torch.testing.assert_close(walk["w"][2], keyframes["w"].mean(0))
    assert torch.equal(model.generate(walk)[[0, 4]], model.sample(seeds=[3, 14]))


def test_arithmetic_in_w_adds_differences_from_the_mean() -> None:
    model = model_of(mapped())
    w, mean = model.points(model.latent.from_seeds([3, 14, 15]), "w")["w"], model.centre("w")["w"]
    torch.testing.assert_close(mix(model, parse("3 - 14 + 15"))[0]["w"][-1], w[0] - w[1] + w[2])
    torch.testing.assert_close(mix(model, parse("0.5*3"))[0]["w"][-1], (w[0] + mean) / 2)
    assert set(mix(model, parse("3 - 14 + 15"), space="z")[0]) == {"z"}
    with pytest.raises(UsageError, match="cancel each other out"):
        mix(model, parse("3 - 3"))


def test_a_dimension_of_w_goes_through_its_standard_deviations() -> None:
    model = model_of(mapped())
    images = traverse(model, 7, ["2", "5"], [-2.0, 0.0, 2.0])
    w = model.points(model.latent.from_seeds(range(1000)), "w")["w"].flatten(0, 1)
    own = model.points(model.latent.from_seeds([7]), "w")["w"]
    own[..., 5] = w[:, 5].mean() + 2 * w[:, 5].std()
    assert images.shape == (6, 1, 8, 8)
    assert torch.equal(images[5:], model.generate({"w": own}))
    z = model.latent.from_seeds([7])["z"]
    z[0, 2] = -2
    assert torch.equal(traverse(model, 7, ["2"], [-2.0], space="z"), model.sample(z=z))


def test_what_a_mapping_generator_made_is_found_again_in_w() -> None:
    model = model_of(mapped())
    images = model.sample(seeds=[5000, 5001])
    found = invert(model, images, steps=100)
    assert found["w"].shape == (2, 3, 8)
    near = invert(model, images, steps=0, restarts=1)

    def error(inputs: Any) -> torch.Tensor:
        return (model.generate(inputs).float() - images.float()).square().mean((1, 2, 3))

    assert (error(found) < 0.1 * error(near) + 1).all()
    assert set(invert(model, images, space="z", steps=1)) == {"z"}
    one = invert(model, images, space="w", steps=60)["w"]
    assert one.shape == (2, 3, 8)
    assert (one == one[:, :1]).all()
    assert not (found["w"] == found["w"][:, :1]).all()
    assert (error({"w": one}) < 0.1 * error({"w": model.centre("w")["w"].expand(2, 3, 8)}) + 1).all()
    hole = torch.zeros(2, 8, 8, dtype=torch.bool)
    hole[:, 2:5, 2:5] = True
    filled, inputs = inpaint(model, images, hole, steps=60)
    assert (inputs["w"] == inputs["w"][:, :1]).all()
    assert (filled.float() - images.float()).abs()[:, :, 2:5, 2:5].mean() < 20


def test_a_model_without_a_mapping_network_has_no_w() -> None:
    model = gancli.load("dcgan/digits", device="cpu")
    assert (model.space(), model.w_width, model.centre("z")) == ("z", 0, {})
    with pytest.raises(UsageError) as refused:
        search_space(model, "w+")
    assert refused.value.message == "'dcgan/digits' has no space w: its generator has no mapping network"
    with pytest.raises(UsageError, match="makes images from images"):
        model_of(Copy(Spec((1, 4, 4), LatentSpec(1)))).space()


@pytest.mark.parametrize(
    "command",
    [
        ("interpolate", "dcgan/digits", "--seeds", "1,2"),
        ("traverse", "dcgan/digits"),
        ("mix", "dcgan/digits", "1 + 2"),
        ("reconstruct", "dcgan/digits", "digits", "-n", "1"),
        ("reconstruct", "vae/digits", "digits", "-n", "1"),
        ("inpaint", "dcgan/digits", "digits", "--mask", "2,2,3,3"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_refuse_w_of_a_model_without_it(run_cli: Callable[..., Any], command: tuple[str, ...]) -> None:
    result = run_cli(*command, "--space", "w")
    message = f"'{command[1]}' has no space w: its generator has no mapping network"
    assert (result.code, result.err.endswith(f"error: {message}\n\nhint: use --space z\n")) == (2, True)


def test_commands_work_in_w(run_cli: Callable[..., Any], stored: Path) -> None:
    for space in ("z", "w"):
        done = json.loads(run_cli("mix", stored, "3 - 14 + 15", "--space", space, "--json").out)
        assert list(done["result"]) == [space]
        found = json.loads(run_cli("traverse", stored, "--space", space, "--steps", 3, "--json").out)
        assert len(found["rows"]) == {"z": 6, "w": 8}[space]
        walk = ("interpolate", stored, "--seeds", "1,2", "--frames", 2, "--space", space, "--truncation", 0.7)
        assert run_cli(*walk, "--out", f"{space}.png").code == 0
    search = ("reconstruct", stored, "digits", "-n", 1, "--steps", 2)
    spaces = [json.loads(run_cli(*search, "--json", *more).out)["space"] for more in ((), ("--space", "w"))]
    assert spaces == ["w+", "w"]
    assert run_cli(*search).err.startswith("1 image by search in w+, PSNR ")
    assert run_cli("inpaint", stored, "digits", "--mask", "2,2,3,3", "--steps", 2, "--space", "w+").code == 0
    assert Path("z.png").read_bytes() != Path("w.png").read_bytes()
    refused = run_cli("sample", stored, "--truncation", 7)
    assert refused.err.startswith("error: --truncation 7 is out of range: this model moves w toward its mean")
    refused = run_cli("traverse", stored, "--dims", "8")
    assert "the model has no dimension 8" in refused.err


def test_a_search_in_w_begins_at_the_mean_as_well() -> None:
    model = model_of(mapped())
    images = model.sample(seeds=[5000])
    w = invert(model, images, space="w", steps=0, restarts=1)["w"]
    torch.testing.assert_close(w, model.centre("w")["w"].expand(1, 3, 8))
    # Of several starts the best end counts, and without a step that is a seed.
    assert not torch.equal(invert(model, images, space="w", steps=0)["w"], w)


def test_w_plus_needs_layers_and_comes_nearest() -> None:
    class Single(Mapped):
        layers = 1

        def mapping(self, z: torch.Tensor, *_: Any) -> torch.Tensor:
            return super().mapping(z)[:, 0]

        def synthesize(self, w: torch.Tensor) -> torch.Tensor:
            return super().synthesize(w[:, None])

    single = model_of(Single(Spec((1, 8, 8), LatentSpec(6))).eval().requires_grad_(False))
    assert [search_space(single), search_space(model_of(mapped()))] == ["w", "w+"]
    with pytest.raises(UsageError, match="has one row of w for its whole generator: w\\+ is w"):
        search_space(single, "w+")
    assert invert(single, single.sample(seeds=[7]), steps=2)["w"].shape == (1, 8)
    model = model_of(mapped())
    w = model.points(model.latent.from_seeds(range(5000, 5006)), "w")["w"]
    mixed = model.generate({"w": torch.stack([w[:2, 0], w[2:4, 1], w[4:, 2]], 1)})

    def error(space: Any) -> torch.Tensor:
        made = model.generate(invert(model, mixed, space=space, steps=60, restarts=2))
        return (made.float() - mixed.float()).square().mean((1, 2, 3))

    assert (error("w+") < 0.5 * error("w")).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_perception_is_the_relative_distance_of_features(channels: int) -> None:
    from gancli.evaluation.extractors import find
    from gancli.evaluation.features import Reader

    model = model_of(mapped())
    images = torch.randint(0, 256, (3, channels, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    if channels == 4:
        images[:, 3] = 255
    found = Perception(model, images / 255).distance(images[[2, 0, 1]][:, None] / 255, slice(0, 3))
    network, digest = find("digits-cnn").load()
    features = Reader(find("digits-cnn"), network, digest).read("", [images[:, :3]], 3).values
    expected = (features[[2, 0, 1]] - features).square().sum(1) / features.square().sum(1)
    torch.testing.assert_close(found[:, 0], expected, atol=1e-4, rtol=1e-3)
    assert float(Perception(model, images / 255).distance(images[:, None] / 255, slice(0, 3)).max()) < 1e-6
