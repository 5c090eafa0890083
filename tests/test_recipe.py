"""Recipes: what is accepted, what is refused and in which words."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli import catalog, recipe
from gancli.errors import UsageError


def table(model: str = "quick", data: str = "mnist") -> dict:
    return recipe.for_data(catalog.recipe_table(model), data)


@pytest.mark.parametrize("model", catalog.models())
def test_every_zoo_recipe_survives_toml(model: str) -> None:
    parsed = recipe.parse(table(model))
    again = recipe.parse(tomllib.loads(parsed.to_toml()))
    assert again == parsed
    assert parsed.model == model
    assert parsed.summary
    assert parsed.paper


def test_the_resolved_recipe_writes_out_the_defaults_of_components() -> None:
    parsed = recipe.parse(table()).to_dict()
    assert parsed["networks"]["generator"]["norm"] == "batch"
    assert parsed["objective"]["reuse_fake"] is False
    assert parsed["optimizer"]["generator"]["eps"] == 1e-8


def test_all_faults_are_listed_at_once_with_path_value_and_nearest_name() -> None:
    wrong = recipe.override(
        table(),
        [
            "training.bacth=64",
            "training.batch=1",
            "latent.dim=many",
            "networks.generator.widht=8",
            "networks.discriminator.slope=2.5",
            "optimizer.generator.betas=[0.5]",
            "objective.loss=5",
            "training.budget=soon",
        ],
    )
    with pytest.raises(UsageError) as refused:
        recipe.parse(wrong)
    assert refused.value.message == (
        "the recipe has 7 faults:\n"
        "  latent.dim = 'many': should be a valid integer, unable to parse string as an integer\n"
        "  training.batch = 1: should be greater than or equal to 2\n"
        "  training.bacth = 64: unknown key, did you mean 'batch'?\n"
        "  networks.generator.widht = 8: unknown key, did you mean 'width'?\n"
        "  networks.discriminator.slope = 2.5: should be less than 1\n"
        "  optimizer.generator.betas.1: missing\n"
        "  objective.loss = 5: should be a valid string"
    )
    assert refused.value.exit_code == 2


def test_one_fault_alone() -> None:
    with pytest.raises(UsageError) as refused:
        recipe.parse(recipe.override(table(), ["training.budget=soon"]))
    assert refused.value.message == (
        "the recipe has a fault:\n"
        "  training.budget = 'soon': a number and one of minutes, epochs, kimg, rounds, as in '5 minutes'"
    )


def test_unknown_names_of_components_have_a_nearest_one() -> None:
    wrong = recipe.override(
        table(), ["networks.generator.architecture=dcgn", "optimizer.generator.name=adamm", "objective.loss=hinge2"]
    )
    with pytest.raises(UsageError) as refused:
        recipe.parse(wrong)
    assert "networks.generator.architecture = 'dcgn': no architecture is called 'dcgn'" in refused.value.message
    assert "did you mean 'dcgan'?" in refused.value.message
    assert "did you mean 'adam'?" in refused.value.message


@pytest.mark.parametrize("path", ["data", "networks", "networks.generator", "training", "optimizer.generator"])
def test_a_value_where_a_table_belongs(path: str) -> None:
    with pytest.raises(UsageError) as refused:
        recipe.parse(recipe.override(table(), [f"{path}=3"]))
    assert refused.value.message == f"the recipe has a fault:\n  {path} = 3: should be a table, as in {path}.KEY=VALUE"


def test_a_role_that_a_family_does_not_have() -> None:
    with pytest.raises(UsageError, match="'encoder': 'dcgan' has discriminator, generator"):
        recipe.parse(recipe.override(table(), ["networks.generator.role=encoder"]))


def test_override_reads_toml_values_and_plain_words() -> None:
    changed = recipe.override({}, ["a.b=2e-4", "a.c=[1, 2]", "a.d=word", "e=true", 'f="1 # 2"', "g=1 # 2"])
    assert changed == {"a": {"b": 2e-4, "c": [1, 2], "d": "word"}, "e": True, "f": "1 # 2", "g": 1}


@pytest.mark.parametrize("text", ["lr", "=3", "a..b=3"])
def test_override_refuses_what_assigns_nothing(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        recipe.override({}, [text])
    assert refused.value.message == f"--set takes KEY=VALUE, not '{text}'"
    assert refused.value.hint == "as in --set optimizer.generator.lr=2e-4"


@given(st.text(min_size=0, max_size=30))
def test_override_never_fails_otherwise(value: str) -> None:
    changed = recipe.override({"a": {"b": 1, "c": 2}}, [f"a.b={value}"])
    assert changed["a"]["c"] == 2
    assert "b" in changed["a"]


def test_a_data_set_has_its_own_values() -> None:
    assert recipe.parse(table("gan", "digits")).training.batch == 64
    assert recipe.parse(table("gan", "mnist")).training.batch == 128


def test_recipes_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        recipe.parse(table()).training.batch = 3  # type: ignore[misc]


def test_a_file_that_is_not_toml(tmp_path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("model = \n")
    with pytest.raises(UsageError, match="is not TOML"):
        recipe.read(path)


def test_differences_name_the_path() -> None:
    assert recipe.differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == [
        ("a.c", 2, 3),
        ("d", None, 4),
    ]
