"""Help in groups, without typer's rich help, whose import would double the time of ``--help``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

DATA, MODEL, BUDGET, HARDWARE = "Data", "Model", "Budget", "Hardware"
EVALUATION, FILES, OTHER = "Evaluation", "Files", "Other"
"""Groups of options."""

WIDEST = 30
"""Columns of options; the text of one that is longer begins below it."""


class Grouped(TyperCommand):
    """A command whose help shows options by their group (``rich_help_panel``), in the order of their definition."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for the arguments and for every group."""
        shown = [(parameter, parameter.get_help_record(ctx)) for parameter in self.get_params(ctx)]
        rows = [(_group(parameter), record) for parameter, record in shown if record is not None]
        width = min(WIDEST, max((len(record[0]) for _, record in rows), default=0))
        groups: dict[str, list[tuple[str, str]]] = {}
        for group, (option, text) in rows:
            groups.setdefault(group, []).append((f"{option:<{width}}", text))
        for group, lines in groups.items():
            with formatter.section(group):
                formatter.write_dl(lines, col_max=WIDEST)


def _group(parameter: Any) -> str:
    """Of an argument or option; ``--help`` has none of its own."""
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or OTHER
