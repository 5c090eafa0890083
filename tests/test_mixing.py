"""Arithmetic with latents: what is read, what is refused, and what it comes to."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toys import model_of

import gancli
from gancli.architectures import Spec
from gancli.architectures.mlp import Generator
from gancli.editing.arithmetic import AMONG, Operand, _shown, mix, parse
from gancli.errors import UsageError
from gancli.latents import LatentSpec


def seeds(first: int, last: int) -> range:
    return range(first, last + 1)


@pytest.mark.parametrize(
    ("text", "operands"),
    [
        ("3", [Operand(1, "3", seeds(3, 3))]),
        (
            "3 - 14+ 15",
            [Operand(1, "3", seeds(3, 3)), Operand(-1, "14", seeds(14, 14)), Operand(1, "15", seeds(15, 15))],
        ),
        ("-0.5 * 3 + 2*4", [Operand(-0.5, "3", seeds(3, 3)), Operand(2, "4", seeds(4, 4))]),
        (
            " mean( label = 7 ) - 0.25*mean(0-9)",
            [Operand(1, "mean(label=7)", label="7"), Operand(-0.25, "mean(0-9)", seeds(0, 9))],
        ),
    ],
)
def test_expressions(text: str, operands: list[Operand]) -> None:
    assert list(parse(text)) == operands


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is nothing to mix"),
        ("  ", "there is nothing to mix"),
        ("3 14", "'3 14' cannot be read from '14' on"),
        ("3 - ", "'3 - ' cannot be read from '-' on"),
        ("3*0.5", "'3*0.5' cannot be read from '3*0.5' on"),
        ("(3 + 4)", "'(3 + 4)' cannot be read from '(3 + 4)' on"),
        ("mean(0-9", "'mean(0-9' cannot be read from 'mean(0-9' on"),
        ("__import__('os')", "'__import__('os')' cannot be read from '__import__('os')' on"),
        ("mean(9-0)", "the mean of seeds '9-0' is not a whole number or a range of them"),
        ("mean()", "the mean of seeds '' is not a whole number or a range of them"),
        ("mean(label=)", "the mean of seeds 'label=' is not a whole number or a range of them"),
    ],
)
def test_what_is_no_expression(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert raised.value.message == message


def test_a_single_seed_is_itself() -> None:
    model = gancli.load("quick/digits", device="cpu")
    mixed, counts = mix(model, parse("3"))
    assert torch.equal(mixed["z"], model.latent.from_seeds([3, 3])["z"])
    assert counts == (1,)


@pytest.mark.parametrize("name", ["quick/digits", "dcgan/digits"])
def test_sums_and_means_are_brought_back_to_where_latents_lie(name: str) -> None:
    model = gancli.load(name, device="cpu")
    z = model.latent.from_seeds([3, 14, 15])["z"]
    mixed = mix(model, parse("3 - 14 + 15 + mean(0-99)"))[0]["z"]
    assert torch.equal(mixed[:3], z)
    lengths, usual = mixed.norm(dim=1), model.latent.from_seeds(range(200))["z"].norm(dim=1)
    assert (lengths > usual.min() - 2).all()
    assert (lengths < usual.max() + 1).all()
    straight = z[0] - z[1] + z[2] + model.latent.from_seeds(range(100))["z"].mean(0)
    assert torch.cosine_similarity(mixed[4], straight, dim=0) > (0.999 if name == "quick/digits" else 0.9)


def test_the_mean_of_a_label_shows_the_label_and_the_difference_of_two_turns_one_into_the_other() -> None:
    from gancli.evaluation.extractors import find
    from gancli.evaluation.features import Reader

    model = gancli.load("quick/digits", device="cpu")
    told: list[int] = []
    mixed, counts = mix(model, parse("mean(label=0) - mean(label=1) + mean(label=6)"), progress=told.append)
    assert sum(told) == 1000
    assert all(20 < count < 500 for count in counts)
    network, digest = find("digits-cnn").load()
    reader = Reader(find("digits-cnn"), network, digest)
    read = reader.read("", [model.generate(mixed)], 4)
    assert read.classes.tolist()[:3] == [0, 1, 6]
    seed = next(seed for seed, label in enumerate(_shown(model, AMONG, None)) if label == 6)
    turned, _ = mix(model, parse(f"{seed} - 2*mean(label=6) + 2*mean(label=0)"))
    read = reader.read("", [model.generate(turned)], 4)
    assert read.classes.tolist() == [6, 6, 0, 0]


def conditional() -> Any:
    header = {"dataset": {"classes": ["cat", "dog", "cow"]}}
    spec = Spec((1, 2, 2), LatentSpec(6, classes=3, codes=2))
    return model_of(
        Generator(spec, hidden=[2]),
        name="told/toy",
        header=header,
        recipe=SimpleNamespace(data=SimpleNamespace(name="toys")),
    )


def test_the_class_of_a_conditional_model_is_that_of_most_factors() -> None:
    model = conditional()
    classes = model.latent.from_seeds(AMONG)["y"].tolist()
    cat, dog, cow = (classes.index(number) for number in range(3))
    mixed, counts = mix(model, parse(f"mean(label=Dog) - 0.8*{dog} + 0.5*{cow} + 0.25*{cat}"))
    assert mixed["y"].tolist() == [1, 1, 2, 0, 2]
    assert counts == (classes.count(1), 1, 1, 1)
    assert mixed["c"].abs().max() <= 1
    assert mixed["c"].shape == (5, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3 - 3", "the terms cancel each other out: no latent is left"),
        ("mean(label=horse)", "told/toy knows no label 'horse'"),
    ],
)
def test_what_comes_to_nothing(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        mix(conditional(), parse(text))
    assert raised.value.message == message


def test_labels_need_classes_and_somebody_who_reads_them() -> None:
    model = conditional()
    model.header = {"dataset": {"classes": []}}
    with pytest.raises(UsageError, match=r"told/toy knows no labels: its data has none"):
        mix(model, parse("mean(label=cat)"))
    model = conditional()
    model.latent = LatentSpec(6)
    with pytest.raises(UsageError, match=r"told/toy: no extractor knows 'toys', so that no label can be found"):
        mix(model, parse("mean(label=cat)"))
