import json

import numpy as np
import pytest
import torch
from PIL import Image
from toys import model_of

import gancli
from gancli.architectures import Spec
from gancli.architectures.mlp import Generator
from gancli.cli.traverse import parse_dims
from gancli.editing.traversal import traverse
from gancli.errors import UsageError
from gancli.latents import LatentSpec


def test_a_row_for_each_dimension(run_cli, home) -> None:
    result = run_cli("traverse", "quick/digits", "--dims", "0-2,63", "--steps", "5", "--seed", "7", "--out", "t.png")
    assert (result.code, result.out, result.err) == (0, "t.png\n", "4 dimensions of quick/digits\n")
    again = run_cli("traverse", "quick/digits", "--dims", "0-2,63", "--steps", "5", "--seed", "7", "--json")
    last = [row["dim"] for row in json.loads(again.out)["rows"]].index("63")
    model = gancli.load("quick/digits", device="cpu")
    inputs = model.latent.from_seeds([7])
    z = inputs["z"].repeat(5, 1)
    z[:, 63] = torch.linspace(-2, 2, 5)
    with Image.open(home / "t.png") as image:
        pixels = np.array(image)
    # The dimension that changes most is on top.
    # An 8x8 digit is shown at 64 pixels, with lines of 2 around; captions stand above and at the left.
    row = pixels[18 + 2 + last * 66 : 18 + 2 + last * 66 + 64, -(5 * 66 + 2) :]
    shown = np.stack([row[:, 2 + 66 * step : 2 + 66 * step + 64].mean() for step in range(5)])
    assert shown == pytest.approx(model.sample(z=z, y=inputs["y"].repeat(5)).float().mean((1, 2, 3)).numpy(), abs=2)


def test_uniform_latents_stay_in_their_cube(run_cli) -> None:
    found = json.loads(run_cli("traverse", "dcgan/digits", "--steps", "3", "--json").out)
    assert found["values"] == [-1, 0, 1]
    assert sorted(row["dim"] for row in found["rows"]) == [str(dim) for dim in range(10)]
    changes = [row["change"] for row in found["rows"]]
    assert changes == sorted(changes, reverse=True)
    assert changes[-1] > 0
    result = run_cli("traverse", "dcgan/digits", "--range", "2")
    assert (result.code, result.err) == (
        2,
        "error: --range 2 leaves the cube of this model's uniform latents\n\nhint: 1 is the most\n",
    )


def test_codes_come_first_and_only_one_value_of_a_row_changes(monkeypatch) -> None:
    spec = LatentSpec(12, codes=2, classes=3)
    assert parse_dims(None, spec) == ["c0", "c1", *map(str, range(10))]
    assert parse_dims("3,c0-1, 0-1", spec) == ["3", "c0", "c1", "0", "1"]
    taken: list = []
    model = model_of(Generator(Spec((1, 1, 1), spec), hidden=[2]))
    monkeypatch.setattr(model, "generate", lambda inputs: taken.append(inputs) or torch.zeros(4, 1, 1, 1))
    traverse(model, 5, ["c1", "3"], [-1.0, 0.5])
    (inputs,), start = taken, spec.from_seeds([5])
    assert inputs["c"][:, 1].tolist() == [-1, 0.5, start["c"][0, 1], start["c"][0, 1]]
    assert inputs["z"][:, 3].tolist() == [start["z"][0, 3], start["z"][0, 3], -1, 0.5]
    assert inputs["y"].tolist() == start["y"].tolist() * 4
    assert torch.equal(inputs["z"][:, :3], start["z"][:, :3].expand(4, -1))


def test_dimensions_that_change_nothing_are_last_and_named(run_cli, monkeypatch) -> None:
    model = model_of(Generator(Spec((1, 8, 8), LatentSpec(4)), hidden=[2]))
    monkeypatch.setattr(gancli.model, "load", lambda *_, **__: model)
    shade = torch.tensor([0.0, 40.0, 10.0, 0.0])

    def made(inputs):
        return ((inputs["z"] * shade).sum(1) + 128).round().byte()[:, None, None, None].expand(-1, 1, 8, 8)

    monkeypatch.setattr(model, "generate", made)
    assert run_cli("traverse", "x").err == "4 dimensions of toy/toy; nothing changes with 0, 3\n"
    found = json.loads(run_cli("traverse", "x", "--json").out)
    assert [(row["dim"], row["change"]) for row in found["rows"]] == [
        ("1", round(160 / 255, 4)), ("2", round(40 / 255, 4)), ("0", 0), ("3", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "--dims 'x' is not a whole number or a range of them"),
        ("", "--dims '' is not a whole number or a range of them"),
        ("5-3", "--dims '5-3' is not a whole number or a range of them"),
        ("0-12", "the model has no dimension 12"),
        ("c2", "the model has no code 2"),
    ],
)
def test_dimensions_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_dims(text, LatentSpec(12, codes=2))
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--out", "t.gif"], "--out 't.gif' is not the name of a picture", "end it in .png, .jpg or .webp"),
        (["--dims", "c0"], "the model has no code 0", "it has 128 dimensions and 0 codes, counted from 0"),
        (["--seed", "4294967296"], "seed 4294967296 is out of range", "seeds go from 0 to 4294967295"),
    ],
)
def test_faults(run_cli, arguments, message: str, hint: str) -> None:
    result = run_cli("traverse", "quick/digits", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
