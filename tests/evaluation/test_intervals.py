"""A further independent evaluation lies where it was said to."""

import math

import pytest
import scipy.stats
import torch

from gancli.data import load
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.subjects import Pictures, Subject
from gancli.metrics import METRICS, choose, measure
from gancli.metrics.base import Features, Sets
from gancli.metrics.intervals import left_out, prediction


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


def test_a_further_evaluation_lies_inside_in_at_least_17_of_20_trials():
    generator = torch.Generator().manual_seed(0)

    def draw(n, shift):
        values = (torch.randn(n, 8, generator=generator) + shift).relu()
        return Features(values, values[:, :4].softmax(1))

    real, training = draw(200, 0.0), draw(200, 0.0).values
    metrics = choose(METRICS)
    inside = dict.fromkeys(METRICS, 0)
    for _ in range(20):
        found = [measure(metrics, Sets(real, draw(150, 0.3), lambda: training)) for _ in range(6)]
        for name in METRICS:
            low, high = prediction([one[name] for one in found[:5]])
            inside[name] += low <= found[5][name] <= high
    assert min(inside.values()) >= 17, inside


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


def test_too_few_images_of_a_folder_are_one_set_with_parts_left_out():
    stock = load("digits").images[:300]
    pictures, names = Pictures("made", stock), ["fid", "recall", "memorisation", "class-fid"]
    single = evaluate(pictures, "digits", names, 200)
    found = evaluate(pictures, "digits", names, 200, repeats=5)
    assert (found.protocol.repeats, found.protocol.parts, found.protocol.seeds) == (1, 5, single.protocol.seeds)
    for alone, result in zip(single.results, found.results, strict=True):
        assert result.value == alone.value
        assert result.interval is not None
        assert result.interval[0] <= result.value <= result.interval[1]
    reach = scipy.stats.t.ppf(0.975, 2) * math.sqrt(2 * 2 / 3 * 2)
    assert left_out(2.0, [1.0, 2.0, 3.0]) == pytest.approx((2 - reach, 2 + reach), rel=1e-5)


def test_what_is_known_of_the_neighbours_is_kept_when_a_part_is_left_out():
    values = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    whole = Features(values, values.softmax(1))
    told = (torch.arange(20), torch.arange(20) + 5)
    sets = Sets(whole, whole, lambda: values * 2, told)
    before = sets.without(1, 4).to_training
    distances = sets.to_training[0]
    after = sets.without(1, 4)
    assert all(torch.equal(one, other) for one, other in zip(after.to_training, before, strict=True))
    assert after.to_training[0].tolist() == [distances[i] for i in range(20) if i % 4 != 1]
    assert after.labels is not None
    assert after.labels[1].tolist() == [i + 5 for i in range(20) if i % 4 != 1]
    assert torch.equal(after.generated.probabilities, whole.probabilities[torch.arange(20) % 4 != 1])


def test_intervals_of_a_single_set_hold_a_further_one_in_at_least_17_of_20_trials():
    generator = torch.Generator().manual_seed(0)

    def draw(n, shift):
        values = (torch.randn(n, 8, generator=generator) + shift).relu()
        return Features(values, values[:, :4].softmax(1))

    real, training = draw(200, 0.0), draw(200, 0.0).values
    metrics = choose(name for name in METRICS if name != "modes")
    inside = {metric.name: 0 for metric in metrics}
    for _ in range(20):
        one, other = (Sets(real, draw(150, 0.3), lambda: training) for _ in range(2))
        values, further = measure(metrics, one), measure(metrics, other)
        parts = [measure(metrics, one.without(part, 10)) for part in range(10)]
        for name, value in values.items():
            low, high = left_out(value, [each[name] for each in parts])
            inside[name] += low <= further[name] <= high
    assert min(inside.values()) >= 17, inside


@pytest.mark.parametrize(
    ("subject", "repeats", "message"),
    [
        (Drawn(torch.zeros(9, 1, 8, 8, dtype=torch.uint8)), 31, "--repeats 31 is out of range"),
        (
            Pictures("made", torch.zeros(10, 1, 8, 8, dtype=torch.uint8)),
            2,
            "9 images are too few for the intervals of --repeats 2",
        ),
    ],
)
def test_sets_that_cannot_be_made_are_refused(subject, repeats, message):
    with pytest.raises(UsageError) as error:
        evaluate(subject, "digits", ["recall"], 9, repeats=repeats)
    assert error.value.message == message
