"""A metric is one function: registered, it stands in reports beside the others."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancli import metrics, registry
from gancli.errors import GancliError, UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.report import Report
from gancli.evaluation.subjects import Subject
from gancli.metrics import METRICS, choose, usual
from gancli.metrics.base import Metric, Sets


class Blank(Subject):
    """Black images."""

    name, data_name, shape = "blank", "digits", (1, 8, 8)

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        yield torch.zeros(len(seeds), 1, 8, 8, dtype=torch.uint8)


def height(sets: Sets) -> float:
    """How much higher the mean feature is than that of real images."""
    return float(sets.generated.values.mean() - sets.real.values.mean())


def test_figures_of_one_name_are_shown_alike() -> None:
    for figure in (figure for table in metrics._TABLES for figure in table):
        other = metrics.FIGURES[figure.name]
        for field in ("title", "better", "digits", "unit"):
            assert getattr(figure, field) == getattr(other, field), (figure.name, field)


def test_a_registered_metric_stands_in_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_added", dict(registry._added))
    registry.add("metric", "height", Metric("height", "mean height", "lower", 2, height, limits=(-1, 1)))
    assert usual() == [*METRICS, "height"]
    report = evaluate(Blank(), metrics=["height", "fid"], images=20)
    found, _ = report.results
    assert (found.metric, found.figure.title, found.better) == ("height", "mean height", "lower")
    assert found.value != 0
    assert found.floor is not None
    assert abs(found.floor) < abs(found.value)
    assert found.baseline is not None
    assert Report.from_dict(report.to_dict()).results[0].value == found.value
    with pytest.raises(GancliError, match="the metric 'fid' exists already"):
        registry.add("metric", "fid", METRICS["fid"])


def test_another_package_offers_a_metric(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = home / "site" / "offerer-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: offerer\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(
        "[gancli.metrics]\nzero = offered_metrics:ZERO\nother = offered_metrics:ZERO\n"
    )
    (home / "site" / "offered_metrics.py").write_text(
        "from gancli.metrics.base import Metric\nZERO = Metric('zero', 'zero', 'lower', 1, lambda sets: 0.0)\n"
    )
    monkeypatch.syspath_prepend(home / "site")
    monkeypatch.delitem(sys.modules, "offered_metrics", raising=False)
    assert "zero" not in usual()
    assert "offered_metrics" not in sys.modules
    (metric,) = choose(["zero"])
    assert (metric.name, metric.floor) == ("zero", None)
    with pytest.raises(UsageError, match="unknown metric 'zerr'") as error:
        choose(["zerr"])
    assert error.value.hint == "did you mean 'zero'?"
    with pytest.raises(GancliError, match="is none: "):
        choose(["other"])
