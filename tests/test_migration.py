"""Recipes of format 1: old files, headers and runs."""

import tomllib

import pytest

from gancli import checkpoint, recipe
from gancli.errors import UsageError
from gancli.recipe.migration import FORMAT, migrate
from gancli.zoo import catalogue
from gancli.zoo.cards import changes

OLD = """
model = "told"
data = { name = "digits", size = [8, 8], channels = 1 }
latent = { dim = 2, classes = 10 }
networks.generator = { architecture = "dcgan", spread = 0.0 }
networks.discriminator = { architecture = "dcgan", told_class = true, reads = ["class"], read_hidden = 8, spread = 0.1 }
objective.name = "cgan"
optimizer.generator = { name = "adam", lr = 1e-3 }
optimizer.discriminator = { name = "adam", lr = 1e-3 }
"""


@pytest.mark.parametrize("number", ["", "format = 1\n"])
def test_old_options_of_networks_get_their_new_names(number: str) -> None:
    made = recipe.parse(tomllib.loads(number + OLD))
    discriminator = made.networks["discriminator"].options
    assert {key: discriminator[key] for key in ("conditional", "heads", "head_width", "init_std")} == {
        "conditional": True,
        "heads": ["class"],
        "head_width": 8,
        "init_std": 0.1,
    }
    assert made.networks["generator"].options["init_std"] == 0
    assert made.to_dict()["format"] == FORMAT
    assert migrate(made.to_dict()) == made.to_dict()


def test_rollbacks_of_format_1_are_stops_and_refused_today() -> None:
    table = {**tomllib.loads(OLD), "training": {"on_collapse": "rollback"}}
    assert recipe.parse({**table, "format": 1}).training.on_collapse == "stop"
    with pytest.raises(UsageError, match=r"training\.on_collapse = 'rollback': should be 'warn' or 'stop'"):
        recipe.parse(table)


def test_an_old_name_is_refused_in_a_recipe_of_today_and_beside_the_new_one() -> None:
    table = tomllib.loads(OLD)
    with pytest.raises(UsageError, match=r"networks\.discriminator\.told_class = True: unknown key"):
        recipe.parse({**table, "format": FORMAT})
    table["networks"]["discriminator"]["conditional"] = False
    with pytest.raises(UsageError, match=r"networks\.discriminator\.told_class = True: unknown key"):
        recipe.parse(table)


@pytest.mark.parametrize("table", [{}, {"format": 3}, {"format": True}, {"networks": 3}, {"networks": {"a": [1]}}])
def test_what_is_no_recipe_of_format_1_is_left_alone(table: dict) -> None:
    assert migrate(table) == table


@pytest.mark.parametrize("entry", [entry for entry in catalogue.entries() if entry.path], ids=lambda entry: entry.name)
def test_headers_of_the_zoo_hold_the_recipes_of_today(entry: catalogue.Entry) -> None:
    assert entry.path is not None
    header = checkpoint.read_header(entry.path)
    assert not [path for path, *_ in changes(header) if path.startswith("networks.")]
