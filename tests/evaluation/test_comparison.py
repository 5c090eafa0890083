"""Only figures that were measured alike are ranked."""

import json
from dataclasses import replace

import pytest

from gancli.evaluation.comparison import rank
from gancli.evaluation.protocol import Protocol, differences
from gancli.evaluation.report import Report, Result
from gancli.metrics import METRICS

PROTOCOL = Protocol(
    extractor="digits-cnn",
    extractor_sha256="e" * 64,
    data="digits",
    data_fingerprint="d" * 16,
    split="test",
    real_images=355,
    generated_images=355,
    floor_images=355,
    seeds="0-354",
    repeats=1,
    parts=0,
    truncation=None,
    resize="none",
    colour="none",
    ema=True,
    gancli="1",
)


def report(name: str, fid: float, recall: float, protocol: Protocol = PROTOCOL) -> Report:
    results = Result(METRICS["fid"], fid, 0.1), Result(METRICS["recall"], recall, 0.9)
    return Report(name, protocol, results)


def names(reports: list[Report]) -> list[str]:
    return [one.model for one in reports]


def test_the_best_comes_first_whichever_way_is_good() -> None:
    reports = [report("a", 0.3, 0.8), report("b", 0.1, 0.2), report("c", 0.2, 0.9)]
    assert [names(group) for group in rank(reports)] == [["b", "c", "a"]]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("extractor", "mnist-cnn"),
        ("extractor_sha256", "0" * 64),
        ("data", "mnist"),
        ("data_fingerprint", "0" * 16),
        ("split", "all"),
        ("real_images", 100),
        ("generated_images", 100),
        ("gancli", "2"),
        ("truncation", 1.5),
    ],
)
def test_what_was_measured_differently_is_not_ranked(part: str, value: object) -> None:
    other = report("b", 0.1, 0.2, replace(PROTOCOL, **{part: value}))
    assert differences(PROTOCOL, other.protocol) == [(part, getattr(PROTOCOL, part), value)]
    assert [names(group) for group in rank([report("a", 0.3, 0.8), other, report("c", 0, 0)])] == [["c", "a"], ["b"]]


@pytest.mark.parametrize(
    ("part", "value"), [("seeds", "5-359"), ("repeats", 5), ("ema", None), ("resize", "x"), ("colour", "x")]
)
def test_what_belongs_to_the_subject_keeps_nothing_apart(part: str, value: object) -> None:
    other = replace(PROTOCOL, **{part: value})
    assert differences(PROTOCOL, other) == []
    assert PROTOCOL.fingerprint != other.fingerprint


def test_a_report_is_json_even_where_a_figure_is_no_number() -> None:
    told = report("a", float("inf"), float("nan")).to_dict()
    assert [result["value"] for result in told["results"]] == [None, None]
    json.dumps(told, allow_nan=False)
