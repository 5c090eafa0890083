"""Judging translators: how near to the true images, beside the simplest repair."""

import math
from types import SimpleNamespace

import pytest
import torch

from gancli.data import load
from gancli.data.pairs.degradations import parse
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.evaluators import pairs
from gancli.evaluation.scores import score
from gancli.metrics.images import compare
from gancli.recipe.sections import Data


class Translator:
    """A model that gives its sources back, or what it is told to."""

    name, data_name, takes, numbers = "mine", "digits", "source", False
    shape, device = (1, 8, 8), torch.device("cpu")
    header = {"recipe": {"training": {"ema": None}}}  # noqa: RUF012

    def __init__(self, source, make=lambda sources: sources):
        self.make = make
        channels, *size = self.shape
        data = Data(source=source, size=size, channels=channels)
        self.recipe = SimpleNamespace(data=data)

    def translate(self, sources):
        return self.make(sources)


def test_figures_by_hand():
    true = torch.full((2, 1, 4, 4), 100, dtype=torch.uint8)
    made = true.clone()
    made[0] += 5
    # 20 log10(255 / 5) for the first, and the most there is for the second, which has no difference.
    first = 20 * math.log10(255 / 5)
    found = compare(true, made)
    assert found["psnr"] == pytest.approx((first + 60) / 2)
    assert found["psnr_all"] == pytest.approx(10 * math.log10(255**2 / (25 / 2)))


def test_a_translator_that_changes_nothing_is_as_good_as_mean_fill():
    report = evaluate(Translator("mask"))
    held_out = load("digits", split="test").images
    wanted = compare(held_out, parse("mask").spoil(held_out))
    assert [result.metric for result in report.results] == ["psnr", "psnr_all"]
    for result in report.results:
        assert result.value == pytest.approx(wanted[result.metric])
        assert result.baseline == result.value
    assert (report.protocol.source, report.protocol.baseline) == ("mask 0.5", "mean fill")
    assert (report.protocol.real_images, report.protocol.split) == (len(held_out), "test")
    assert report.to_dict()["protocol"]["ema"] is False


def test_fewer_pairs_are_drawn_from_the_whole_set():
    # Data sets may come in the order of their classes.
    seen = []
    evaluate(Translator("mask", lambda sources: seen.append(sources) or sources), images=40)
    spoiled = parse("mask").spoil(load("digits", split="test").images)
    drawn = [int((spoiled == one).flatten(1).all(1).nonzero()[0]) for one in torch.cat(seen)]
    assert len(set(drawn)) == 40
    assert max(drawn) > 300


def test_bicubic_beats_the_mosaic_and_an_oracle_beats_both():
    held_out = load("digits", split="test").images
    rest = iter(held_out.split(250))
    mosaic, oracle = evaluate(Translator("mosaic:2")), evaluate(Translator("mosaic:2", lambda sources: next(rest)))
    assert mosaic.results[0].value < mosaic.results[0].baseline < oracle.results[0].value == 60


def test_ssim_stands_beside_that_of_the_simplest_repair():
    true = torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert compare(true, true)["ssim"] == 1
    assert compare(true, 255 - true)["ssim"] < 0
    assert list(compare(true, true)) == ["psnr", "psnr_all", "ssim"] == list(pairs.NAMES)
    blocks = torch.full((3, 1, 8, 8), 9, dtype=torch.uint8)
    assert list(compare(blocks, blocks)) == ["psnr", "psnr_all"]


def test_edges_have_no_baseline_and_the_list_shows_decibels():
    report = evaluate(Translator("edges"), None, ["psnr"], 50)
    assert [result.metric for result in report.results] == ["psnr"]
    assert report.results[0].baseline is None
    assert report.protocol.generated_images == 50
    found = score(report.to_dict())
    assert str(found) == f"PSNR {report.results[0].value:.2f} dB"
    assert found.beside == ""


def test_examples_are_source_result_and_true_image():
    shown = pairs.examples(Translator("mosaic:2", lambda sources: 255 - sources), count=4)
    assert shown.shape == (12, 1, 8, 8)
    assert torch.equal(shown[1], 255 - shown[0])
    assert torch.equal(shown[2], load("digits", split="test").images[0])
    assert torch.equal(shown[11], load("digits", split="test").images[-1])


def test_a_set_without_held_out_images_is_taken_whole_when_it_is_named(tmp_path):
    from PIL import Image

    for number in range(3):
        (tmp_path / "few").mkdir(exist_ok=True)
        Image.new("L", (8, 8), 40 * number).save(tmp_path / "few" / f"{number}.png")
    report = evaluate(Translator("mosaic:2"), str(tmp_path / "few"))
    # Pictures of one colour: nothing is lost.
    assert (report.protocol.split, report.protocol.data, report.results[0].value) == ("all", "few", 60)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("photos", {}, "'mine' was trained on files of two folders, which it cannot find by itself"),
        ("mask", {"metrics": ["fid"]}, "a translator of pairs has no figure 'fid'"),
        ("mask", {"extractor": "digits-cnn"}, "'mine' is not compared by features of an extractor"),
        ("mask", {"metrics": ["ssim"]}, "'mine': SSIM is of images of 11x11 pixels or more, and these are 8x8"),
        ("mask", {"images": 0}, "cannot evaluate by 0 images"),
    ],
)
def test_what_cannot_be_judged_is_told(source, options, message):
    with pytest.raises(UsageError) as raised:
        evaluate(Translator(source), **options)
    assert raised.value.message == message
