"""Several reports in one table: ranked where they were measured alike, kept apart where not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gancli.evaluation.protocol import differences
from gancli.evaluation.report import Report


def rank(reports: Iterable[Report]) -> list[list[Report]]:
    """The reports in groups of one protocol, in the order of their first ones, each group with its best first.

    The first figure that all reports of a group have decides.
    """
    groups: list[list[Report]] = []
    for one in reports:
        home = next((group for group in groups if not differences(group[0].protocol, one.protocol)), None)
        if home is None:
            groups.append([one])
        else:
            home.append(one)
    for group in groups:
        name = shared(group)[0]
        group.sort(key=lambda one, name=name: _key(one, name))
    return groups


def disagreement(group: Sequence[Report]) -> str:
    """Where KID, which is unbiased, ranks the reports of one protocol otherwise than FID: its order, in words."""
    if {"fid", "kid"} <= set(shared(group)):
        by_fid, by_kid = ([one.model for one in sorted(group, key=lambda one: _key(one, by))] for by in ("fid", "kid"))
        if by_fid != by_kid:
            return f"KID ranks them differently: {', '.join(by_kid)}"
    return ""


def _key(report: Report, metric: str) -> float:
    """A number that is smaller for better figures."""
    result = next(result for result in report.results if result.metric == metric)
    return result.value if result.better == "lower" else -result.value


def shared(reports: Sequence[Report]) -> list[str]:
    """Names of the figures that all of them have, in the order of the first."""
    common = set.intersection(*({result.metric for result in one.results} for one in reports))
    return [result.metric for result in reports[0].results if result.metric in common]
