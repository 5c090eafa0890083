"""The JavaScript of a page draws the latents that gancli draws. It is run by Node.js."""

import random

import pytest
import torch
from javascript import in_node

from gancli.latents import MAX_SEED, LatentSpec
from gancli.latents.paths import lerp, slerp

SEEDS = [0, 1, MAX_SEED, 2**31, *random.Random(0).sample(range(2**32), 996)]

SPECS = [
    LatentSpec(1, codes=3),  # one value: the second of its pair is not used
    LatentSpec(5),
    LatentSpec(15, classes=3, codes=2),  # the most values that PyTorch draws in double precision
    LatentSpec(16, classes=10),
    LatentSpec(17, "normal", classes=10, codes=17),  # one value more than sixteen draws sixteen again
    LatentSpec(100, "uniform", classes=7, codes=1),
    LatentSpec(128, classes=4, shares=(0.1, 0.2, 0.3, 0.4)),
]


def plain(spec: LatentSpec) -> dict:
    return {"shares": [], **spec.to_dict()}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.distribution}-{spec.dim}")
def test_a_thousand_seeds_are_gancli_s(spec: LatentSpec) -> None:
    script = """
        return given.seeds.map((seed) => {
            const { z, y, c } = page.latents(seed, given.spec);
            return { z: Array.from(z), y, c: Array.from(c) };
        });
    """
    drawn = in_node(script, {"seeds": SEEDS, "spec": plain(spec)})
    right = spec.from_seeds(SEEDS)
    # Libraries differ in the last bit of logarithms and sines.
    torch.testing.assert_close(torch.tensor([one["z"] for one in drawn]), right["z"], rtol=1e-6, atol=1e-6)
    if spec.classes:
        assert [one["y"] for one in drawn] == right["y"].tolist()
    if spec.codes:
        assert torch.equal(torch.tensor([one["c"] for one in drawn]), right["c"])


@pytest.mark.parametrize("limit", [0.1, 1.2, 3.0])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_truncated_latents_are_gancli_s(distribution, limit: float) -> None:
    spec, cut = LatentSpec(40, distribution), LatentSpec(40, distribution, truncation=limit)
    script = """
        return given.seeds.map((seed) => Array.from(
            page.cutOff(page.latents(seed, given.spec).z, given.limit, given.spec.distribution)));
    """
    drawn = in_node(script, {"seeds": SEEDS[:50], "spec": plain(spec), "limit": limit})
    torch.testing.assert_close(torch.tensor(drawn), cut.from_seeds(SEEDS[:50])["z"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("distribution", "way"), [("normal", slerp), ("uniform", lerp)])
def test_a_walk_is_gancli_s(distribution, way) -> None:
    spec = LatentSpec(40, distribution)
    script = """
        const [a, b] = given.seeds.map((seed) => page.latents(seed, given.spec).z);
        return given.times.map((t) => Array.from(page.between(a, b, t, given.spec.distribution)));
    """
    times = [0.0, 0.25, 0.9, 1.0]
    walked = in_node(script, {"seeds": [3, 14], "spec": plain(spec), "times": times})
    a, b = spec.from_seeds([3, 14])["z"].double()
    right = torch.stack([way(a, b, torch.tensor(t, dtype=torch.float64)) for t in times])
    torch.testing.assert_close(torch.tensor(walked), right.float(), rtol=1e-5, atol=1e-6)
