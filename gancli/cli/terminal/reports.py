"""How reports look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.table import Table

from gancli.cli.terminal.console import stdout
from gancli.errors import UsageError
from gancli.evaluation.comparison import disagreement, shared
from gancli.evaluation.protocol import Protocol, differences
from gancli.evaluation.report import Report
from gancli.evaluation.scores import number, title
from gancli.evaluation.subjects import Subject
from gancli.metrics.base import Figure, Metric

MOST_CLASSES = 12
"""Classes that a table lists."""
NONE = "–"
_WEIGHTS = {True: "running average", False: "as trained", None: "unknown"}


def show(report: Report) -> None:
    """One report: its figures, what the extractor predicts of the images, and what the figures depend on."""
    protocol = report.protocol
    numbers = _of_numbers(protocol)
    against = f"the formula of {protocol.data}" if numbers else f"{protocol.data}, {protocol.split} split"
    further = [f"{figure.title:<38}{figure.value:.{4 if figure.name == 'ssim' else 2}f}" for figure in report.further]
    parts = [_figures(report), *_classes(report), "\n".join(further)]
    facts = {
        "method": protocol.method,
        "sources": protocol.source,
        **_facts(protocol, _counts(protocol)),
        "seeds": protocol.seeds,
        "weights": ", ".join(filter(None, [_WEIGHTS[protocol.ema], report.identity[:16]])),
        "truncation": protocol.truncation,
        "resize": protocol.resize,
        "colour": protocol.colour,
        "alpha": protocol.alpha,
        "protocol": protocol.fingerprint,
    }
    _put(f"{report.model} against {against}", filter(None, parts), facts)


def _facts(protocol: Protocol, images: str) -> dict[str, str | None]:
    """What figures of images are computed by and from."""
    return {
        "extractor": protocol.extractor and f"{protocol.extractor}, {(protocol.extractor_sha256 or '')[:16]}",
        "data": None
        if _of_numbers(protocol)
        else f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}",
        "images": images,
    }


def _of_numbers(protocol: Protocol) -> bool:
    return protocol.method is not None and protocol.source is None


def _counts(protocol: Protocol) -> str:
    """How many images, numbers or pairs were compared."""
    made, real = f"{protocol.generated_images:,}", f"{protocol.real_images:,}"
    if protocol.floor_images is not None:
        sets = f"{protocol.repeats} sets of " if (protocol.repeats or 1) > 1 else ""
        if protocol.held_out_images is None:
            return f"{sets}{made} generated, {real} held out, {protocol.floor_images:,} training for the floor"
        others = f"{protocol.held_out_images:,} held out for coverage and memorisation"
        return f"{sets}{made} generated, {real} training, {protocol.floor_images:,} others for the floor, {others}"
    if _of_numbers(protocol):
        return f"{made} generated, {real} real draws for the floor"
    return real if protocol.baseline is not None else f"{real} images, {made} sources"


def show_ranked(groups: Sequence[Sequence[Report]]) -> None:
    """A table for each group of reports of one protocol, the best first; what keeps groups apart stands between."""
    put = stdout().print
    for position, group in enumerate(groups):
        if position:
            apart = "; ".join(
                f"{part} {now} rather than {before}"
                for part, before, now in differences(groups[0][0].protocol, group[0].protocol)
            )
            put()
            put(f"measured differently, not ranked with those above: {apart}", soft_wrap=True)
            put()
        _show_group(group)


def _show_group(group: Sequence[Report]) -> None:
    protocol, names = group[0].protocol, shared(group)
    first = {result.metric: result for result in group[0].results}
    figures = [first[name].figure for name in names]
    rows: list[tuple[str, Mapping[str, float | None]]] = []
    rows += [(report.model, {result.metric: result.value for result in report.results}) for report in group]
    rows += [("floor", {name: first[name].floor for name in names})]
    rows += [("baseline", {name: first[name].baseline for name in names})]
    lines = [["", *(_title(figure) for figure in figures)]]
    for label, values in rows:
        if any(value is not None for value in values.values()):
            lines.append([label, *(_number(figure, values[figure.name]) for figure in figures)])
    # As many columns as the screen has room for, the first two always.
    ends = accumulate(max(map(len, column)) + 2 for column in zip(*lines, strict=True))
    shown = max(2, sum(end - 2 <= stdout().width for end in ends))
    table, left = _table([line[:shown] for line in lines]), ", ".join(names[shown - 1 :])
    hidden = [f"not shown: {left}; --metrics chooses, --json has all"] if left else []
    facts = _facts(protocol, f"{protocol.generated_images:,} against {protocol.real_images:,}")
    parts = [table, *hidden, *filter(None, [disagreement(group)])]
    _put(f"against {protocol.data}, ranked by {_title(figures[0])}", parts, facts)


def save_neighbours(subject: Subject, report: Report, path: Path, data_dir: Path | None) -> None:
    """Draw generated images, each followed by the training image that it is nearest to."""
    from gancli.evaluation.evaluators.images import neighbours
    from gancli.rendering.images import save_grid

    if report.protocol.floor_images is None:
        raise UsageError(f"'{report.model}' is evaluated without training images", "leave out --neighbours")
    # Pairs stay together: an even number of columns.
    save_grid(neighbours(subject, report, data_dir=data_dir), path, columns=8)


def _title(figure: Figure) -> str:
    """As short as in lists, but for metrics of sets of images."""
    return figure.title if isinstance(figure, Metric) else title(figure.name)


def _number(figure: Figure, value: float | None) -> str:
    if value is None:
        return NONE
    return number(figure.name, value) if figure.digits is None else f"{value:.{figure.digits}f}"


def _with_unit(figure: Figure, value: float | None) -> str:
    if value is None or not figure.unit:
        return _number(figure, value)
    return f"{100 * value:.2f} %" if figure.unit == "%" else f"{_number(figure, value)} {figure.unit}"


def _put(head: str, parts: Iterable[Any], facts: dict[str, Any]) -> None:
    """A headline, tables or lines below it with room between them, and what they depend on."""
    put = stdout().print
    put(head, soft_wrap=True, style="bold")
    put()
    for part in parts:
        put(part, soft_wrap=isinstance(part, str))
        put()
    for name, value in facts.items():
        if value is not None:
            put(f"{name:<11}{value}", soft_wrap=True)


def _table(lines: Sequence[Sequence[str]]) -> Table:
    """A plain table of a headline and further lines: names to the left, numbers to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, head in enumerate(lines[0]):
        table.add_column(head, justify="right" if position else "left", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*line, style="dim" if line[0] in ("floor", "baseline") else "")
    return table


def _figures(report: Report) -> Table:
    """All figures, with the columns that any of them has."""
    backgrounds = list(dict.fromkeys(name for result in report.results for name in result.over or ()))
    over = [f"over {name}" for name in backgrounds]
    lines = [["metric", "generated", *over, "a further set", "floor", report.protocol.baseline or "baseline", "better"]]
    for result in report.results:
        figure = result.figure
        interval = " to ".join(_number(figure, end) for end in result.interval or ()) or NONE
        values = [_with_unit(figure, value) for value in (result.value, result.floor, result.baseline)]
        each = [_number(figure, (result.over or {}).get(name)) for name in backgrounds]
        lines.append([figure.title, values[0], *each, interval, *values[1:], result.better])
    columns = [column for column in zip(*lines, strict=True) if set(column[1:]) != {NONE}]
    return _table(list(zip(*columns, strict=True)))


def _classes(report: Report) -> list[Table]:
    """The predicted classes, or only how confidently they are predicted where they are too many for a table."""
    names, made, real = report.class_names, report.generated, report.real
    if not names:
        return []
    rows = [*zip(names, made.classes, real.classes, strict=True)] if len(names) <= MOST_CLASSES else []
    rows.append(("confident", made.confident or 0, real.confident or 0))
    shares = [[name, f"{100 * one:.1f}", f"{100 * other:.1f}"] for name, one, other in rows]
    return [_table([["class %", "generated", "held out"], *shares])]
