"""Whatever is typed: words come back and never a traceback, an exit code of 0, 1 or 2, and the value in the error."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hostile import NUMBERS, TEXTS
from gancli import recipe
from gancli.errors import GancliError
from gancli.zoo import catalogue

QUICK = settings(max_examples=25)
TYPED = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.sampled_from([str(each) for each in (*NUMBERS, *TEXTS)]),
    st.sampled_from(
        ["a\nb", "runs/\n/x", "\udcff", "0-63", "2x2", "99999999999999999999", "1e400", "-0", "--", "-", "=", "a=b"]
    ),
).filter(lambda text: "\0" not in text)
OPTIONS = {
    "sample": ("--seeds", "-n", "--grid", "--class", "--code", "--truncation", "--device"),
    "interpolate": ("--seeds", "--frames", "--fps", "--truncation", "--ease", "--device"),
    "traverse": ("--seed", "--range", "--device"),
    "evaluate": ("--images", "--metrics", "--seed-start", "--extractor", "--repeats", "--data"),
}


def check(result, words: list[str]) -> None:
    assert result.code in (0, 1, 2), words
    assert "Traceback" not in result.err
    assert "unexpected error" not in result.err, (words, result.err)
    assert "\x1b" not in result.out + result.err
    assert (result.code == 0) or result.err.startswith("error: "), (words, result.err)


@pytest.mark.parametrize("command", OPTIONS)
def test_any_value_of_any_option(command: str, run_cli: Callable) -> None:
    @given(st.sampled_from(OPTIONS[command]), TYPED)
    @QUICK
    def try_it(option: str, value: str) -> None:
        # The model is refused last: whatever is wrong with an option has been said by then.
        words = [command, "no-such-model", f"{option}={value}" if option.startswith("--") else f"{option}{value}"]
        check(run_cli(*words), words)

    try_it()


@given(TYPED)
@QUICK
def test_any_seeds_of_a_model(run_cli: Callable, value: str) -> None:
    result = run_cli("sample", "dcgan/digits", f"--seeds={value}", "--out", "x.png")
    check(result, [value])
    if result.code:
        shown = value.strip()[:10]
        assert not shown.isalnum() or shown in result.err


@given(TYPED)
@QUICK
def test_any_name_of_a_model_and_of_data(run_cli: Callable, value: str) -> None:
    for words in (["sample", "--out", "x.png", "--", value], ["train", "--dry-run", "--", value]):
        check(run_cli(*words), words)


KEYS = (
    "latent.dim", "latent.classes", "data.size", "data.channels", "data.fit", "data.background", "data.mirror",
    "training.seed", "training.batch", "training.budget", "training.samples", "training.ema.kimg", "model", "format",
    "networks.generator.width", "networks.generator.architecture", "networks.generator.role", "objective.name",
    "objective.loss", "optimizer.generator.lr", "optimizer.generator.betas", "optimizer.nobody.lr", "networks", "x.y.z",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def taken(make: Callable[[], dict]) -> GancliError | None:
    """What is wrong with a recipe, in printable lines; one that is taken is the same when it is read again."""
    try:
        parsed = recipe.parse(make())
    except GancliError as error:
        assert all(line.isprintable() for line in error.message.splitlines())  # noqa: PT017
        return error
    assert recipe.parse(parsed.to_dict()) == parsed
    return None


@given(st.sampled_from(KEYS) | st.text(max_size=12), TYPED)
@settings(QUICK, max_examples=120)
def test_any_assignment_is_taken_or_refused_by_its_value(key: str, value: str) -> None:
    refused = taken(
        lambda: recipe.override(recipe.for_data(catalogue.recipe_table("dcgan"), "digits"), [f"{key}={value}"])
    )
    if refused is not None:
        assert refused.exit_code == 2
        assert refused.hint
        named = [part.strip()[:8] for part in (key.partition("=")[0] or key).split(".")]
        assert any(part in refused.message for part in named) or not key.isprintable()


@given(st.sampled_from([key for key in KEYS if key != "x.y.z"]), VALUES)
@settings(QUICK, max_examples=120)
def test_any_value_in_any_place_of_a_recipe(key: str, value) -> None:
    table = recipe.for_data(catalogue.recipe_table("dcgan"), "digits")
    tree = value
    for part in reversed(key.split(".")):
        tree = {part: tree}
    refused = taken(lambda: recipe.merge(table, tree))
    assert refused is None or refused.message.startswith("the recipe has ")


@given(st.sampled_from(KEYS), TYPED)
@settings(QUICK, max_examples=15)
def test_any_assignment_on_the_command_line(run_cli: Callable, key: str, value: str) -> None:
    # There is no such data, so that what is right is not trained for seconds.
    words = ["train", "nowhere", "--dry-run", f"--set={key}={value}"]
    result = run_cli(*words)
    check(result, words)
    assert result.code == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "digits", "--seed", str(2**63)), "less than or equal to 4294967295, not 9223372036854775808"),
        (("sample", "dcgan/digits", "--seeds", str(2**64)), "--seeds '18446744073709551616' is not a whole number"),
        (("sample", "dcgan/digits", "-n", "9" * 30), "-n"),
        (("train", "a\nb", "--dry-run"), r"data.name = 'a\nb'"),
        (("train", "digits", "--dry-run", "--set", "training.seed=99999999999999999999"), "training.seed"),
        (("train", "digits", "--dry-run", "--set", "data.size=[4096,4096]", "--set", "training.batch=65536"), "GiB"),
        (("train", "digits", "--dry-run", "--set", "data.size=[4096,4096]", "--set", "training.samples=1024"), "GiB"),
        (("data", "show", "digits", "--size", "100000x100000"), "100000x100000"),
    ],
)  # fmt: skip
def test_values_beyond_all_bounds(run_cli: Callable, words: tuple[str, ...], says: str) -> None:
    result = run_cli(*words)
    check(result, list(words))
    assert result.code == 2
    assert says in result.err
