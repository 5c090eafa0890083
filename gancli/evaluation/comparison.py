"""Several reports in one table: ranked where they were measured alike, kept apart where not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gancli.errors import UsageError
from gancli.evaluation.protocol import differences
from gancli.evaluation.report import Report


def rank(reports: Sequence[Report], metric: str | None = None) -> list[Report]:
    """The reports, the best first.

    Args:
        reports: of one protocol.
        metric: the figure that decides; None is the first that all of them have.

    Raises:
        UsageError: reports of different protocols, or no figure of that name in one of them.
    """
    for one in reports[1:]:
        if different := differences(reports[0].protocol, one.protocol):
            part, first, second = different[0]
            raise UsageError(
                f"'{reports[0].model}' and '{one.model}' were measured differently and cannot be ranked: "
                f"{part} is {first} for the one and {second} for the other",
                "measure both alike, as in --images N --extractor NAME",
            )
    name = metric or shared(reports)[0]
    figures = []
    for one in reports:
        found = next((result for result in one.results if result.metric == name), None)
        if found is None:
            raise UsageError(f"'{one.model}' has no figure '{name}'", "choose one that all have")
        figures.append((found.value if found.better == "lower" else -found.value, one))
    return [one for _, one in sorted(figures, key=lambda pair: pair[0])]


def alike(reports: Iterable[Report]) -> list[list[Report]]:
    """The reports in groups of one protocol, in the order of their first ones."""
    groups: list[list[Report]] = []
    for one in reports:
        home = next((group for group in groups if not differences(group[0].protocol, one.protocol)), None)
        if home is None:
            groups.append([one])
        else:
            home.append(one)
    return groups


def shared(reports: Sequence[Report]) -> list[str]:
    """Names of the figures that all of them have, in the order of the first."""
    common = set.intersection(*({result.metric for result in one.results} for one in reports))
    return [result.metric for result in reports[0].results if result.metric in common]
