"""Loading and sampling: one seed is one image, and nothing but a whole model is loaded."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import gancli
from gancli import checkpoint, recipe
from gancli.architectures import to_uint8
from gancli.architectures._build import ALL, build
from gancli.errors import GancliError, UsageError
from gancli.zoo import catalogue

ENTRIES = [entry for entry in catalogue.entries() if entry.path]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_weights_file_of_the_zoo(entry: catalogue.Entry) -> None:
    """Loads strictly, samples what its stored picture shows, is small, tells what was measured."""
    import numpy as np
    from PIL import Image

    from gancli.zoo import cards, publishing

    assert entry.path is not None
    assert entry.path.stat().st_size < 5_000_000
    model = gancli.load(entry.name, device="cpu")
    assert model.name == entry.name
    header = model.header
    figures = {result["metric"] for result in header["evaluation"]["results"]}
    if model.takes == "latent":
        images = model.sample(seeds=range(64))
        assert images.shape == (64, *model.shape)
        assert images.dtype == (torch.float32 if model.numbers else torch.uint8)
        publishing.draw(model, Path("again.png"))
        with Image.open("again.png") as again, Image.open(entry.path.with_suffix(".png")) as stored:
            drift = np.abs(np.asarray(again, dtype=float) - np.asarray(stored, dtype=float))
        assert drift.mean() < 0.5  # another machine rounds differently, here and there by a shade
        assert model.numbers or figures >= {"fid", "kid", "precision", "recall"}
    assert figures
    assert header["recipe"]["model"] == entry.model
    card = (entry.path.parent / "README.md").read_text()
    for result in header["evaluation"]["results"]:
        assert cards.figure(result) in card


def test_there_are_weights_for_every_model_and_both_data_sets() -> None:
    assert {entry.name for entry in ENTRIES} >= {
        f"{m}/{d}" for m in ("gan", "dcgan", "quick") for d in ("mnist", "digits")
    }


@pytest.fixture
def model() -> "gancli.Model":
    return gancli.load("dcgan/mnist", device="cpu")


def test_a_seed_is_the_same_image_alone_and_in_any_batch(model) -> None:
    together = model.sample(seeds=range(40), batch=40)
    split = model.sample(seeds=range(40), batch=7)
    alone = model.sample(seeds=[17])
    assert (together.int() - split.int()).abs().max() <= 1
    assert (together[17].int() - alone[0].int()).abs().max() <= 1


def test_latents_are_the_seeds_latents(model) -> None:
    z = model.latent.from_seeds([3, 4])["z"]
    assert (model.sample(z=z).int() - model.sample(seeds=[3, 4]).int()).abs().max() <= 1


def test_sampling_leaves_the_callers_random_numbers_alone(model) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model.sample(seeds=range(3))
    assert torch.equal(before, torch.get_rng_state())


def test_no_seeds_no_images(model) -> None:
    assert model.sample(seeds=[]).shape == (0, 1, 28, 28)


def test_sample_takes_seeds_or_latents(model) -> None:
    with pytest.raises(UsageError, match="sample takes either seeds or z"):
        model.sample()
    with pytest.raises(UsageError, match=r"the inputs are z \(2, 3\)"):
        model.sample(z=torch.zeros(2, 3))


def test_to_uint8_rounds_and_cuts() -> None:
    images = torch.tensor([-1.2, -1.0, 0.0, 0.999, 1.0, 3.0]).view(1, 1, 2, 3)
    assert to_uint8(images, (-1.0, 1.0)).flatten().tolist() == [0, 0, 128, 255, 255, 255]


def changed(path: Path, change) -> Path:
    tensors, header = checkpoint.read(catalogue.find("dcgan/digits"))
    tensors, header = dict(tensors), json.loads(json.dumps(header))
    change(tensors, header)
    checkpoint.write(path, tensors, header)
    return path


def generator(header) -> dict:
    return header["recipe"]["networks"]["generator"]


WEIGHT = "generator.body.2.convolution.weight"
FORGED = {
    "a tensor is missing": (lambda t, h: t.pop(WEIGHT), f"its tensor '{WEIGHT}' does not fit its recipe"),
    "a tensor too many": (
        lambda t, h: t.update({"generator.more": torch.ones(1)}),
        "its tensor 'generator.more' does not fit its recipe",
    ),
    "another shape": (lambda t, h: generator(h).update(width=8), "does not fit its recipe"),
    "not a number": (lambda t, h: t.update({WEIGHT: t[WEIGHT] * float("nan")}), "does not fit its recipe"),
    "complex": (lambda t, h: t.update({WEIGHT: t[WEIGHT].to(torch.complex64)}), "does not fit its recipe"),
    "whole numbers": (lambda t, h: t.update({WEIGHT: t[WEIGHT].int()}), "does not fit its recipe"),
    "no recipe": (lambda t, h: h.pop("recipe"), "its header has no recipe"),
    "no latent": (lambda t, h: h.pop("latent"), "its header has no latent"),
    "another latent": (lambda t, h: h["latent"].update(dim=7), "its latent is not its recipe's"),
    "half of a latent": (lambda t, h: h["latent"].update(dim=-3), "its latent is not its recipe's"),
    "unknown code": (
        lambda t, h: generator(h).update(architecture="os.system"),
        "no architecture is called 'os.system'",
    ),
    "an option of another type": (lambda t, h: generator(h).update(width="wide"), "networks.generator.width = 'wide'"),
    "unknown role": (lambda t, h: generator(h).update(role="thief"), "'dcgan' has no thief"),
    "a network that makes no images": (
        lambda t, h: h.update(networks=["discriminator"]),
        "its network 'discriminator' makes no images",
    ),
    "unknown network": (lambda t, h: h.update(networks=["critic"]), "it holds the network 'critic'"),
    "no network": (lambda t, h: h.update(networks=[]), "it holds the network None"),
    "terabytes": (lambda t, h: generator(h).update(dense=8192, width=8192, most=8192), "does not fit its recipe"),
    "a network that is a list": (lambda t, h: h.update(networks=[["x"]]), "it holds the network ['x']"),
    "a classes' list that is none": (lambda t, h: h["latent"].update(classes=[1]), "its latent is not its recipe's"),
    "millions of pixels": (lambda t, h: h["recipe"]["data"].update(size=[4096, 4096]), "is not a whole model"),
    "more parameters than bytes": (
        lambda t, h: h["recipe"]["networks"].update(generator={"architecture": "mlp", "hidden": [8192] * 64}),
        "generator would have",
    ),
    "a recipe of tomorrow": (lambda t, h: h["recipe"].update(format=3), "the recipe has the format 3"),
    "a format of tomorrow": (lambda t, h: h.update(format=2), "is not a model of this version of gancli"),
    "a state": (lambda t, h: h.update(kind="state"), "is not a model of this version of gancli"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_models_are_refused(name: str, tmp_path: Path) -> None:
    change, message = FORGED[name]
    with pytest.raises(GancliError) as refused:
        gancli.load(changed(tmp_path / "x.safetensors", change), device="cpu")
    assert message in refused.value.message
    assert refused.value.message.startswith(f"{tmp_path / 'x.safetensors'} is not a ")


TERABYTES = """
import resource, sys
import gancli

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    gancli.load(sys.argv[1], device="cpu")
except gancli.GancliError as error:
    print(error.message)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_images_of_gigabytes_are_refused_before_memory_is_taken(tmp_path: Path, monkeypatch) -> None:
    """Convolutions have few weights and any number of pixels: a file of megabytes would take terabytes."""
    table = json.loads(json.dumps(catalogue.recipe_table("dcgan-upsample")))
    table |= {"data": {"name": "x", "size": [4096, 4096], "channels": 3}, "latent": {"dim": 1}}
    table["networks"]["generator"] |= {"depth": 1, "depths": [1, 1, 8192, 1]}
    table = {key: value for key, value in table.items() if key not in ("datasets", "labelled")}
    made = recipe.parse(table)
    hollow = build(made, "generator", blank=True)
    tensors = {f"generator.{name}": torch.zeros(value.shape) for name, value in hollow.state_dict().items()}
    header = {"format": 1, "kind": "model", "recipe": made.to_dict(), "networks": ["generator"]}
    checkpoint.write(
        tmp_path / "x.safetensors", tensors, {**header, "latent": made.latent.model_dump(exclude_none=True)}
    )
    done = subprocess.run(
        [sys.executable, "-c", TERABYTES, str(tmp_path / "x.safetensors")],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    message, grown = done.stdout.splitlines()
    assert re.search(r"one image of it takes [\d,.]+ GiB of memory, and [\d,.]+ are to spare", message)
    assert int(grown) < 500_000


def test_large_images_are_made_a_few_at_a_time(monkeypatch) -> None:
    from gancli.data import memory

    whole = gancli.load("dcgan/digits", device="cpu")
    monkeypatch.setattr("gancli.architectures._build.MODEST", 0)
    monkeypatch.setattr(memory, "total_memory", lambda: 400_000)
    narrow = gancli.load("dcgan/digits", device="cpu")
    assert 1 <= narrow.at_once < 20
    sizes, real = [], narrow.latents().synthesize
    monkeypatch.setattr(narrow.generator, "synthesize", lambda w: sizes.append(len(w)) or real(w))
    assert (narrow.sample(seeds=range(20)).int() - whole.sample(seeds=range(20)).int()).abs().max() <= 1
    assert max(sizes) <= narrow.at_once
    assert sum(sizes) == 20


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_model_of_the_zoo_is_held_back(entry: catalogue.Entry) -> None:
    assert gancli.load(entry.name, device="cpu").at_once == ALL


def test_class_names_reach_nobody_raw(tmp_path: Path) -> None:
    def change(tensors, header) -> None:
        header["dataset"]["classes"] = ["\x1b[2J", "a\nb", "\u202e", "x" * 10_000, *map(str, range(6))]

    tensors, header = checkpoint.read(catalogue.find("cgan/digits"))
    change(tensors, header)
    checkpoint.write(tmp_path / "x.safetensors", tensors, header)
    classes = gancli.load(tmp_path / "x.safetensors", device="cpu").classes
    assert classes[:3] == ("\\u001b[2J", "a\\u000ab", "\\u202e")
    assert len(classes[3]) == 200


def test_a_model_trained_by_what_this_version_does_not_know_is_sampled_all_the_same(tmp_path: Path) -> None:
    def change(tensors, header) -> None:
        header["recipe"]["objective"] = {"name": "of-tomorrow"}
        header["recipe"]["optimizer"]["generator"]["name"] = "of-tomorrow"

    path = changed(tmp_path / "x.safetensors", change)
    assert gancli.load(path, device="cpu").sample(seeds=[1]).shape == (1, 1, 8, 8)


def test_the_package_offers_what_it_promises() -> None:
    assert gancli.load is not None
    assert gancli.GancliError is GancliError
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = gancli.nothing


def test_a_truncated_model_draws_from_fewer_latents() -> None:
    whole, narrow = gancli.load("quick/digits"), gancli.load("quick/digits", truncation=1.5)
    assert torch.equal(narrow.sample(seeds=[4]), narrow.sample(**narrow.latent.from_seeds([4])))
    assert not torch.equal(narrow.sample(seeds=[4]), whole.sample(seeds=[4]))
    with pytest.raises(UsageError, match="takes no latents"):
        gancli.load("pix2pix/mnist", truncation=1.5)


def test_what_is_written_about_a_model_does_not_change_its_identity(tmp_path: Path) -> None:
    path = catalogue.find("quick/digits")
    tensors, header = checkpoint.read(path)
    own = gancli.load(path).identity
    checkpoint.write(tmp_path / "a.safetensors", tensors, {**header, "evaluation": {"results": []}, "note": "mine"})
    assert gancli.load(tmp_path / "a.safetensors").identity == own
    changed = {**tensors, "generator.body.2.convolution.bias": tensors["generator.body.2.convolution.bias"] + 1e-6}
    checkpoint.write(tmp_path / "b.safetensors", changed, header)
    assert gancli.load(tmp_path / "b.safetensors").identity != own
    header["recipe"]["training"]["batch"] += 1
    checkpoint.write(tmp_path / "c.safetensors", tensors, header)
    assert gancli.load(tmp_path / "c.safetensors").identity != own
