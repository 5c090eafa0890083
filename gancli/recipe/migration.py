"""Recipes of earlier formats, as they stand in old files, headers and runs, brought to today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 2
"""Version of the recipe's layout. Format 1 had other names for options; files without a number may be of either."""

NETWORK_OPTIONS = {"told_class": "conditional", "reads": "heads", "read_hidden": "head_width", "spread": "init_std"}
"""Options of networks by their name in format 1, with today's."""

OBJECTIVE_OPTIONS = {"penalties": "regularizers", "spread": "std"}
"""The same of objectives."""

REMOVED = {"cuda_graphs": False}
"""Keys of ``training`` that are gone, with the value that they may have: another one is refused as an unknown key."""


def migrate(table: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's tables in today's format, unchecked: what is no table stays as it is.

    A table without ``format`` is taken for an old one: that changes nothing where no old name stands in it.
    """
    migrated = dict(table)
    if migrated.get("format", 1) != 1 or isinstance(migrated.get("format"), bool | float):
        return migrated
    if "format" in migrated:
        migrated["format"] = FORMAT
    if isinstance(networks := migrated.get("networks"), Mapping):
        migrated["networks"] = {name: _renamed(network, NETWORK_OPTIONS) for name, network in networks.items()}
    if isinstance(objective := migrated.get("objective"), Mapping):
        migrated["objective"] = objective = _renamed(objective, OBJECTIVE_OPTIONS)
        if isinstance(parts := objective.get("regularizers"), Mapping):
            objective["regularizers"] = {name: _renamed(part, {"interval": "every"}) for name, part in parts.items()}
    if isinstance(training := migrated.get("training"), Mapping):
        migrated["training"] = {key: v for key, v in training.items() if key not in REMOVED or v != REMOVED[key]}
        if "format" in table and training.get("on_collapse") == "rollback":  # written by 0.1, and not typed today
            migrated["training"]["on_collapse"] = "stop"
    return migrated


def _renamed(section: Any, names: Mapping[str, str]) -> Any:
    """A table with keys renamed in their places; an old name stays, to be refused, where the new one stands too."""
    if not isinstance(section, Mapping):
        return section
    return {new if (new := names.get(key, key)) not in section else key: value for key, value in section.items()}
