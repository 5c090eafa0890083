"""Several processes train what one would: the same numbers, in float64 to the last digits that count."""

import json
import math
from functools import partial

import pytest
from safetensors.torch import load_file
from side_by_side import CASES
from torch import Tensor

from benchmarks.processes import together

ROUNDS, FEW = 20, 3

Found = tuple[dict[str, Tensor], dict[str, dict]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    """Weights, and what was told: alone, alone in two parts, by two processes, by three with two parts each."""
    folder = tmp_path_factory.mktemp("together")
    train = partial(together, folder, threads=1)
    train(1, f"one:1:fp64:{ROUNDS}", f"few:1:fp64:{FEW}", f"parts:2:fp64:{FEW}", "one32:1:fp32:1")
    train(2, f"two:1:fp64:{ROUNDS}", "two32:1:fp32:1")
    train(3, f"both:2:fp64:{FEW}")
    names = ("one", "few", "parts", "one32", "two", "two32", "both")
    return {
        name: (load_file(folder / f"{name}.safetensors"), json.loads((folder / f"{name}.json").read_text()))
        for name in names
    }


def apart(one: Found, other: Found, model: str) -> float:
    """The largest difference of any weight of a model."""
    names = [name for name, value in one[0].items() if name.startswith(f"{model}/") and value.is_floating_point()]
    assert names
    return max(float((one[0][name].double() - other[0][name].double()).abs().max()) for name in names)


@pytest.mark.parametrize("model", CASES)
def test_two_processes_follow_one(trained: dict[str, Found], model: str) -> None:
    assert apart(trained["one"], trained["two"], model) < 1e-8
    mine, theirs = (trained[name][1][model] for name in ("one", "two"))
    assert mine["drawn"] == theirs["drawn"] > 0
    for before, after in zip(mine["losses"], theirs["losses"], strict=True):
        assert before.keys() == after.keys()
        close = [math.isclose(before[name], after[name], rel_tol=1e-5, abs_tol=1e-6) for name in before]
        assert all(close), (before, after)


def test_weights_have_moved(trained: dict[str, Found]) -> None:
    assert all(apart(trained["one"], (trained["one32"][0], {}), model) > 1e-5 for model in CASES)


@pytest.mark.parametrize("model", CASES)
def test_a_batch_in_parts_is_a_batch_where_no_layer_looks_at_all_of_it(trained: dict[str, Found], model: str) -> None:
    # Statistics of half a batch are others, and a pool is filled in another order.
    exact = not trained["few"][1][model]["norms"] and model not in ("autoencoder", "cyclegan")
    for name in ("parts", "both"):
        assert apart(trained["few"], trained[name], model) < (1e-8 if exact else 1)


def test_many_models_have_no_such_layer(trained: dict[str, Found]) -> None:
    assert sum(not told["norms"] for told in trained["one"][1].values()) >= 6


@pytest.mark.parametrize("model", CASES)
def test_in_float32_a_round_agrees_to_rounding(trained: dict[str, Found], model: str) -> None:
    assert apart(trained["one32"], trained["two32"], model) < 2e-3
