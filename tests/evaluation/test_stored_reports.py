"""Reports go to JSON and back, also those that version 0.1 wrote into the zoo's headers."""

import pytest

from gancli import checkpoint
from gancli.evaluation.report import Report
from gancli.evaluation.scores import score
from gancli.zoo import catalogue

STORED = {entry.name: entry.path for entry in catalogue.entries() if entry.path}


@pytest.mark.parametrize("name", STORED)
def test_the_evaluation_of_every_header_is_read(name: str) -> None:
    path = STORED[name]
    assert path is not None
    stored = checkpoint.read_header(path)["evaluation"]
    report = Report.from_dict(stored)
    again = report.to_dict()
    for row, result in zip(stored["results"], again["results"], strict=True):
        assert {key: result[key] for key in row} == row
    for key, value in stored["protocol"].items():
        assert again["protocol"].get(key) == value
    for key in set(stored) - {"results", "protocol"}:
        assert again[key] == stored[key]
    assert Report.from_dict(again) == report
    found = score(stored)
    assert found is not None
    assert found.value == report.results[0].value
