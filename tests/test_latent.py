import json
import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.errors import GancliError, UsageError
from gancli.latents import LatentSpec, batches, parse_seeds, path, seeds_text


def walk(spec, seeds, frames, *, classes=None, **options):
    keyframes = spec.from_seeds(seeds)
    if classes is not None:
        keyframes["y"] = torch.tensor(classes)
    return path(spec, keyframes, frames, **options)


EXAMPLE = "such as 7 or 0-63 or 0-9,42,100-109"


def test_seeds_come_in_the_order_written():
    assert list(parse_seeds("0-3,100, 7,7")) == [0, 1, 2, 3, 100, 7, 7]


def test_one_range_is_a_range_and_more_are_a_tuple():
    assert parse_seeds("5-9") == range(5, 10)
    assert parse_seeds("7") == range(7, 8)
    assert parse_seeds("0-2,7") == (0, 1, 2, 7)
    assert len(parse_seeds("0-999999")) == 1_000_000


@given(st.lists(st.integers(0, 40), min_size=1, max_size=20))
def test_the_text_of_seeds_is_read_back(seeds):
    assert tuple(parse_seeds(seeds_text(seeds))) == tuple(seeds)
    assert seeds_text([0, 1, 2, 7, 6]) == "0-2,7,6"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "`seeds` '' is not a whole number or a range of them", EXAMPLE),
        ("a", "`seeds` 'a' is not a whole number or a range of them", EXAMPLE),
        ("1.5", "`seeds` '1.5' is not a whole number or a range of them", EXAMPLE),
        ("1-2-3", "`seeds` '1-2-3' is not a whole number or a range of them", EXAMPLE),
        ("-1", "`seeds` '-1' is not a whole number or a range of them", EXAMPLE),
        ("1,,2", "`seeds` '' is not a whole number or a range of them", EXAMPLE),
        ("5-3", "`seeds` '5-3' is not a whole number or a range of them", EXAMPLE),
        ("9" * 5000, f"`seeds` '{'9' * 37}...' is not a whole number or a range of them", EXAMPLE),
        (
            "0-999999,3",
            "`seeds` '0-999999,3' names 1,000,001 seeds; at most 1,000,000 go in one command",
            "make them in several commands, such as 0-999999 and then 1000000-1999999",
        ),
    ],
)
def test_faulty_seeds(text, message, hint):
    with pytest.raises(UsageError) as error:
        parse_seeds(text)
    assert (error.value.message, error.value.hint) == (message, hint)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("dim", [1, 3, 128])
def test_one_seed_is_one_latent_alone_and_in_a_batch(distribution, dim):
    spec = LatentSpec(dim, distribution)
    together = spec.from_seeds(parse_seeds("0-30,4294967295"))["z"]
    assert together.shape == (32, dim)
    assert together.dtype == torch.float32
    assert torch.equal(spec.from_seeds([7])["z"][0], together[7])
    assert torch.equal(spec.from_seeds([2**32 - 1])["z"][0], together[31])
    assert len(together.unique(dim=0)) == 32


def test_latents_of_a_seed_stay_what_they_were():
    # Values drawn once: pictures of a seed must not change between releases.
    assert LatentSpec(3).from_seeds([0])["z"][0].tolist() == pytest.approx([1.5409961, -0.2934289, -2.1787894])


DRAWN = {
    # Seeds 0, 42 and 2**32 - 1: the first and the last value of z, y, c. Normal values come 16 at a time where dim is
    # 16 or more, and the processor's own logarithm may decide their last bit.
    LatentSpec(4, classes=10, codes=2): {
        "z": [[1.5409961, 0.5684313], [0.3366904, 0.2303330], [1.2197630, -0.3734211]],
        "y": [7, 0, 9],
        "c": [[0.2646126, -0.3022131], [-0.7336282, 0.8691962], [0.1835671, -0.6129609]],
    },
    LatentSpec(20): {"z": [[-1.1258398, 0.0537369], [1.9269153, -0.6215954], [-2.6642976, -1.2096902]]},
    LatentSpec(3, "uniform", codes=1): {
        "z": [[-0.0074868, -0.8230451], [0.7645385, -0.2342725], [0.9875988, 0.1400160]],
        "c": [[-0.7359390], [0.9186113], [-0.9009925]],
    },
}


@pytest.mark.parametrize("spec", DRAWN, ids=str)
def test_everything_drawn_of_a_seed_stays_what_it_was(spec):
    inputs = spec.from_seeds([0, 42, 2**32 - 1])
    inputs["z"] = inputs["z"][:, [0, -1]]
    assert set(inputs) == set(DRAWN[spec])
    for name, values in DRAWN[spec].items():
        assert torch.allclose(inputs[name], torch.tensor(values), rtol=0, atol=2e-7), name


def test_distributions():
    normal = LatentSpec(64).from_seeds(range(500))["z"]
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    uniform = LatentSpec(64, "uniform").from_seeds(range(500))["z"]
    assert uniform.min() >= -1
    assert uniform.max() < 1
    assert abs(uniform.std() - 1 / math.sqrt(3)) < 0.01


def test_seeds_out_of_range_have_no_latent():
    for seed in (-1, 2**32):
        with pytest.raises(UsageError, match=rf"^seed {seed} is out of range$"):
            LatentSpec(2).from_seeds([seed])


def test_draw_follows_its_generator():
    spec = LatentSpec(5, "uniform")
    first = spec.draw(4, torch.Generator().manual_seed(3))["z"]
    assert first.shape == (4, 5)
    assert torch.equal(first, spec.draw(4, torch.Generator().manual_seed(3), "cpu")["z"])
    assert first.abs().max() <= 1


def test_spec_survives_json():
    spec = LatentSpec(100, "uniform")
    assert LatentSpec(**json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(("loop", "length"), [(False, 9), (True, 12)])
def test_every_keyframe_is_on_the_path_once(distribution, loop, length):
    spec = LatentSpec(16, distribution)
    z = walk(spec, [3, 14, 15], 4, loop=loop)["z"]
    assert z.shape == (length, 16)
    assert z.dtype == torch.float32
    assert torch.equal(z[[0, 4, 8]], spec.from_seeds([3, 14, 15])["z"])
    assert len(z.unique(dim=0)) == length


def test_slerp_turns_at_an_even_pace_in_the_plane():
    spec = LatentSpec(64)
    z = walk(spec, [1, 2], 10)["z"].double()
    directions = z / z.norm(dim=1, keepdim=True)
    # The directions of a and b are at an angle w; with equal lengths the steps would be w / 10 each.
    a, b = spec.from_seeds([1, 2])["z"].double()
    angle = torch.acos(a @ b / (a.norm() * b.norm()))
    expected = (torch.sin(0.7 * angle) * a + torch.sin(0.3 * angle) * b) / torch.sin(angle)
    assert torch.allclose(z[3], expected, atol=1e-6)
    assert (directions @ a / a.norm()).diff().max() < 0
    assert z.norm(dim=1).min() > 0.95 * min(a.norm(), b.norm())


@pytest.mark.parametrize("dim", [1, 4])
def test_latents_on_one_line_are_joined_straight(dim):
    z = walk(LatentSpec(dim), [5, 5], 4)["z"]
    assert torch.allclose(z, z[:1].expand(5, dim))
    assert walk(LatentSpec(1), [0, 1], 2)["z"].isfinite().all()


def test_uniform_latents_stay_in_their_cube():
    spec = LatentSpec(8, "uniform")
    a, b = spec.from_seeds([0, 1])["z"]
    torch.testing.assert_close(walk(spec, [0, 1], 6)["z"][2], (2 * a + b) / 3)
    assert walk(spec, range(40), 6)["z"].abs().max() <= 1


def test_faulty_paths():
    with pytest.raises(UsageError, match=r"^a path needs two seeds or more, not 1$"):
        walk(LatentSpec(2), [1], 3)


@settings(max_examples=20)
@given(st.integers(1, 20), st.integers(1, 30))
def test_batches_are_the_same_rows(n, size):
    inputs = {"z": torch.arange(n)[:, None], "y": torch.arange(n)}
    pieces = list(batches(inputs, size))
    assert all(len(piece["z"]) <= size for piece in pieces)
    for name, values in inputs.items():
        assert torch.equal(torch.cat([piece[name] for piece in pieces]), values)


def test_seeds_are_read_without_torch():
    code = "import sys, gancli.latents as l; l.parse_seeds('0-9'); sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("dim", [2, 100])
def test_confined_inputs_are_where_the_distribution_is(distribution, dim) -> None:
    spec = LatentSpec(dim, distribution, codes=1, classes=3)
    drawn = spec.from_seeds(range(500))
    kept = spec.confine(drawn)
    assert kept["y"] is drawn["y"]
    moved = ((kept["z"] - drawn["z"]).abs().amax(1) > 1e-6).float().mean()
    assert moved < 0.01
    lengths = drawn["z"].norm(dim=1)
    for factor in (0.01, 30.0):
        z = spec.confine({"z": drawn["z"] * factor, "c": drawn["c"] * factor})
        assert z["c"].abs().max() <= 1
        assert z["z"].norm(dim=1).max() < 1.3 * lengths.max()
        assert dim == 2 or z["z"].norm(dim=1).min() > 0.8 * lengths.min()
        assert distribution == "normal" or z["z"].abs().max() <= 1


CONDITIONAL = LatentSpec(3, classes=4, codes=2)


def test_a_picture_by_class_repeats_its_seeds_in_every_row():
    inputs, columns = CONDITIONAL.by_class(23)
    assert columns == 5
    assert inputs["y"].tolist() == [y for y in range(4) for _ in range(5)]
    assert torch.equal(inputs["z"].view(4, 5, 3), CONDITIONAL.from_seeds(range(5))["z"].expand(4, 5, 3))
    for spec in (LatentSpec(3), LatentSpec(3, classes=1), LatentSpec(3, classes=17), LatentSpec(3, classes=16)):
        inputs, columns = spec.by_class(20)
        assert columns is None
        assert torch.equal(inputs["z"], spec.from_seeds(range(20))["z"])


def test_a_path_keeps_or_changes_its_class():
    seeds = [0, 1]
    kept = walk(CONDITIONAL, seeds, 2, classes=[3, 3])["y"]
    changed = walk(CONDITIONAL, seeds, 2, classes=[3, 0])["y"]
    assert kept.tolist() == [[0, 0, 0, 1]] * 3
    assert changed.tolist() == [[0, 0, 0, 1], [0.5, 0, 0, 0.5], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, r"the inputs are z \(2, 3\), c \(2, 2\)$"),
        ({"c": torch.zeros(2, 3)}, r"c \(2, 3\)"),
        ({"y": torch.tensor([0, 4])}, "y goes from 0 to 4"),
        ({"y": torch.zeros(2, 3)}, r"y \(2, 3\)"),
        ({"y": torch.tensor([0])}, r"y \(1,\)"),
    ],
)
def test_inputs_that_a_generator_does_not_take(change, message):
    inputs = CONDITIONAL.from_seeds([0, 1])
    CONDITIONAL.check(inputs)
    CONDITIONAL.check(inputs | {"y": torch.zeros(2, 4)})
    with pytest.raises(UsageError, match=message):
        CONDITIONAL.check({name: value for name, value in (inputs | change).items() if value is not None})
    with pytest.raises(UsageError, match="the inputs are z"):
        LatentSpec(3).check({"z": inputs["z"], "y": inputs["y"]})


@pytest.mark.parametrize("limit", [0.3, 1.0, 2.5])
def test_truncated_latents_are_those_of_drawing_again(limit: float) -> None:
    z = LatentSpec(dim=100, truncation=limit).from_seeds(range(200))["z"]
    assert float(z.abs().max()) <= limit
    kept = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    kept = kept[kept.abs() <= limit]
    places = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(z.flatten().quantile(places), kept[:20_000].quantile(places), atol=0.03 * limit, rtol=0)


def test_a_seed_stays_near_itself_under_truncation() -> None:
    whole, wide = (LatentSpec(dim=50, truncation=limit).from_seeds([3])["z"] for limit in (None, 6.0))
    torch.testing.assert_close(whole, wide, atol=1e-4, rtol=0)
    narrow = LatentSpec(dim=50, truncation=0.8).from_seeds([3])["z"]
    assert torch.equal(narrow.argsort(), whole.argsort())
    assert LatentSpec(dim=3, distribution="uniform", truncation=0.5).from_seeds([1])["z"].abs().max() <= 0.5


def test_truncation_is_how_a_model_is_used_and_not_what_it_is() -> None:
    spec = LatentSpec(dim=4, classes=3, codes=1, truncation=0.5)
    plain = LatentSpec(dim=4, classes=3, codes=1)
    assert LatentSpec(**spec.to_dict()) == plain
    for name in ("y", "c"):
        assert torch.equal(spec.from_seeds(range(9))[name], plain.from_seeds(range(9))[name])
    draw = [each.draw(5, torch.Generator().manual_seed(1))["z"] for each in (spec, plain)]
    assert torch.equal(*draw)


def test_classes_come_as_often_as_their_shares_say() -> None:
    spec = LatentSpec(2, classes=3, shares=(0.5, 0.0, 0.5))
    drawn = spec.draw(4000, torch.Generator().manual_seed(0))["y"]
    counts = torch.bincount(drawn, minlength=3)
    assert counts[1] == 0
    assert counts[0] / 4000 == pytest.approx(0.5, abs=0.03)
    of_seeds = spec.from_seeds(range(400))["y"]
    assert torch.equal(of_seeds[7:8], spec.from_seeds([7])["y"])
    assert torch.bincount(of_seeds, minlength=3)[2] / 400 == pytest.approx(0.5, abs=0.1)
    assert LatentSpec(**json.loads(json.dumps(spec.to_dict()))) == spec
    assert torch.equal(spec.from_seeds([5])["z"], LatentSpec(2, classes=3).from_seeds([5])["z"])


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.4, 0.0)])
def test_shares_that_are_none(shares: tuple) -> None:
    with pytest.raises(GancliError, match="are not 3 numbers that sum to 1"):
        LatentSpec(2, classes=3, shares=shares)
