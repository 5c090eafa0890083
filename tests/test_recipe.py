"""Recipes: what is accepted, what is refused and in which words."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli import recipe, registry
from gancli.errors import UsageError
from gancli.zoo import catalogue


def table(model: str = "quick", data: str = "mnist") -> dict:
    return recipe.for_data(catalogue.recipe_table(model), data)


@pytest.mark.parametrize("model", catalogue.models())
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


def test_all_errors_are_listed_at_once_with_path_value_and_nearest_name() -> None:
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
        "the recipe has 8 errors:\n"
        "  latent.dim = 'many': should be a whole number\n"
        "  training.batch = 1: should be greater than or equal to 2\n"
        "  training.budget = 'soon': should be a number above 0 and one of minutes, epochs, kimg, rounds, "
        "as in '5 minutes'\n"
        "  training.bacth = 64: unknown key, did you mean 'batch'?\n"
        "  networks.generator.widht = 8: unknown key, did you mean 'width'?\n"
        "  networks.discriminator.slope = 2.5: should be less than 1\n"
        "  optimizer.generator.betas.1: missing\n"
        "  objective.loss = 5: should be text"
    )
    assert refused.value.exit_code == 2


def test_one_fault_alone() -> None:
    with pytest.raises(UsageError) as refused:
        recipe.parse(recipe.override(table(), ["training.budget=soon"]))
    assert refused.value.message == (
        "the recipe has an error:\n"
        "  training.budget = 'soon': should be a number above 0 and one of minutes, epochs, kimg, rounds, "
        "as in '5 minutes'"
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
    assert refused.value.message == f"the recipe has an error:\n  {path} = 3: should be a table, as in {path}.KEY=VALUE"


def test_a_role_that_a_family_does_not_have() -> None:
    with pytest.raises(UsageError, match="'thief': 'dcgan' has discriminator, "):
        recipe.parse(recipe.override(table(), ["networks.generator.role=thief"]))


def test_override_reads_toml_values_and_plain_words() -> None:
    changed = recipe.override({}, ["a.b=2e-4", "a.c=[1, 2]", "a.d=word", "e=true", 'f="1 # 2"', "g=1 # 2"])
    assert changed == {"a": {"b": 2e-4, "c": [1, 2], "d": "word"}, "e": True, "f": "1 # 2", "g": 1}


@pytest.mark.parametrize("text", ["lr", "=3", "a..b=3"])
def test_override_refuses_what_assigns_nothing(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        recipe.override({}, [text])
    assert refused.value.message == f"an assignment is KEY=VALUE, not '{text}'"
    assert refused.value.hint == "as in `optimizer.generator.lr=2e-4`"


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


def refusal(*assignments: str) -> list[str]:
    """The lines of the refusal of the quick recipe with some values changed, without the first."""
    with pytest.raises(UsageError) as refused:
        recipe.parse(recipe.override(table(), assignments))
    first, *lines = refused.value.message.split("\n")
    assert first == f"the recipe has {'an error' if len(lines) == 1 else f'{len(lines)} errors'}:"
    return [line.removeprefix("  ") for line in lines]


@pytest.mark.parametrize("name", ["../../evil", "/evil", ".hidden", "-x", "Big", "a b", "", "a" * 65, "x\\n"])
def test_a_model_name_cannot_lead_out_of_its_folder(name: str) -> None:
    (line,) = refusal(f'model = "{name}"')
    assert line.startswith("model = ")
    assert line.endswith(": should be small letters, digits and . _ -, no sign first, at most 64")


@pytest.mark.parametrize("section", ["networks", "optimizer"])
def test_names_of_networks_and_players(section: str) -> None:
    wrong = table()
    wrong[section]["../Evil\x1b"] = wrong[section]["generator"] | (
        {"role": "generator"} if section == "networks" else {}
    )
    with pytest.raises(UsageError) as refused:
        recipe.parse(wrong)
    assert (
        f"  {section}.'../Evil\\x1b': the name should be small letters, digits and _, a letter first, at most 64"
        in refused.value.message.split("\n")
    )


def test_at_most_sixteen_networks() -> None:
    wrong = table()
    wrong["networks"] |= {f"n{i}": wrong["networks"]["generator"] | {"role": "generator"} for i in range(15)}
    with pytest.raises(UsageError, match=r"networks = \{.*: should be no longer than 16 entries"):
        recipe.parse(wrong)


def test_the_ramp_of_the_average_can_be_turned_off_and_stays_off() -> None:
    parsed = recipe.parse(recipe.override(table(), ["training.ema.rampup=0"]))
    again = recipe.parse(tomllib.loads(parsed.to_toml()))
    assert again.training.ema is not None
    assert again.training.ema.rampup == 0


@pytest.mark.parametrize(
    "budget", ["0 minutes", "1١ minutes", "0.00 epochs", "-1 kimg", "5 hours", "5", "١ minutes", "5 minutes\\n"]
)
def test_a_budget_is_above_zero_and_has_a_unit(budget: str) -> None:
    (line,) = refusal(f'training.budget="{budget}"')
    assert line.endswith(": should be a number above 0 and one of minutes, epochs, kimg, rounds, as in '5 minutes'")


@pytest.mark.parametrize("budget", ["5 minutes", "0.5 epochs", "10 kimg", "100 rounds", "0.001 minutes"])
def test_budgets(budget: str) -> None:
    assert recipe.parse(recipe.override(table(), [f"training.budget={budget}"])).training.budget == budget


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"labelled": 3}, "labelled"),
        ({"datasets": 3}, "datasets"),
        ({"datasets": {"digits": 3}}, "datasets.digits"),
        ({"data": 3}, "data"),
        ({"training": 3}, "training"),
    ],
)
def test_no_table_where_a_data_set_has_its_own_values(wrong: dict, where: str) -> None:
    with pytest.raises(UsageError) as refused:
        recipe.for_data(wrong, "digits")
    assert (
        refused.value.message == f"the recipe has an error:\n  {where} = 3: should be a table, as in {where}.KEY=VALUE"
    )


def test_override_refuses_a_deep_key_and_a_deep_value() -> None:
    with pytest.raises(UsageError, match="a key has at most 16 parts, not 3000"):
        recipe.override({}, [f"{'.'.join('a' * 3000)}=1"])
    with pytest.raises(UsageError, match="nests its lists too deeply"):
        recipe.override({}, [f"a={'[' * 5000}{']' * 5000}"])
    (line,) = refusal(f"latent.dim={'[' * 30}{']' * 30}")
    assert line == "latent.dim.0…: more than 16 tables and lists within each other"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"a = {'[' * 5000}{']' * 5000}", "nests its lists too deeply"),
        (f"{'.'.join('a' * 3000)} = 1", "more than 16 tables and lists"),
        (f"a = {'9' * 5000}", "is not TOML: Exceeds the limit"),
        (f"a = 0x{'f' * 5000}", "a: should be a whole number of at most 64 bits"),
        ("a = 1979-05-27", "a = '1979-05-27': should be text, a number, true or false, a list or a table"),
    ],
    ids=["lists", "keys", "number", "hexadecimal", "date"],
)
def test_a_hostile_file(tmp_path, text: str, says: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        recipe.read(path)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a\udcff", r"data.name = 'a\udcff': should be Unicode text"),
        ("a\nb", r"data.name = 'a\nb': should be a name without line breaks and control characters"),
        ("a\x1b[2J", r"data.name = 'a\x1b[2J': should be a name without line breaks and control characters"),
    ],
)
def test_a_data_name_that_no_recipe_can_hold(name: str, line: str) -> None:
    with pytest.raises(UsageError) as refused:
        recipe.parse(table(data=name))
    assert refused.value.message == f"the recipe has an error:\n  {line}"


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("latent.dim=true", "latent.dim = True: should be a whole number"),
        ("latent.dim=1e3", "latent.dim = 1000.0: should be a whole number"),
        ('latent.dim="5"', "latent.dim = '5': should be a whole number"),
        ("data.channels=true", "data.channels = True: should be a whole number"),
        ("data.mirror=1", "data.mirror = 1: should be true or false"),
        ("networks.generator.width=true", "networks.generator.width = True: should be a whole number"),
        ('networks.discriminator.slope="0.2"', "networks.discriminator.slope = '0.2': should be a number"),
        ("optimizer.generator.lr=nan", "optimizer.generator.lr = nan: should be a finite number"),
        ("optimizer.generator.betas=3", "optimizer.generator.betas = 3: should be a list"),
        ('objective.regularizers.r1.weight="5"', "objective.regularizers.r1.weight = '5': should be a number"),
        ("data.size=[1,2,3]", "data.size = [1, 2, 3]: should be no longer than 2 entries"),
        ("objective.steps.genrator=2", "objective.steps.genrator: the name should be 'discriminator' or 'generator'"),
        ("training.precision=fp8", "training.precision = 'fp8': should be 'auto', 'fp32', 'tf32', 'bf16' or 'fp16'"),
    ],
)
def test_wrong_types(assignment: str, line: str) -> None:
    assert refusal(assignment) == [line]


def test_whole_numbers_serve_as_floats_and_lists_as_tuples() -> None:
    parsed = recipe.parse(recipe.override(table(), ["optimizer.generator.lr=1", "data.size=[28,28]"]))
    assert parsed.optimizer["generator"].lr == 1.0
    assert parsed.data.size == (28, 28)
    assert recipe.parse(table()).optimizer["generator"].options["betas"] == [0.0, 0.99]


def test_what_holds_for_data_with_classes_is_laid_between_the_recipe_and_its_data_set() -> None:
    tables = {
        "latent": {"dim": 1, "classes": 0},
        "labelled": {"latent": {"classes": "data"}, "training": {"batch": 2}},
        "datasets": {"digits": {"training": {"batch": 3}}},
    }
    assert recipe.for_data(tables, "digits") == {
        "latent": {"dim": 1, "classes": 0},
        "training": {"batch": 3},
        "data": {"name": "digits"},
    }
    assert recipe.for_data(tables, "digits", ["labelled"]) == {
        "latent": {"dim": 1, "classes": "data"},
        "training": {"batch": 3},
        "data": {"name": "digits"},
    }
    assert recipe.for_data(tables, "mnist", ["labelled"])["training"] == {"batch": 2}


def test_small_and_many_images_have_parts_of_a_recipe_which_may_leave_tables_out() -> None:
    assert recipe.parts_for(True, (3, 32, 32), 50_000) == ("labelled", "small", "many")
    assert recipe.parts_for(False, (3, 33, 32), 49_999) == ()
    assert recipe.parts_for(False, (), 50_000) == ("many",)
    tables = {"training": {"batch": 8}, "objective": {"loss": "hinge", "augment": {"name": "ada"}}}
    tables |= {"small": {"training": {"batch": 4}}, "many": {"objective": {"augment": "none"}}}
    assert recipe.for_data(tables, "mine") == {key: tables[key] for key in ("training", "objective")} | {
        "data": {"name": "mine"}
    }
    assert recipe.for_data(tables, "mine", ["small", "many"]) == {
        "training": {"batch": 4},
        "objective": {"loss": "hinge"},
        "data": {"name": "mine"},
    }


def test_the_default_for_colour_does_not_augment_many_images() -> None:
    pictures = catalogue.recipe_table("pictures")
    few, many = (recipe.parse(recipe.for_data(pictures, "mine", parts)).to_dict() for parts in ([], ["small", "many"]))
    assert few["objective"]["augment"]["policy"] == ["translation", "cutout"]
    assert "augment" not in many["objective"]
    assert many["objective"]["regularizers"]["r1"] == {"weight": 0.02, "every": 8}


def test_errors_that_only_the_objective_knows_come_with_the_others() -> None:
    wrong = recipe.override(
        table(),
        [
            "latent.dim=0",
            "objective.loss=lsq",
            "objective.regularizers.r9.weight=1",
            "objective.order=['generator']",
            "objective.reuse_fake=5",
            "optimizer.critic={name='adam', lr=1e-3}",
        ],
    )
    del wrong["optimizer"]["generator"]
    with pytest.raises(UsageError) as refused:
        recipe.parse(wrong)
    assert refused.value.message.split("\n") == [
        "the recipe has 7 errors:",
        "  latent.dim = 0: should be greater than or equal to 1",
        "  objective.regularizers.r9: no regularizer is called 'r9'; did you mean 'r2'?",
        "  objective.reuse_fake = 5: should be true or false",
        f"  objective.loss = 'lsq': no loss is called 'lsq'; one of: {', '.join(registry.names('loss'))}",
        "  objective.order = ['generator']: each side plays once, as in ['discriminator', 'generator']",
        "  optimizer.generator: missing",
        "  optimizer.critic: belongs to no player, one of: discriminator, generator",
    ]


def test_a_million_errors_are_counted_not_listed() -> None:
    with pytest.raises(UsageError) as refused:
        recipe.parse(table() | {f"x{i}": 1 for i in range(1000)})
    lines = refused.value.message.split("\n")
    assert lines[0] == "the recipe has 1000 errors:"
    assert lines[-1] == "  … and 980 more"
    assert len(lines) == 22


def test_a_perceptron_of_endless_layers_is_refused_in_few_words() -> None:
    wrong = table("gan")
    wrong["networks"]["generator"]["hidden"] = [1] * 400_000
    with pytest.raises(UsageError) as refused:
        recipe.parse(wrong)
    assert refused.value.message == (
        "the recipe has an error:\n"
        "  networks.generator.hidden = [1, 1, 1, 1, 1, 1, 1, 1, ...]: should be no longer than 64 entries"
    )
