"""What a translation there and back leaves of images."""

import pytest
import torch
from torch import Tensor

from gancli.data import load
from gancli.evaluation.evaluators.cycles import Sides, Translate, figures, round_trip
from gancli.evaluation.extractors import for_data
from gancli.evaluation.features import Reader
from gancli.metrics.images import HIGHEST_PSNR


@pytest.fixture(scope="module")
def reader() -> Reader:
    extractor = for_data("digits")
    return Reader(extractor, *extractor.load())


@pytest.fixture(scope="module")
def sides() -> Sides:
    digits = load("digits", split="test")
    return Sides(digits.images, 255 - digits.images, digits.labels, digits.labels)


def measured(there: Translate, back: Translate, sides: Sides, reader: Reader | None) -> dict[str, float]:
    return {result.metric: result.value for result in figures(there, back, sides, reader)}


def invert(images: Tensor) -> Tensor:
    return 255 - images


def test_a_perfect_translation_keeps_everything(sides: Sides, reader: Reader) -> None:
    found = figures(invert, invert, sides, reader)
    assert [result.metric for result in found] == [
        "class_kept",
        "class_kept_round_trip",
        "psnr_round_trip",
        "psnr_source_round_trip",
    ]
    assert found[0].value == found[0].floor == found[1].value == found[1].floor
    assert found[0].value > 0.95
    assert found[2].value == found[3].value == HIGHEST_PSNR


def test_one_that_forgets_the_digit_is_found_out(sides: Sides, reader: Reader) -> None:
    def forget(images: Tensor) -> Tensor:
        return sides.images[:1].expand(len(images), -1, -1, -1).contiguous()

    found = measured(forget, invert, sides, reader)
    assert found["class_kept"] < 0.2
    assert found["class_kept_round_trip"] < 0.2
    assert found["psnr_round_trip"] < 20


def test_each_direction_has_its_own_figures(sides: Sides, reader: Reader) -> None:
    """A way back that always gives the same source loses the round trip, and not the translation."""

    def forget(images: Tensor) -> Tensor:
        return sides.sources[:1].expand(len(images), -1, -1, -1).contiguous()

    found = measured(invert, forget, sides, reader)
    assert found["class_kept"] > 0.95
    assert found["class_kept_round_trip"] < 0.2


def test_without_labels_or_classifier_there_is_only_psnr(sides: Sides, reader: Reader) -> None:
    bare = Sides(sides.images[:10], sides.sources[:7])
    expected = ["psnr_round_trip", "psnr_source_round_trip"]
    assert list(measured(invert, invert, bare, reader)) == expected
    assert list(measured(invert, invert, sides, None)) == expected


def test_a_round_trip_goes_through_bytes() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    once, again = round_trip(lambda x: x // 2, lambda x: x * 2, images)
    assert once.dtype == again.dtype == torch.uint8
    assert torch.equal(again, images // 2 * 2)
