"""The figure that stands for a model in a list."""

from typing import Any

import pytest

from gancli.evaluation.scores import beaten, score


@pytest.mark.parametrize(
    ("result", "text", "beside"),
    [
        ({"metric": "fid", "value": 0.34204, "floor": 0.11221}, "FID 0.3420", "0.1122"),
        ({"metric": "rmse", "value": 0.0339, "floor": 0.0197}, "RMSE 0.0339", "0.0197"),
        ({"metric": "modes", "value": 25.0, "floor": 25.0}, "modes 25", "25"),
        ({"metric": "psnr", "value": 23.456}, "PSNR 23.46 dB", ""),
        ({"metric": "psnr", "value": 23.456, "floor": None, "baseline": 21.0}, "PSNR 23.46 dB", "over 21.00"),
        ({"metric": "class_accuracy", "value": 0.98, "floor": None}, "class accuracy 0.9800", ""),
    ],
)
def test_score(result: dict[str, Any], text: str, beside: str) -> None:
    found = score({"results": [result, {"metric": "other", "value": 1.0, "floor": 1.0}]})
    assert found is not None
    assert (str(found), found.beside) == (text, beside)


def test_no_evaluation_no_score() -> None:
    assert score({}) is None


@pytest.mark.parametrize(
    ("value", "floor", "baseline", "better", "worse"),
    [
        (3.0, 0.1, 2.0, "lower", True),
        (2.0, 0.1, 2.0, "lower", True),
        (1.0, 0.1, 2.0, None, False),
        (3.0, 0.1, 2.0, None, True),
        (0.0, 8.0, 0.0, "higher", True),
        (1.0, 8.0, 0.0, None, False),
        (20.0, None, 21.0, None, True),
        (22.0, None, 21.0, "higher", False),
        (0.4, 0.5, 0.0, "lower", False),  # memorisation, of which the baseline has none
        (1.0, 0.1, None, "lower", False),
    ],
)
def test_no_better_than_the_baseline(
    value: float, floor: float | None, baseline: float | None, better: str | None, worse: bool
) -> None:
    assert beaten({"value": value, "floor": floor, "baseline": baseline, "better": better}) is worse
