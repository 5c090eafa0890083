"""How reports look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from gancli.cli.terminal.console import stdout
from gancli.errors import UsageError
from gancli.evaluation.comparison import shared
from gancli.evaluation.protocol import Protocol, differences
from gancli.evaluation.report import Report
from gancli.evaluation.scores import number, title
from gancli.evaluation.subjects import Subject
from gancli.metrics.base import Figure, Metric

COLUMNS = 12
"""Classes that a table of them has room for."""
_WEIGHTS = {True: "running average", False: "as trained", None: "unknown"}


def show(report: Report) -> None:
    """One report: its figures, what the extractor predicts of the images, and what the figures depend on."""
    protocol = report.protocol
    against = f"the formula of {protocol.data}" if _of_numbers(protocol) else f"{protocol.data}, {protocol.split} split"
    further = [f"{figure.title:<38}{figure.value:.{4 if figure.name == 'ssim' else 2}f}" for figure in report.further]
    parts = [_figures(report), *_classes(report), "\n".join(further)]
    weights = ", ".join(filter(None, [_WEIGHTS[protocol.ema], report.identity[:16]]))
    facts = {
        "method": protocol.method,
        "sources": protocol.source,
        "extractor": protocol.extractor and f"{protocol.extractor}, {(protocol.extractor_sha256 or '')[:16]}",
        "data": None if _of_numbers(protocol) else _data(protocol),
        "images": _counts(protocol),
        "seeds": protocol.seeds,
        "weights": weights,
        "truncation": protocol.truncation,
        "resize": protocol.resize,
        "colour": protocol.colour,
        "protocol": protocol.fingerprint,
    }
    _put(f"{report.model} against {against}", filter(None, parts), facts)


def _of_numbers(protocol: Protocol) -> bool:
    return protocol.method is not None and protocol.source is None


def _counts(protocol: Protocol) -> str:
    """How many images, numbers or pairs were compared."""
    made, real = f"{protocol.generated_images:,}", f"{protocol.real_images:,}"
    if protocol.floor_images is not None:
        sets = f"{protocol.repeats} sets of " if (protocol.repeats or 1) > 1 else ""
        return f"{sets}{made} generated, {real} held out, {protocol.floor_images:,} training for the floor"
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
            put(f"measured differently, not ranked with those above: {apart}", markup=False, soft_wrap=True)
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
    shown = _fitting(lines)
    table = _table(*lines[0][:shown])
    for line in lines[1:]:
        # A name may hold what looks like markup.
        table.add_row(*map(Text, line[:shown]), style="dim" if line[0] in ("floor", "baseline") else "")
    left = ", ".join(names[shown - 1 :])
    hidden = [f"not shown: {left}; --metrics chooses, --json has all"] if left else []
    facts = {
        "extractor": protocol.extractor and f"{protocol.extractor}, {(protocol.extractor_sha256 or '')[:16]}",
        "data": _data(protocol),
        "images": f"{protocol.generated_images:,} against {protocol.real_images:,}",
    }
    _put(f"against {protocol.data}, ranked by {_title(figures[0])}", [table, *hidden], facts)


def _fitting(lines: Sequence[Sequence[str]]) -> int:
    """How many columns the screen has room for, the first two always."""
    ends = list(accumulate(2 + max(map(len, column)) for column in zip(*lines, strict=True)))
    return max(2, sum(end - 2 <= stdout().width for end in ends))


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
        return "–"
    return number(figure.name, value) if figure.digits is None else f"{value:.{figure.digits}f}"


def _with_unit(figure: Figure, value: float | None) -> str:
    if value is None or not figure.unit:
        return _number(figure, value)
    return f"{100 * value:.2f} %" if figure.unit == "%" else f"{_number(figure, value)} {figure.unit}"


def _put(head: str, parts: Iterable[Any], facts: dict[str, Any]) -> None:
    """A headline, tables or lines below it with room between them, and what they depend on."""
    put = stdout().print
    put(head, markup=False, soft_wrap=True, style="bold")
    put()
    for part in parts:
        put(part, markup=False, soft_wrap=isinstance(part, str))
        put()
    for name, value in facts.items():
        if value is not None:
            put(f"{name:<11}{value}", markup=False, soft_wrap=True)


def _data(protocol: Protocol) -> str:
    return f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}"


def _table(*heads: str) -> Table:
    """A plain table: names to the left, numbers to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, head in enumerate(heads):
        table.add_column(head, justify="right" if position else "left", no_wrap=True)
    return table


def _figures(report: Report) -> Table:
    """All figures, with the columns that any of them has."""
    results = report.results
    several = any(result.interval for result in results)
    floor = any(result.floor is not None for result in results)
    baseline = any(result.baseline is not None for result in results)
    heads = {
        "a further set": several,
        "floor": floor,
        report.protocol.baseline or "baseline": baseline,
    }
    table = _table("metric", "generated", *(head for head, there in heads.items() if there), "better")
    for result in results:
        figure = result.figure
        interval = " to ".join(_number(figure, end) for end in result.interval or ()) or "–"
        values = [interval, _with_unit(figure, result.floor), _with_unit(figure, result.baseline)]
        shown = [value for value, there in zip(values, heads.values(), strict=True) if there]
        table.add_row(figure.title, _with_unit(figure, result.value), *shown, result.better)
    return table


def _classes(report: Report) -> list[Table | str]:
    """The predicted classes: a table, a line where they are too many for that, nothing where none are known."""
    if not report.class_names:
        return []
    # A name, "generated", and what stands between columns.
    width = sum(max(len(name), 4) + 2 for name in report.class_names) + len("generated  confident")
    if len(report.class_names) > COLUMNS or width > stdout().width:
        made, real = (f"{100 * (side.confident or 0):.1f} %" for side in (report.generated, report.real))
        return [f"read as one of {len(report.class_names):,} classes with confidence: {made} ({real} held out)"]
    table = _table("class %", *report.class_names, "confident")
    for name, side in (("generated", report.generated), ("held out", report.real)):
        table.add_row(name, *(f"{100 * share:.1f}" for share in side.classes), f"{100 * (side.confident or 0):.1f}")
    if report.class_fids:
        table.add_row("FID", *map(_four, report.class_fids), "")
    return [table]


def _four(value: float | None) -> str:
    """A figure in four characters, so that ten stand in a line; the JSON has the rest."""
    if value is None:
        return "–"
    texts = [f"{value:.{decimals}f}" for decimals in (2, 1, 0)]
    return next((text for text in texts if len(text) <= 4), texts[-1])
