"""A further independent evaluation lies where it was said to."""

import math
from collections import Counter

import pytest
import scipy.stats
import torch

from gancli.data import load
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.subjects import Pictures, Subject
from gancli.metrics import METRICS, choose, measure
from gancli.metrics.base import Features, Sets
from gancli.metrics.intervals import prediction


class Drawn(Subject):
    """A "model" that draws images of a stock: every seed another one, or the same again."""

    name, data_name = "drawn", "digits"
    shape = (1, 8, 8)

    def __init__(self, stock):
        self.stock = stock

    def images(self, seeds, batch):
        for part in torch.as_tensor(list(seeds)).split(batch):
            yield self.stock[part * 7919 % len(self.stock)]


@pytest.mark.parametrize("count", [2, 3, 5, 17, 30])
def test_the_interval_is_that_of_students_t(count):
    values = torch.randn(count, generator=torch.Generator().manual_seed(count)).tolist()
    mean, spread = sum(values) / count, float(torch.tensor(values).std())
    reach = scipy.stats.t.ppf(0.975, count - 1) * spread * math.sqrt(1 + 1 / count)
    assert prediction(values) == pytest.approx((mean - reach, mean + reach), rel=1e-5)


SLOW = {"kid", "swd"}
"""Metrics that take ten times as long as the others together."""


def test_a_further_evaluation_lies_inside_in_at_least_17_of_20_trials():
    generator = torch.Generator().manual_seed(0)

    def draw(n, shift):
        values = (torch.randn(n, 8, generator=generator) + shift).relu()
        return Features(values, values[:, :4].softmax(1))

    real, training = draw(200, 0.0), draw(200, 0.0).values
    inside = Counter()
    for trial in range(20):
        metrics = choose(name for name in METRICS if trial < 3 or name not in SLOW)
        found = [measure(metrics, Sets(real, draw(150, 0.3), lambda: training)) for _ in range(6)]
        for name in found[0]:
            low, high = prediction([one[name] for one in found[:5]])
            inside[name] += low <= found[5][name] <= high
    # Fewer would be inside once in 60 times, or of three trials once in 130, if 95% of all are.
    assert all(count >= (2 if name in SLOW else 17) for name, count in inside.items()), inside


def test_several_sets_give_means_with_intervals():
    stock = load("digits").images
    single = [evaluate(Drawn(stock), metrics=["fid", "recall"], images=60, seed_start=60 * i) for i in range(3)]
    found = evaluate(Drawn(stock), metrics=["fid", "recall"], images=60, repeats=3)
    assert (found.protocol.seeds, found.protocol.repeats, found.protocol.generated_images) == ("0-179", 3, 60)
    for number, result in enumerate(found.results):
        values = [one.results[number].value for one in single]
        assert result.value == pytest.approx(sum(values) / 3)
        least, most = METRICS[result.metric].limits
        low, high = prediction(values)
        assert result.interval == pytest.approx((max(low, least), min(high, most)))
    assert single[0].results[0].interval is None
    assert found.generated == single[0].generated


def test_sets_of_a_folder_share_no_image():
    stock = load("digits").images[:130]
    found = evaluate(Pictures("made", stock), "digits", ["fid"], 60, repeats=2)
    assert (found.protocol.seeds, found.protocol.repeats) == ("none: 120 of 130 images", 2)
    order = torch.cat(list(Pictures("made", stock).images(range(120), 60))).split(60)
    single = [evaluate(Pictures("made", half), "digits", ["fid"], 60).results[0].value for half in order]
    assert found.results[0].value == pytest.approx(sum(single) / 2, rel=1e-6)
    assert found.results[0].interval is not None


@pytest.mark.parametrize(
    ("subject", "repeats", "message"),
    [
        (Drawn(torch.zeros(9, 1, 8, 8, dtype=torch.uint8)), 31, "`repeats=31` is out of range"),
        (
            Pictures("made", torch.zeros(10, 1, 8, 8, dtype=torch.uint8)),
            2,
            "there are 10 images, and 18 are needed",
        ),
    ],
)
def test_sets_that_cannot_be_made_are_refused(subject, repeats, message):
    with pytest.raises(UsageError) as error:
        evaluate(subject, "digits", ["recall"], 9, repeats=repeats)
    assert error.value.message == message
