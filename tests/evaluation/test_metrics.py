"""Every metric against an oracle of our own, written from the paper and not from the library that computes it."""

import ast
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor

from gancli import metrics
from gancli.errors import UsageError
from gancli.metrics import METRICS, choose, measure
from gancli.metrics.base import Features, Sets
from gancli.metrics.kid import kid
from gancli.metrics.moments import class_fids, diversity, fid
from gancli.metrics.neighbours import manifolds, nearest
from gancli.metrics.wasserstein import sliced


def features(n: int, dim: int, seed: int, *, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    """Correlated, non-negative features, as a ReLU leaves them."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=torch.Generator().manual_seed(99)) / dim**0.5
    return (torch.randn(n, dim, generator=generator) @ mixing * scale + shift).relu()


def probabilities(n: int, seed: int, *, sharp: float = 3.0, lean: float = 0.0) -> Tensor:
    """What a classifier of four classes gives n images; with ``lean``, more of the first class."""
    logits = sharp * torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    return (logits + lean * torch.tensor([1.0, 0, 0, 0])).softmax(1)


def sets(n: int = 50, m: int = 50, *, lean: float = 0.0) -> Sets:
    real, generated = Features(features(n, 8, 1), probabilities(n, 1)), features(m, 8, 2, shift=0.2)
    return Sets(real, Features(generated, probabilities(m, 2, lean=lean)), lambda: features(80, 8, 3))


def fid_oracle(real: Tensor, generated: Tensor) -> float:
    (m, c), (n, d) = [(x.double().mean(0).numpy(), np.cov(x.double().numpy(), rowvar=False)) for x in (real, generated)]
    return float(((m - n) ** 2).sum() + np.trace(c + d - 2 * np.real(scipy.linalg.sqrtm(c @ d))))


def kid_oracle(real: Tensor, generated: Tensor) -> float:
    """The unbiased estimator, pair by pair."""
    x, y = real.double().tolist(), generated.double().tolist()

    def k(a: list[float], b: list[float]) -> float:
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    within = [sum(k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j) for s in (x, y)]
    across = sum(k(a, b) for a in x for b in y)
    return within[0] / (len(x) * (len(x) - 1)) + within[1] / (len(y) * (len(y) - 1)) - 2 * across / (len(x) * len(y))


def inside_oracle(points: Tensor, centres: Tensor, neighbour: int) -> np.ndarray:
    """Which points (rows) lie in which balls (columns) around centres that reach to their neighbour of that number."""
    p, c = points.double().numpy(), centres.double().numpy()
    radii = [sorted(np.linalg.norm(one - np.delete(c, i, axis=0), axis=1))[neighbour - 1] for i, one in enumerate(c)]
    return np.array([np.linalg.norm(one - c, axis=1) <= radii for one in p])


def manifolds_oracle(real: Tensor, generated: Tensor) -> dict[str, float]:
    wide = inside_oracle(generated, real, 5)
    return {
        "precision": float(inside_oracle(generated, real, 3).any(1).mean()),
        "recall": float(inside_oracle(real, generated, 3).any(1).mean()),
        "density": float(wide.sum() / (5 * len(generated))),
        "coverage": float(wide.any(0).mean()),
    }


@pytest.mark.parametrize(("n", "m", "dim"), [(400, 300, 16), (2000, 2000, 64), (500, 700, 128), (35, 40, 128)])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_fid_is_the_frechet_distance(n: int, m: int, dim: int, shift: float) -> None:
    real, generated = features(n, dim, 1), features(m, dim, 2, shift=shift, scale=1.2)
    assert fid(real, generated) == pytest.approx(fid_oracle(real, generated), rel=1e-5)


def test_fid_of_gaussians_moved_apart_is_the_square_of_the_way() -> None:
    real = features(1000, 8, 1)
    assert fid(real, real + 2.0) == pytest.approx(8 * 4.0, rel=1e-5)
    assert fid(real, real) == pytest.approx(0, abs=1e-6)


def test_fids_of_classes_are_those_of_their_images() -> None:
    real, generated = features(60, 6, 1), features(50, 6, 2, shift=0.3)
    one, other = torch.arange(60) % 3, torch.arange(50) % 2
    one[one == 2] = 4  # the classes 0, 1 and 4 are real, 0 and 1 generated
    found = class_fids(real, generated, one, other, 5)
    expected = [fid_oracle(real[one == number], generated[other == number]) for number in (0, 1)]
    # What makes no image of a class is judged by all that it makes.
    expected.append(fid_oracle(real[one == 4], generated))
    assert [found[number] for number in (0, 1, 4)] == pytest.approx(expected, rel=1e-5)
    assert (found[2], found[3]) == (None, None)


def test_the_classes_are_read_unless_they_are_told() -> None:
    read = sets(80, 90)
    classes = read.real.classes, read.generated.classes
    told = replace(read, labels=(torch.arange(80) % 4, torch.arange(90) % 4))
    for given, (one, other) in ((read, classes), (told, told.labels or classes)):
        figures = [
            fid_oracle(read.real.values[one == number], read.generated.values[other == number]) for number in range(4)
        ]
        assert METRICS["class-fid"].measure(given) == pytest.approx(np.mean(figures), rel=1e-4)


def test_fid_survives_a_set_without_spread() -> None:
    real = features(300, 32, 1)
    same = real[:1].expand(300, -1)
    expected = float((real.double().mean(0) - same[0].double()).square().sum() + real.double().var(0).sum())
    assert fid(real, same) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kid_is_the_unbiased_estimator(shift: float) -> None:
    real, generated = features(60, 16, 1), features(60, 16, 2, shift=shift)
    assert kid(real, generated) == pytest.approx(kid_oracle(real, generated), rel=1e-5, abs=1e-12)


def test_kid_of_sides_of_different_size_averages_subsets_of_the_smaller() -> None:
    real, generated = features(60, 16, 1, shift=0.4), features(300, 16, 2)
    # Subsets of 60 out of 300 scatter around the estimate from all.
    assert kid(real, generated) == pytest.approx(kid_oracle(real, generated), rel=0.05)


def test_kid_of_more_images_than_a_subset_is_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("gancli.metrics.kid"), "KID_SUBSET_SIZE", 250)
    real, generated = features(300, 16, 1), features(280, 16, 2, shift=0.5)
    torch.manual_seed(1)
    first = kid(real, generated)
    np.random.seed(5)
    assert kid(real, generated) == first
    x, y = real.double().numpy(), generated.double().numpy()
    xx, yy, xy = ((a @ b.T / 16 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    whole = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (xx, yy)]
    assert first == pytest.approx(sum(whole) - 2 * xy.mean(), rel=0.02)


@pytest.mark.parametrize(("n", "m"), [(6, 6), (150, 150), (90, 260), (600, 300)])
def test_manifolds_are_unions_of_balls(n: int, m: int) -> None:
    real, generated = features(n, 12, 1), features(m, 12, 2, shift=0.15, scale=0.6)
    expected = manifolds_oracle(real, generated)
    assert n == 6 or len(set(expected.values())) == 4
    assert manifolds(real, generated) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("offset", [0.0, 5.0, 50.0])
def test_manifolds_far_from_the_origin(offset: float) -> None:
    real, generated = features(300, 12, 1) + offset, features(300, 12, 2, shift=0.15, scale=0.6) + offset
    expected = manifolds_oracle(real, generated)
    assert manifolds(real, generated) == pytest.approx(expected, abs=1e-9)


def test_the_same_features_lie_in_balls_without_extent() -> None:
    # Distances from matrix products are off by rounding, and 0 would not be within 0 then.
    blank = features(1, 192, 1, shift=3.0)
    real = torch.cat([features(300, 192, 2), blank.expand(20, -1)])
    found = manifolds(real, blank.expand(300, -1))
    assert found == {"precision": 1.0, "recall": 20 / 320, "density": 4.0, "coverage": 20 / 320}


def test_a_narrow_set_has_precision_and_a_wide_one_has_recall() -> None:
    real = features(400, 12, 1)
    narrow = manifolds(real, real[:1] + 1e-3 * features(400, 12, 3))
    wide = manifolds(real, torch.cat([real[:200], features(200, 12, 2, shift=20.0)]))
    assert narrow["precision"] == 1.0
    assert narrow["recall"] < 0.02
    assert wide["recall"] > 0.8
    assert wide["precision"] == pytest.approx(0.5)
    assert (narrow["density"] > 1, narrow["coverage"] < 0.05) == (True, True)
    assert wide["density"] == pytest.approx(0.6, abs=0.1)  # half of the features lie in their own ball and 5 others


@pytest.mark.parametrize(("n", "m"), [(60, 60), (90, 41)])
def test_the_sliced_distance_is_that_of_scipy_along_each_direction(n: int, m: int) -> None:
    real, generated = features(n, 6, 1), features(m, 6, 2, shift=0.3)
    directions = torch.randn(6, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    one, other = (real.double() @ directions).T.numpy(), (generated.double() @ directions).T.numpy()
    expected = np.mean([scipy.stats.wasserstein_distance(a, b) for a, b in zip(one, other, strict=True)])
    assert sliced(real, generated) == pytest.approx(expected, rel=1e-9)


def test_the_sliced_distance_of_a_set_that_was_moved() -> None:
    real = features(200, 1, 1)
    assert sliced(real, real + 2.0) == pytest.approx(2.0, rel=1e-5)
    assert sliced(real, real.flip(0)) == 0


def test_diversity_is_the_mean_squared_distance_beside_the_real_ones() -> None:
    real, generated = features(70, 6, 1), features(50, 6, 2, scale=0.5)
    apart = [float((torch.cdist(x, x).double() ** 2).sum() / (len(x) * (len(x) - 1))) for x in (real, generated)]
    assert diversity(real, generated) == pytest.approx(apart[1] / apart[0], rel=1e-5)
    assert diversity(real, real[:1].expand(50, -1)) == pytest.approx(0, abs=1e-9)


def test_the_score_is_one_for_a_classifier_in_doubt_and_the_number_of_classes_at_best() -> None:
    def score(given: Tensor) -> float:
        return METRICS["score"].measure(replace(sets(), generated=Features(features(len(given), 8, 1), given)))

    assert score(torch.full((40, 4), 0.25)) == pytest.approx(1)
    assert score(torch.eye(4).repeat(10, 1)) == pytest.approx(4)
    assert score(torch.eye(4)[:1].repeat(40, 1)) == pytest.approx(1)
    given = probabilities(60, 3).double().numpy()
    kl = [scipy.stats.entropy(one, given.mean(0)) for one in given]
    assert score(probabilities(60, 3)) == pytest.approx(float(np.exp(np.mean(kl))), rel=1e-6)


def test_imbalance_is_the_share_that_would_have_to_change() -> None:
    def imbalance(real: list[int], generated: list[int]) -> float:
        one, other = (Features(features(len(y), 8, 1), torch.eye(4)[y]) for y in (real, generated))
        return METRICS["imbalance"].measure(Sets(one, other, lambda: features(9, 8, 1)))

    assert imbalance([0, 1, 2, 3], [3, 2, 1, 0]) == 0
    assert imbalance([0, 1, 2, 3], [0, 0, 0, 0]) == pytest.approx(0.75)
    assert imbalance([0, 0, 1, 1], [0, 0, 0, 1]) == pytest.approx(0.25)


def test_memorisation_is_the_chance_to_be_nearer_than_held_out_images() -> None:
    training, held_out = features(90, 8, 3), features(40, 8, 1)

    def found(generated: Tensor) -> float:
        one, other = (Features(x, probabilities(len(x), 1)) for x in (held_out, generated))
        return METRICS["memorisation"].measure(Sets(one, other, lambda: training))

    generated = torch.cat([training[:10], features(50, 8, 2, shift=0.1)])
    to_training = [torch.cdist(x.double(), training.double()).min(1).values for x in (generated, held_out)]
    to_training[0][:10] = 0
    pairs = [1.0 if a < b else 0.5 if a == b else 0.0 for a in to_training[0] for b in to_training[1]]
    assert found(generated) == pytest.approx(np.mean(pairs), abs=1e-9)
    assert found(training) == 1
    assert found(held_out) == 0.5
    assert found(features(40, 8, 2) + 50) == 0


def test_the_nearest_is_found_whatever_the_block() -> None:
    stock, some = features(700, 12, 1), features(300, 12, 2)
    distances, rows = nearest(some, stock)
    expected = torch.cdist(some.double(), stock.double()).min(1)
    assert torch.equal(rows, expected.indices)
    torch.testing.assert_close(distances.double(), expected.values.square(), rtol=1e-4, atol=1e-5)
    copies, numbers = nearest(stock[100:140], stock)
    assert torch.equal(numbers, torch.arange(100, 140))
    assert float(copies.max()) == 0


def test_metrics_are_silent(capfd: pytest.CaptureFixture[str]) -> None:
    measure(choose(METRICS), sets())
    assert capfd.readouterr() == ("", "")


def test_measure_gives_the_metrics_asked_for_in_that_order() -> None:
    found = measure(choose(["recall", "fid", "recall"]), sets())
    assert list(found) == ["recall", "fid"]


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (["fdi"], "unknown metric 'fdi'", "did you mean 'fid'?"),
        (["x"], "unknown metric 'x'", f"one of: {', '.join(sorted(METRICS))}"),
        ([], "no metric was named", f"one or more of: {', '.join(METRICS)}"),
    ],
)
def test_unknown_names_are_refused(names: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        choose(names)
    assert (error.value.message, error.value.hint) == (message, hint)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_the_figure_of_its_name(name: str) -> None:
    metric = METRICS[name]
    found = metric.measure(sets())
    assert isinstance(found, float)
    assert np.isfinite(found)
    assert metric.better in ("lower", "higher")


def test_modes_are_counted() -> None:
    values, given = torch.zeros(50, 4), torch.zeros(50, 1000)
    given[torch.arange(50), torch.arange(50) % 7 * 100] = 1
    sets = Sets(Features(values, given), Features(values, given), lambda: values)
    assert METRICS["modes"].measure(sets) == 7


def test_no_figure_replaces_another_of_its_name() -> None:
    """A table by name would keep the last one in silence."""
    names = [
        node.args[0].value
        for node in ast.walk(ast.parse(Path(metrics.__file__).read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Metric"
    ]
    assert names == list(METRICS)
