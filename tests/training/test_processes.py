"""Several processes train what one would: the same numbers, in float64 to the last digits that count."""

import json
import math
import sys

import pytest
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.processes import together

if sys.platform == "win32":
    pytest.skip("the processes are forked, as Windows cannot", allow_module_level=True)

CASES = (
    "acgan", "autoencoder", "cyclegan", "dcgan-upsample", "fastgan", "frozen dcgan with r1", "gan", "infogan",
    "mlp-gan with ada", "pictures", "pix2pix with diffaugment", "pix2pix-mask", "quick", "sine-gan",
    "stylegan2 with mixing", "vae", "vae-gan", "wgan-gp",
)  # fmt: skip
"""Every mechanism of the zoo once: batch norm, class-conditional and not, dropout, codes, an encoder, two generators, a
pool of images, mirrored data, several steps of a player, gradient penalties, minibatch deviation, a relativistic loss,
augmentation, frozen layers, noise inputs, mixed styles, and decoders."""
ROUNDS, FEW = 4, 2
"""Rounds that exchange images with a full pool and apply twice what is applied every other round; and those of gradient
accumulation."""

Found = tuple[dict[str, Tensor], dict[str, dict]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    """Weights, and what was told: by one process and by two, and by each of these in two parts."""
    folder = tmp_path_factory.mktemp("together")
    plans = {
        "one": f"1:1:fp64:{ROUNDS}",
        "few": f"1:1:fp64:{FEW}",
        "parts": f"1:2:fp64:{FEW}",
        "one32": "1:1:fp32:1",
        "two": f"2:1:fp64:{ROUNDS}",
        "two32": "2:1:fp32:1",
        "both": f"2:2:fp64:{FEW}",
    }
    together(folder, 2, CASES, *(f"{name}:{plan}" for name, plan in plans.items()))
    return {
        name: (load_file(folder / f"{name}.safetensors"), json.loads((folder / f"{name}.json").read_text()))
        for name in plans
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
    # Statistics of half a batch are others, a pool is filled in another order, and running means follow every part.
    others = ("autoencoder", "cyclegan", "stylegan2 with mixing")
    exact = not trained["few"][1][model]["norms"] and model not in others
    for name in ("parts", "both"):
        assert apart(trained["few"], trained[name], model) < (1e-8 if exact else 1)


def test_many_models_have_no_such_layer(trained: dict[str, Found]) -> None:
    assert sum(not told["norms"] for told in trained["one"][1].values()) >= 5


@pytest.mark.parametrize("model", CASES)
def test_in_float32_a_round_agrees_to_rounding(trained: dict[str, Found], model: str) -> None:
    assert apart(trained["one32"], trained["two32"], model) < 2e-3
