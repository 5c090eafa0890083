"""Recipes: everything that decides what a training does, as one typed, frozen document in TOML.

A recipe names an architecture, an objective, data and optimizers. Sections that configure a component
(``networks.*``, ``objective``, ``optimizer.*``) take the component's own options beside its name; those are checked
against the signature of the code behind the name. All faults are reported at once, each with its path and value.
"""

from gancli.recipe.overrides import PARTS, Assignment, differences, for_data, merge, override, parts_for
from gancli.recipe.schema import DESCRIPTIVE, FORMAT, Recipe, parse, read
from gancli.recipe.sections import Ema, Latent, Network, Optimizer, Training

__all__ = [
    "DESCRIPTIVE",
    "FORMAT",
    "PARTS",
    "Assignment",
    "Ema",
    "Latent",
    "Network",
    "Optimizer",
    "Recipe",
    "Training",
    "differences",
    "for_data",
    "merge",
    "override",
    "parse",
    "parts_for",
    "read",
]
