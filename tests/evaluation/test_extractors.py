"""The shipped classifiers: frozen, as good as they claim, and careful with what they are given."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gancli.checkpoint import digest, read_header
from gancli.data import DATASETS, load
from gancli.data.paths import present
from gancli.errors import GancliError, UsageError
from gancli.evaluation import extractors
from gancli.evaluation.extractors import EXTRACTORS, Extractor, find, for_data, usual
from gancli.evaluation.extractors.networks import Classifier, ColourClassifier, Perceptron
from gancli.evaluation.features import Reader, prepare, readout
from gancli.metrics.base import Features
from gancli.metrics.classes import class_accuracy
from gancli.plugins import offered

# Read before the fixture that hides it from every test.
REAL_DATA = os.environ.get("GANCLI_DATA", "")

# Figures measured with other weights compare with nothing: a change of these is a new extractor under a new name.
FROZEN = {
    "mnist-cnn": ("09b1882e864c57b0b853cd1cb4dec1b4afb6fba1c1e573f43d3cca85329d2c07", 0.994),
    "mnist-mlp": ("5ca4ea0ec6fcfd356ad1f20dcc9bbacb0cad4e17bde2e17b7419707894a9f2d1", 0.99),
    "cifar": ("f6a0fdd9afc5d831f125aedb03ac16f951de2436366b3475283c93887e6dab53", 0.865),
    "digits-cnn": ("ae3946bca5afad5ce1a8b5ed4fb1040d0bc81da37e9ac22dc5552141ce0f7d25", 0.985),
}


def seen(spec: Extractor, images: Tensor) -> Features:
    return Reader(spec, *spec.load()).read("images", images.split(100), len(images))


def effective_rank(features: Tensor) -> float:
    """Of how many dimensions a set of features (N, D) makes use: the exponential of the entropy of its spectrum.

    Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", on eigenvalues of the covariance.
    """
    spectrum = torch.linalg.eigvalsh(torch.cov(features.double().T)).clamp(min=0)
    return float(torch.special.entr(spectrum / spectrum.sum()).sum().exp())


@pytest.mark.parametrize("name", FROZEN)
def test_weights_are_the_frozen_ones_and_stand_alone(name: str) -> None:
    network, found = EXTRACTORS[name].load()
    assert found == FROZEN[name][0]
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    header = read_header(EXTRACTORS[name].file)
    assert header["extractor"] == name
    assert header["accuracy"] >= FROZEN[name][1]


SOME = 600
"""Images that an accuracy is measured by."""


def some_of(archive: Path) -> tuple[Tensor, Tensor]:
    """Images of a zip with a folder for each class, and their labels; to decode all of them would take seconds."""
    with ZipFile(archive) as pack:
        names = sorted(name for name in pack.namelist() if name.endswith(".jpg"))
        classes = sorted({Path(name).parent for name in names})
        chosen = Random(0).sample(names, SOME)
        images = [np.array(Image.open(pack.open(name))) for name in chosen]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.tensor(
        [classes.index(Path(name).parent) for name in chosen]
    )


@pytest.mark.parametrize("name", FROZEN)
def test_accuracy_on_the_held_out_split(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = EXTRACTORS[name]
    if REAL_DATA:
        monkeypatch.setenv("GANCLI_DATA", REAL_DATA)
    # What it was measured by lies beside the named sets, or not.
    converted = Path(REAL_DATA, f"{spec.datasets[0]}-jpg-test.zip")
    if converted.exists():
        images, labels = some_of(converted)
    elif name != "cifar" and present(DATASETS[spec.datasets[0]]):
        held_out = load(spec.datasets[0], split="test")
        assert held_out.labels is not None
        chosen = torch.randperm(len(held_out.images), generator=torch.Generator().manual_seed(0))[:SOME]
        images, labels = held_out.images[chosen], held_out.labels[chosen]
    else:
        pytest.skip(f"{spec.datasets[0]} is not on this machine: name its folder with GANCLI_DATA")
    found = class_accuracy(labels, seen(spec, images).classes)
    accuracy = read_header(spec.file)["accuracy"]
    assert accuracy >= FROZEN[name][1]
    assert found == pytest.approx(accuracy, abs=3 * math.sqrt(accuracy * (1 - accuracy) / len(labels)))


@pytest.mark.parametrize("name", FROZEN)
def test_features_have_the_declared_shape_and_do_not_depend_on_the_batch(name: str) -> None:
    spec = EXTRACTORS[name]
    images = torch.randint(
        0, 256, (10, spec.channels, *spec.size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    steps: list[tuple[str, int, int]] = []
    reader = Reader(spec, *spec.load(), progress=lambda *step: steps.append(step))
    found = reader.read("noise", images.split(4), 10)
    assert steps == [("noise", 4, 10), ("noise", 8, 10), ("noise", 10, 10)]
    assert found.values.shape == (10, spec.features)
    assert found.values.dtype == torch.float32
    torch.testing.assert_close(found.values, reader.read("noise", [images], 10).values)
    assert bool(((found.confidence >= 0.1) & (found.confidence <= 1)).all())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", FROZEN)
def test_features_are_the_same_on_every_device(name: str) -> None:
    spec = EXTRACTORS[name]
    network, sha = spec.load()
    images = torch.randint(0, 256, (300, spec.channels, *spec.size), dtype=torch.uint8)
    there = Reader(spec, network.to("cuda"), sha).read("images", [images], 300)
    assert there.values.device.type == "cpu"
    torch.testing.assert_close(there.values, seen(spec, images).values, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_features_see_more_of_the_variation_than_the_last_layer_does() -> None:
    # Why features are taken where they are: the last layer's have collapsed onto the ten classes.
    spec = EXTRACTORS["digits-cnn"]
    network, _ = spec.load()
    images = load("digits", split="test").images
    assert isinstance(network, Classifier)
    last = network.body((prepare(images, spec) - 0.5) / 0.5)
    assert last.shape == (len(images), 64)
    assert effective_rank(last) < 12
    assert effective_rank(seen(spec, images).values) > 2 * effective_rank(last)


@torch.inference_mode()
def test_features_are_the_last_stage_but_one_in_quadrants() -> None:
    spec = EXTRACTORS["mnist-cnn"]
    images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    maps = images.float() / 127.5 - 1
    # Two stages of two convolutions, each with normalisation and ReLU, and the pooling between them.
    network, _ = spec.load()
    assert isinstance(network, Classifier)
    for layer in list(network.body)[: 6 + 1 + 6]:
        maps = layer(maps)
    assert maps.shape == (5, 48, 14, 14)
    halves = slice(0, 7), slice(7, 14)
    quadrants = torch.stack([maps[..., y, x].mean((2, 3)) for y in halves for x in halves], 2).flatten(1)
    torch.testing.assert_close(seen(spec, images).values, quadrants)


@torch.inference_mode()
def test_the_second_network_is_a_perceptron_whose_first_layer_is_compared() -> None:
    spec = EXTRACTORS["mnist-mlp"]
    images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    network, _ = spec.load()
    assert isinstance(network, Perceptron)
    assert not [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    torch.testing.assert_close(seen(spec, images).values, network.first((images.float() / 127.5 - 1).flatten(1)))
    assert for_data("mnist") is EXTRACTORS["mnist-cnn"]


@torch.inference_mode()
def test_features_of_photographs_are_the_second_of_three_stages_in_quadrants() -> None:
    network = EXTRACTORS["cifar"].build().eval()
    assert isinstance(network, ColourClassifier)
    spec = replace(EXTRACTORS["cifar"], weights=network.state_dict)
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    maps = network.early((images.float() / 255 - 0.5) / 0.25)
    assert maps.shape == (5, 64, 8, 8)
    halves = slice(0, 4), slice(4, 8)
    quadrants = torch.stack([maps[..., y, x].mean((2, 3)) for y in halves for x in halves], 2).flatten(1)
    torch.testing.assert_close(seen(spec, images).values, quadrants)
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == 7


def test_colour_becomes_luma_and_sizes_are_brought_to_the_extractors() -> None:
    spec = EXTRACTORS["mnist-cnn"]
    grey = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    assert torch.equal(prepare(grey, spec), grey.float() / 255)
    torch.testing.assert_close(prepare(grey.expand(-1, 3, -1, -1), spec), grey.float() / 255)
    red = torch.zeros(1, 3, 28, 28, dtype=torch.uint8)
    red[:, 0] = 255
    torch.testing.assert_close(prepare(red, spec), torch.full((1, 1, 28, 28), 0.299))
    edge = torch.zeros(1, 1, 64, 48, dtype=torch.uint8)
    edge[..., 24:] = 255
    small = prepare(edge, spec)
    assert small.shape == (1, 1, 28, 28)
    assert 0 <= float(small.min()) < 0.01
    assert 0.99 < float(small.max()) <= 1
    colour = prepare(grey, EXTRACTORS["cifar"])
    assert colour.shape == (3, 3, 32, 32)
    assert torch.equal(colour[:, 0], colour[:, 2])


def test_antialiasing_keeps_the_mean_of_a_fine_pattern() -> None:
    stripes = torch.zeros(1, 1, 56, 56, dtype=torch.uint8)
    stripes[..., ::2] = 255
    inner = prepare(stripes, EXTRACTORS["mnist-cnn"])[..., 4:-4]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5), atol=0.02, rtol=0)


def test_readout_counts_classes_and_confidence() -> None:
    spec = EXTRACTORS["digits-cnn"]
    held_out = load("digits", split="test")
    assert held_out.labels is not None
    read = readout(seen(spec, held_out.images[held_out.labels == 7]), 10)
    assert len(read.classes) == 10
    assert sum(read.classes) == pytest.approx(1)
    assert read.classes[7] > 0.95
    assert 0.5 < read.confident <= 1


def test_an_extractor_is_found_by_name_and_by_data() -> None:
    assert find("digits-cnn") is EXTRACTORS["digits-cnn"]
    assert for_data("qmnist") is EXTRACTORS["mnist-cnn"]
    assert all(name in DATASETS for spec in EXTRACTORS.values() for name in spec.datasets)


def test_unknown_names_say_what_there_is() -> None:
    names = "cifar, digits-cnn, imagenet, imagenet-lite2, inception, mnist-cnn, mnist-mlp, stacked-cnn"
    with pytest.raises(UsageError) as error:
        find("mnist-cn")
    assert error.value.message == "unknown extractor 'mnist-cn'"
    assert error.value.hint == f"one of: {names}"
    with pytest.raises(UsageError) as error:
        for_data("svhn")
    assert error.value.message == "no extractor knows 'svhn'"


def test_imagenet_is_taken_where_no_classifier_knows_the_data() -> None:
    assert usual("cifar10") is EXTRACTORS["cifar"]
    assert usual("svhn") is usual("pictures.zip") is EXTRACTORS["imagenet"]


PLUGIN = """
import torch
from torch import nn
from gancli.evaluation.extractors import Extractor

class Means(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return images.mean((2, 3)) * self.scale, images.new_zeros(len(images), 2)

MEANS = Extractor("means", (4, 4), 3, 3, Means, (), weights=lambda: {"scale": torch.full((1,), 2.0)})
"""


@pytest.fixture
def plugins(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package that offers extractors, as an installation leaves it."""
    folder = home / "site"
    told = folder / "offerer-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: offerer\nVersion: 1.0\n")
    lines = ["means = offered_extractors:MEANS", "broken = offered_nowhere:X", "other = offered_extractors:MEANS"]
    (told / "entry_points.txt").write_text("\n".join(["[gancli.extractors]", *lines, "mnist-cnn = offered_nowhere:X"]))
    (folder / "offered_extractors.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "offered_extractors", raising=False)
    return folder


def test_another_package_offers_an_extractor(plugins: Path) -> None:
    assert {"means", "broken"} <= set(offered("extractor"))
    assert "offered_extractors" not in sys.modules
    spec = find("means")
    images = torch.full((2, 1, 8, 8), 51, dtype=torch.uint8)
    torch.testing.assert_close(seen(spec, images).values, torch.full((2, 3), 0.4))
    assert find("mnist-cnn") is EXTRACTORS["mnist-cnn"]
    assert usual("svhn").name == "imagenet"


def test_extractors_of_other_packages_are_found_without_torch(plugins: Path) -> None:
    code = (
        "import sys; from gancli.plugins import offered as p; print('means' in p('extractor'), 'torch' in sys.modules)"
    )
    path = os.pathsep.join([str(plugins), str(Path(extractors.__file__).parents[3])])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "the extractor 'broken' of offerer cannot be imported: No module named 'offered_nowhere'"),
        ("other", "the extractor 'other' of offerer is none: offered_extractors:MEANS"),
    ],
)
def test_an_extractor_that_cannot_be_had_names_its_package(plugins: Path, name: str, message: str) -> None:
    with pytest.raises(GancliError) as error:
        find(name)
    assert (error.value.message, error.value.hint) == (message, "install another version of offerer, or none")


def test_weights_of_another_network_are_named() -> None:
    spec = replace(EXTRACTORS["digits-cnn"], weights=lambda: {"x": torch.zeros(1)})
    with pytest.raises(GancliError, match="the weights are not those of the extractor 'digits-cnn'"):
        spec.load()


def test_the_digest_sees_values_types_shapes_and_names() -> None:
    base = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    assert digest(base) == digest({"b": torch.ones(1), "a": torch.zeros(2, 3)})
    others = [
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.zeros(1)},
    ]
    assert len({digest(base), *map(digest, others)}) == 5


def test_stacked_digits_are_read_colour_by_colour() -> None:
    one, _ = find("mnist-cnn").load()
    three, _ = find("stacked-cnn").load()
    images = torch.rand(5, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features, logits = three(images)
        alone = [one(images[:, colour : colour + 1]) for colour in range(3)]
    torch.testing.assert_close(features, torch.cat([part[0] for part in alone], 1))
    first, second, third = (part[1].argmax(1) for part in alone)
    assert torch.equal(logits.argmax(1), 100 * first + 10 * second + third)
    given = logits.softmax(1)
    torch.testing.assert_close(given.sum(1), torch.ones(5))
    torch.testing.assert_close(given.view(5, 10, 10, 10).sum((2, 3)), alone[0][1].softmax(1))
