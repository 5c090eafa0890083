"""Path lengths of generators that are simple enough to know them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gancli import load as load_model
from gancli.data import load
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.subjects import Pictures
from gancli.latents import Inputs, LatentSpec
from gancli.metrics.paths import path_length


def pixels(batches: Any, total: int) -> Tensor:
    """An image's pixels as its features."""
    values = torch.cat([images.flatten(1) for images in batches])
    assert len(values) == total
    return values


def length(generate: Any, spec: LatentSpec, real: Tensor, count: int = 400, **options: Any) -> float:
    return path_length(generate, spec, range(2 * count), pixels, real, **options)


def as_images(values: Tensor) -> Tensor:
    return values[:, None, None, :]


REAL = torch.randn(2000, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("step", [1e-2, 1e-3, 1e-4])
def test_lines_have_the_length_of_the_way(step: float) -> None:
    spec = LatentSpec(12, "uniform")

    def generate(inputs: Inputs) -> Tensor:
        return as_images(inputs["z"])

    ends = spec.from_seeds(range(800))["z"].double()
    apart = (ends[0::2] - ends[1::2]).square().sum(1).mean() / (2 * REAL.double().var(0).sum())
    assert length(generate, spec, REAL, step=step) == pytest.approx(float(apart), rel=1e-3)


def test_going_straight_between_images_as_different_as_real_ones_is_one() -> None:
    spec = LatentSpec(12, "uniform")
    assert length(lambda inputs: as_images(inputs["z"] * 3**0.5), spec, REAL, 2000) == pytest.approx(1, abs=0.05)


def test_circles_have_the_length_of_the_arc() -> None:
    spec = LatentSpec(12)
    ends = torch.nn.functional.normalize(spec.from_seeds(range(800))["z"].double(), dim=1)
    angles = (ends[0::2] * ends[1::2]).sum(1).acos()

    def generate(inputs: Inputs) -> Tensor:
        return as_images(torch.nn.functional.normalize(inputs["z"], dim=1))

    expected = float(angles.square().mean() / (2 * REAL.double().var(0).sum()))
    # Ends of different lengths make the speed a little uneven.
    assert expected <= length(generate, spec, REAL, step=1e-3) <= 1.02 * expected


def test_a_smooth_generator_has_the_same_figure_at_every_step() -> None:
    spec = LatentSpec(8)
    torch.manual_seed(0)
    first, second = torch.randn(8, 64) / 8**0.5, torch.randn(64, 12) / 8

    def generate(inputs: Inputs) -> Tensor:
        return as_images((inputs["z"] @ first).tanh() @ second)

    found = [length(generate, spec, REAL, step=step) for step in (3e-3, 1e-3, 3e-4, 1e-4)]
    assert found == pytest.approx([found[1]] * 4, rel=0.01)
    # Eight bits leave nothing of such a step but noise.
    rough = length(lambda inputs: (generate(inputs) * 20).round() / 20, spec, REAL, step=1e-3)
    assert rough > 5 * found[1]


def test_a_step_in_the_way_is_seen() -> None:
    spec = LatentSpec(8)
    smooth = length(lambda inputs: as_images(inputs["z"][:, :1].tanh()), spec, REAL)
    steep = length(lambda inputs: as_images((20 * inputs["z"][:, :1]).tanh()), spec, REAL)
    assert steep > 3 * smooth


def test_a_path_keeps_its_class_and_goes_through_codes() -> None:
    spec = LatentSpec(4, classes=10, codes=2)
    seen = []

    def generate(inputs: Inputs) -> Tensor:
        seen.append(inputs)
        return as_images(inputs["z"])

    length(generate, spec, REAL, 30)
    own = spec.from_seeds(range(60))
    here, there = seen
    assert torch.equal(here["y"], own["y"][0::2])
    assert torch.equal(here["y"], there["y"])
    low, high = torch.minimum(own["c"][0::2], own["c"][1::2]), torch.maximum(own["c"][0::2], own["c"][1::2])
    assert ((here["c"] >= low) & (here["c"] <= high)).all()
    assert not torch.equal(here["c"], there["c"])


def test_it_is_measured_where_it_is_named() -> None:
    model = load_model("dcgan/digits", device="cpu")
    report = evaluate(model, metrics=["fid", "path"], images=100)
    assert [result.metric for result in report.results] == ["fid", "path"]
    path = report.results[1]
    assert (path.floor, path.baseline, path.better) == (None, None, "lower")
    assert 1 < path.value < 100
    assert "path" not in [result.metric for result in evaluate(model, images=100).results]
    again = evaluate(model, metrics=["path"], images=100, repeats=2).results[0]
    assert again.interval is not None
    assert again.interval[1] > 1  # not cut off as a share would be


def test_images_have_no_paths() -> None:
    with pytest.raises(UsageError) as error:
        evaluate(Pictures("made", load("digits").images), "digits", ["path"])
    assert error.value.message == "'made' has no latents, and path is measured between latents"
    assert error.value.hint == "leave it out of --metrics"


def test_a_network_that_rounds_images_measures_no_paths() -> None:
    with pytest.raises(UsageError, match="path cannot be measured by inception, which rounds images"):
        evaluate(load_model("quick/digits"), metrics=["path"], images=10, extractor="inception")
