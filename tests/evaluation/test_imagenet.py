"""Data that no classifier knows are compared by an EfficientNet-Lite, by what needs no classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from gancli.data.types import Dataset
from gancli.errors import GancliError, UsageError
from gancli.evaluation.comparison import disagreement
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.extractors import find, imagenet
from gancli.evaluation.protocol import Protocol
from gancli.evaluation.reference import halves
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import open_subject
from gancli.metrics import METRICS


@pytest.fixture
def flags(home: Path) -> Path:
    """A folder of striped images in two colours, with a training and a held-out split, and one of noise."""
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 40), ("test", 20), ("noise", 20)):
        folder = home / ("noise" if split == "noise" else f"flags/{split}")
        folder.mkdir(parents=True)
        for number in range(count):
            colours = torch.randint(0, 256, (2, 1, 1, 3), dtype=torch.uint8, generator=generator)
            pixels = colours.repeat_interleave(8, 0).expand(16, 16, 16, 3)[:, 0]
            if split == "noise":
                pixels = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8, generator=generator)
            Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
    return home / "flags"


def test_a_folder_is_compared_by_imagenet(flags: Path, home: Path) -> None:
    report = evaluate(open_subject(str(home / "noise")), str(flags))
    assert report.protocol.extractor == "imagenet"
    assert report.protocol.resize == "generated 16x16 to 128x128, real 16x16 to 128x128, bicubic, antialiased"
    assert report.protocol.colour == "none"
    found = {result.metric: result for result in report.results}
    assert set(found) == set(METRICS) - {"score", "imbalance", "modes", "class-fid"}
    assert found["fid"].value > 2 * (found["fid"].floor or 0)
    assert found["recall"].value < 0.1
    assert (report.protocol.split, report.protocol.real_images, report.protocol.floor_images) == ("train", 20, 20)
    assert report.protocol.held_out_images == 20
    assert report.class_names == report.generated.classes == ()
    assert report.generated.confident is None
    # The second time, the real side comes from the cache folder.
    assert evaluate(open_subject(str(home / "noise")), str(flags)).to_dict() == report.to_dict()


def test_images_of_which_none_are_held_out_are_compared_with_training_images(flags: Path, home: Path) -> None:
    only = flags / "train"
    report = evaluate(open_subject(str(home / "noise")), str(only), images=15)
    found = {result.metric: result for result in report.results}
    assert {"fid", "kid", "precision", "recall"} <= set(found)
    assert not {"coverage", "memorisation"} & set(found)
    assert (report.protocol.real_images, report.protocol.floor_images, report.protocol.held_out_images) == (15, 15, 0)
    assert "no images are held out: without coverage and memorisation" in report.warnings[0]
    with pytest.raises(UsageError, match="memorisation needs held-out images"):
        evaluate(open_subject(str(home / "noise")), str(only), ["memorisation"])


def test_copies_of_training_images_are_noticed_by_held_out_ones(flags: Path) -> None:
    report = evaluate(open_subject(str(flags / "train")), str(flags), ["memorisation", "coverage", "fid"])
    memorisation, coverage, fid = report.results
    assert (memorisation.metric, coverage.metric, fid.metric) == ("memorisation", "coverage", "fid")
    assert memorisation.value == 1
    assert fid.value < 2 * (fid.floor or 0)
    assert report.closest[0].distance == pytest.approx(0, abs=1e-3)


def test_a_ranking_that_kid_does_not_confirm_is_named() -> None:
    def report(model: str, fid: float, kid: float) -> Report:
        protocol = Protocol(data="d", data_fingerprint="f", split="train", real_images=9, generated_images=9)
        return Report(model, protocol, (Result(METRICS["fid"], fid), Result(METRICS["kid"], kid)))

    one, other, third = report("one", 1.0, 0.1), report("other", 2.0, 0.2), report("third", 3.0, 0.15)
    assert disagreement([one, other]) == ""
    assert disagreement([one, other, third]) == "KID ranks them differently: one, third, other"


def test_halves_share_no_image() -> None:
    images = torch.arange(9, dtype=torch.uint8).view(9, 1, 1, 1)
    one, other = halves(Dataset("d", "train", images, torch.arange(9), (), "f"), 100)
    assert len(one.images) == len(other.images) == 4
    assert len({*one.images.flatten().tolist(), *other.images.flatten().tolist()}) == 8
    assert one.labels is not None
    assert one.labels.tolist() == one.images.flatten().tolist()
    assert one.fingerprint != other.fingerprint
    assert len(halves(Dataset("d", "train", images, None, (), "f"), 3)[0].images) == 3


@pytest.mark.parametrize("name", ["score", "imbalance", "class-fid"])
def test_figures_of_classes_are_refused_by_name(flags: Path, home: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} needs .*class"):
        evaluate(open_subject(str(home / "noise")), str(flags), ["fid", name])


def test_the_command_says_so_and_shows_no_classes(flags: Path, home: Path, run_cli: Callable[..., Any]) -> None:
    arguments = "evaluate", home / "noise", "--data", flags, "--metrics", "fid,precision"
    result = run_cli(*arguments)
    assert result.code == 0
    assert "extractor  imagenet, " in result.out
    assert "class %" not in result.out
    document = json.loads(run_cli(*arguments, "--json").out)
    assert document["confident"] == {"generated": None, "real": None}


def test_grey_images_are_said_to_be_brought_to_colour(flags: Path, run_cli: Callable[..., Any]) -> None:
    result = run_cli("evaluate", "quick/digits", "--data", flags, "--metrics", "fid", "-n", "20", "--json")
    assert json.loads(result.out)["protocol"]["colour"] == "generated grey to RGB"


@pytest.mark.parametrize(("name", "variant", "side"), [("imagenet", "lite0", 224), ("imagenet-lite2", "lite2", 260)])
def test_the_network_is_the_reference_implementation(name: str, variant: str, side: int) -> None:
    network = {"lite0": imagenet.LITE0, "lite2": imagenet.LITE2}[variant]
    reference = EfficientNet.from_name(f"efficientnet-{variant}").eval()
    reference.load_state_dict(torch.load(network.path, weights_only=True))
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    ours, digest = find(name).load()
    assert len(digest) == 64
    with torch.inference_mode():
        expected = reference.extract_features((images * 255 - 127) / 128).mean((2, 3))
        features, logits = ours(images)
    assert features.shape == (2, imagenet.FEATURES)
    assert logits.shape == (2, 0)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [7, 8])
def test_padding_follows_the_size_of_the_input(side: int) -> None:
    convolution = imagenet.Convolution(1, 1, 3, 2)
    torch.nn.init.ones_(convolution.weight)
    torch.nn.init.zeros_(convolution.bias)
    found = convolution(torch.ones(1, 1, side, side))[0, 0]
    # Of an odd side both borders have a padded pixel, of an even one only the last.
    ends = [2.0, 2.0] if side % 2 else [3.0, 2.0]
    assert found.shape == (4, 4)
    assert [found[0, 1] / 3, found[-1, 1] / 3] == ends


def test_weights_of_other_bytes_or_none_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = imagenet.Variant("efficientnet-lite9-pytorch-model", "0" * 64, 1.0, 1.0)
    with pytest.raises(GancliError, match="the package efficientnet-lite9-pytorch-model is missing"):
        imagenet.read(missing)
    package = home / "efficientnet_lite9_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('this package was run')")
    (package / "models" / "efficientnet-lite9-00000000.pth").write_bytes(b"other")
    monkeypatch.syspath_prepend(home)
    with pytest.raises(GancliError, match="has other bytes"):
        imagenet.read(missing)
