"""Recipes of earlier formats, as they stand in old files, headers and runs, brought to today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 2
"""Version of the recipe's layout. 1: networks' options had other names; files without a number may be of either."""

NETWORK_OPTIONS = {"told_class": "conditional", "reads": "heads", "read_hidden": "head_width", "spread": "init_std"}
"""Options of networks by their name in format 1, with today's."""


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
    return migrated


def _renamed(section: Any, names: Mapping[str, str]) -> Any:
    """A table with keys renamed in their places; an old name stays, to be refused, where the new one stands too."""
    if not isinstance(section, Mapping):
        return section
    return {new if (new := names.get(key, key)) not in section else key: value for key, value in section.items()}
