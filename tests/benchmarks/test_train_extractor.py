"""The script that trained the shipped extractors."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks import train_extractor
from gancli.checkpoint import read_header
from gancli.data import load
from gancli.evaluation import extractors
from gancli.evaluation.extractors import EXTRACTORS


def test_the_training_script_writes_a_file_that_loads(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = home / "digits-cnn.safetensors"
    shipped = EXTRACTORS["digits-cnn"].load()[1]
    monkeypatch.setattr("sys.argv", ["train_extractor", "digits-cnn", "--epochs", "2", "--out", str(out)])
    train_extractor.main()
    assert "epoch 2/2: test accuracy" in capsys.readouterr().out
    monkeypatch.setattr(extractors, "WEIGHTS", home)
    _, found = EXTRACTORS["digits-cnn"].load()
    assert found != shipped
    assert read_header(out)["epochs"] == 2


def test_photographs_are_mirrored_and_shifted() -> None:
    images = torch.arange(64.0).view(1, 1, 8, 8).expand(200, 3, -1, -1) / 64
    first, again = (train_extractor.augment_colour(images, torch.Generator().manual_seed(3), (8, 8)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == images.shape
    # Rows keep their order; columns rise in about half of the images.
    assert bool((first[:, 0, 3, 4] < first[:, 0, 4, 4]).all())
    mirrored = (first[:, 0, 4, 3] > first[:, 0, 4, 4]).float().mean()
    assert 0.35 < float(mirrored) < 0.65
    places = {tuple(image.flatten().tolist()) for image in first}
    assert len(places) == 2 * 5 * 5


def test_whitened_patches_have_variance_one_each_way() -> None:
    images = load("digits").images[:100].float() / 255
    filters = train_extractor.whitening(images, 8)
    assert filters.shape == (8, 1, 3, 3)
    assert torch.equal(filters[:4], -filters[4:])
    seen = nn.functional.conv2d((images - 0.5) / 0.25, filters[:4]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.cov(seen), torch.eye(4), atol=0.05, rtol=0)


def test_an_extractor_of_photographs_is_trained_from_folders_by_class(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, count in (("train", 140), ("held", 10)):
        for name, level in (("dark", 40), ("light", 200)):
            (home / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = torch.randint(level - 30, level + 30, (32, 32, 3), dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(home / split / name / f"{number}.png")
    out = home / "cifar.safetensors"
    arguments = ["--data", str(home / "train"), "--test", str(home / "held"), "--epochs", "1", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["train_extractor", "cifar", *arguments])
    train_extractor.main()
    monkeypatch.setattr(extractors, "WEIGHTS", home)
    network, _ = EXTRACTORS["cifar"].load()
    assert 0 <= read_header(out)["accuracy"] <= 1
    # Kernels are stored in half precision, and what was measured is what is stored.
    kernels = [weight for weight in network.parameters() if weight.dim() > 1]
    assert all(torch.equal(weight.half().float(), weight) for weight in kernels)
    assert out.stat().st_size < 2e6


def test_augmentation_moves_images_a_little_and_repeats() -> None:
    images = load("digits").images[:32].float() / 255
    first, again = (train_extractor.augment(images, torch.Generator().manual_seed(3), (8, 8)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == images.shape
    assert not torch.equal(first, images)
    assert float((first - images).abs().mean()) < 0.2


@pytest.mark.parametrize("name", train_extractor.EPOCHS)
def test_the_shipped_weights_say_how_long_they_were_trained(name: str) -> None:
    assert read_header(EXTRACTORS[name].file)["epochs"] == train_extractor.EPOCHS[name]
