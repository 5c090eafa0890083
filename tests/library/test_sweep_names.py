"""What the runs of a sweep are called, and what is no sweep."""

from pathlib import Path

import pytest

from gancli.errors import UsageError
from gancli.library.sweep import combinations, parse


def names(*texts: str) -> list[str]:
    return [one.name for one in combinations([parse(text) for text in texts])]


def test_every_combination_is_named_by_as_little_of_its_keys_as_tells_them_apart() -> None:
    assert names("optimizer.generator.lr=1e-4,2e-4", "training.seed=0,1") == [
        "lr=1e-4,seed=0",
        "lr=1e-4,seed=1",
        "lr=2e-4,seed=0",
        "lr=2e-4,seed=1",
    ]
    assert names("optimizer.generator.lr=1e-4", "optimizer.discriminator.lr=3e-4") == [
        "generator.lr=1e-4,discriminator.lr=3e-4"
    ]
    assert names("networks.generator.width=8", "width=3") == ["generator.width=8,width=3"]


def test_commas_inside_brackets_and_quotes_separate_nothing() -> None:
    varied = parse('objective.augment={name="translation", x="a,b"},none')
    assert varied.values == ('{name="translation", x="a,b"}', "none")
    assert parse("data.size=[64,64],[32,32]").values == ("[64,64]", "[32,32]")


def test_names_are_folders_and_differ() -> None:
    found = names('training.rounds=[1,2],[1;2],../../x,"  ",-3')
    assert found == ["rounds=1-2", "rounds=1-2-2", "rounds=..-..-x", "rounds=none", "rounds=-3"]
    long = names(f"a.b={'x' * 40},{'x' * 41}")
    assert long == [f"b={'x' * 24}", f"b={'x' * 24}-2"]
    (one,) = combinations([parse("a.b=../c")])
    assert one.folder(Path("runs/s")) == Path("runs/s-b=..-c")


def test_a_model_is_varied_as_a_whole() -> None:
    first, second = combinations([parse("model=gan,dcgan"), parse("training.seed=1")])
    assert (first.model, first.assignments, second.name) == ("gan", ["training.seed=1"], "model=dcgan,seed=1")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["training.seed"], "`vary=training.seed` has no value"),
        (["training.seed="], "`vary=training.seed=` has an empty value"),
        (["training.seed=0,,1"], "`vary=training.seed=0,,1` has an empty value"),
        (["a.b=1e-4,0.0001"], "`vary=a.b=1e-4,0.0001` has the value 0.0001 twice"),
        (["a.b=1", "a.b=2"], "a.b is varied twice"),
        ([f"a.b={','.join(map(str, range(20)))}", f"a.c={','.join(map(str, range(20)))}"], "these are 400 runs"),
        ([f"a.{letter * 30}=1" for letter in "bcdefg"], "'bbbbb"),
        ([".b=1"], "an assignment is KEY=VALUE"),
        ([], "nothing is varied"),
    ],
)
def test_what_is_no_sweep(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        names(*texts)
    assert error.value.message.startswith(message)
