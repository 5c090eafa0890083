import pytest
import torch

from gancli.errors import UsageError
from gancli.latents import LatentSpec
from gancli.latents.conditions import Code, Request, check_codes, folder_name, folder_names, parse_classes, parse_codes

FASHION = ("T-shirt/top", "trouser", "bag")


def test_codes_are_fixed_or_sweep() -> None:
    assert parse_codes(["0=1.5", "2=-2..2"]) == (Code(0, 1.5), Code(2, -2.0, 2.0))
    assert parse_codes([" 1 = .5 .. -1 "]) == (Code(1, 0.5, -1.0),)
    assert Code(0, -2, 2).values(5) == [-2, -1, 0, 1, 2]
    assert Code(0, 1.5).values(5) == [1.5]
    assert Code(0, -2, 2).values(1) == [-2]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["0"], "`codes` '0' is not NUMBER=VALUE or NUMBER=FIRST..LAST"),
        (["0=2."], "`codes` '0=2.' is not NUMBER=VALUE or NUMBER=FIRST..LAST"),
        (["x=1"], "`codes` 'x=1' is not NUMBER=VALUE or NUMBER=FIRST..LAST"),
        (["0=1e3"], "`codes` '0=1e3' is not NUMBER=VALUE or NUMBER=FIRST..LAST"),
        (["0=nan"], "`codes` '0=nan' is not NUMBER=VALUE or NUMBER=FIRST..LAST"),
        (["0=1", "0=2"], "code 0 is given twice"),
        (["0=1..2", "3=1..2"], "the codes 0 and 3 both sweep"),
    ],
)
def test_faults_of_codes(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_codes(texts)
    assert refused.value.message == message
    assert refused.value.hint


def test_a_code_that_the_model_does_not_have() -> None:
    check_codes([Code(1, 0.0)], "m", 2)
    with pytest.raises(UsageError, match="'m' has no code 2"):
        check_codes([Code(2, 0.0)], "m", 2)
    with pytest.raises(UsageError, match="'m' has no code 0"):
        check_codes([Code(0, 0.0)], "m", 0)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("7", (7,)), ("3, 7", (3, 7)), ("all", tuple(range(10))), ("0-2,9", (0, 1, 2, 9)), ("3,3", (3, 3))],
)
def test_classes_by_number(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_classes(text, tuple("0123456789"), "m") == numbers


def test_classes_by_name() -> None:
    assert parse_classes("bag,t-shirt/TOP,1", FASHION, "m") == (2, 0, 1)
    assert parse_classes("all", ("all", "some"), "m") == (0,)
    assert parse_classes("1-2", ("1-2", "x", "y"), "m") == (0,)
    assert parse_classes("black, white", ("red", "black, white", "black"), "m") == (1,)


@pytest.mark.parametrize(
    ("text", "names", "message", "hint"),
    [
        ("bak", FASHION, "'m' has no class 'bak'", "did you mean 'bag'?"),
        ("3", FASHION, "'m' has no class '3'", "one of: T-shirt/top, trouser, bag"),
        ("1,", FASHION, "'m' has no class ''", "one of: T-shirt/top, trouser, bag"),
        ("0-3", FASHION, "'m' has no class '3'", "one of: T-shirt/top, trouser, bag"),
        ("2-0", FASHION, "`classes` '2-0' runs backwards", "write it as 0-2"),
        ("1", (), "'m' takes no classes", "leave out `classes`; cgan/mnist is a model with classes"),
    ],
)
def test_faults_of_classes(text: str, names: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_classes(text, names, "m")
    assert (refused.value.message, refused.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("name", "folder"), [("7", "7"), ("T-shirt/top", "T-shirt-top"), ("..", "class"), ("a\\b:c", "a-b-c")]
)
def test_a_class_name_makes_one_folder(name: str, folder: str) -> None:
    assert folder_name(name) == folder


SPEC = LatentSpec(3, classes=4, codes=2)


def made(request: Request, batch: int = 256) -> dict[str, torch.Tensor]:
    parts = list(request.inputs(SPEC, batch))
    assert all(len(part["z"]) <= max(batch, 5) for part in parts)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def test_every_class_gets_all_the_seeds() -> None:
    request = Request(range(5, 8), (2, 0))
    own = SPEC.from_seeds(range(5, 8))
    for batch in (256, 2):
        inputs = made(request, batch)
        assert inputs["y"].tolist() == [2, 2, 2, 0, 0, 0]
        assert torch.equal(inputs["z"], own["z"].repeat(2, 1))
        assert torch.equal(inputs["c"], own["c"].repeat(2, 1))
    assert (len(request), request.columns) == (6, 3)


def test_without_classes_every_seed_is_itself() -> None:
    request = Request(range(9))
    assert all(torch.equal(value, SPEC.from_seeds(range(9))[name]) for name, value in made(request, 4).items())
    assert (len(request), request.columns) == (9, None)


def test_a_sweep_moves_one_code_and_nothing_else() -> None:
    request = Request(range(2), None, (Code(0, 0.25),), (1, (-2.0, 0.0, 2.0)))
    own, inputs = SPEC.from_seeds(range(2)), made(request)
    assert torch.equal(inputs["z"], own["z"].repeat_interleave(3, 0))
    assert torch.equal(inputs["y"], own["y"].repeat_interleave(3))
    assert inputs["c"].tolist() == [[0.25, -2], [0.25, 0], [0.25, 2]] * 2
    assert (len(request), request.columns) == (6, 3)


def test_folders_that_a_file_system_may_take_for_one_are_told_apart() -> None:
    names = ("a", "A", "b", "x/y", "x:y")
    assert folder_names(names, (1, 0, 2, 3, 4)) == ["A-1", "a-0", "b", "x-y-3", "x-y-4"]
