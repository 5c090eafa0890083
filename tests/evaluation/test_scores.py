"""The figure that stands for a model in a list."""

from typing import Any

import pytest

from gancli.evaluation.scores import score


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
