"""How reports look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from gancli.cli.console import screen
from gancli.errors import UsageError
from gancli.evaluation.comparison import shared
from gancli.evaluation.conditional import TITLES as ASKED
from gancli.evaluation.cycles import TITLES as CYCLES
from gancli.evaluation.cycles import CycleReport
from gancli.evaluation.formulas import FIGURES, FormulaReport
from gancli.evaluation.metrics import METRICS
from gancli.evaluation.pairs import TITLES as PAIRS
from gancli.evaluation.pairs import PairReport
from gancli.evaluation.protocol import differences, fingerprint
from gancli.evaluation.scores import number, title

if TYPE_CHECKING:
    from gancli.evaluation.judging import AnyReport
    from gancli.evaluation.report import Report

_WEIGHTS = {True: "running average", False: "as trained", None: "unknown"}


def show(report: AnyReport) -> None:
    """One report: its figures, and what they depend on."""
    if isinstance(report, FormulaReport):
        _show_numbers(report)
    elif isinstance(report, PairReport):
        _show_pairs(report)
    elif isinstance(report, CycleReport):
        _show_cycles(report)
    else:
        _show_images(report)


def show_ranked(groups: Sequence[Sequence[AnyReport]]) -> None:
    """A table for each group of reports of one protocol, the best first; what keeps groups apart stands between."""
    put = screen().print
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


def _show_group(group: Sequence[AnyReport]) -> None:
    protocol, put = group[0].protocol, screen().print
    names = shared(group)
    put(f"against {protocol.data}, ranked by {_title(names[0])}", markup=False, soft_wrap=True, style="bold")
    put()
    floors = {result.metric: result.floor for result in group[0].results}
    rows = [(report.model, {result.metric: result.value for result in report.results}) for report in group]
    if any(floors[name] is not None for name in names):
        rows.append(("floor", floors))
    baselines = {result.metric: result.baseline for result in group[0].results if hasattr(result, "baseline")}
    if any(baselines.get(name) is not None for name in names):
        rows.append(("baseline", baselines))
    lines = [["", *map(_title, names)]]
    lines += [[label, *(_number(name, values[name]) for name in names)] for label, values in rows]
    shown = _fitting(lines)
    table = _table(*lines[0][:shown])
    for line in lines[1:]:
        # A name may hold what looks like markup.
        table.add_row(*map(Text, line[:shown]), style="dim" if line[0] in ("floor", "baseline") else "")
    put(table)
    put()
    if left := names[shown - 1 :]:
        put(f"not shown: {', '.join(left)}; --metrics chooses, --json has all", markup=False, soft_wrap=True)
        put()
    facts = {
        "data": f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}",
        "images": f"{protocol.generated_images:,} against {protocol.real_images:,}",
    }
    if extractor := getattr(protocol, "extractor", None):
        facts = {"extractor": f"{extractor}, {protocol.extractor_sha256[:16]}", **facts}
    _put_facts(facts)


def _fitting(lines: Sequence[Sequence[str]]) -> int:
    """How many columns the screen has room for, the first two always."""
    ends = list(accumulate(2 + max(map(len, column)) for column in zip(*lines, strict=True)))
    return max(2, sum(end - 2 <= screen().width for end in ends))


def save_neighbours(subject: Any, report: AnyReport, path: Path, data_dir: Path | None) -> None:
    """Draw generated images beside the training images that they are nearest to."""
    from gancli.evaluation.report import Report, neighbours
    from gancli.rendering.images import save_grid

    if not isinstance(report, Report):
        raise UsageError(f"'{report.model}' is judged without training images", "leave out --neighbours")
    # Pairs stay together: an even number of columns.
    save_grid(neighbours(subject, report, data_dir=data_dir), path, columns=8)


def _title(metric: str) -> str:
    known = METRICS.get(metric)
    return known.title if known else title(metric)


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    known = METRICS.get(metric)
    return f"{value:.{known.digits}f}" if known else number(metric, value)


def _put_facts(facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        screen().print(f"{name:<11}{value}", markup=False, soft_wrap=True)


def _show_images(report: Report) -> None:
    """The figures, what the extractor reads in the images, and the protocol."""
    protocol, put = report.protocol, screen().print
    put(f"{report.model} against {protocol.data}, {protocol.split} split", markup=False, soft_wrap=True, style="bold")
    put()
    put(_figures(report))
    put()
    put(_classes(report))
    put()
    for figure in report.further:
        put(f"{figure.title:<38}{figure.value:.2f}", markup=False, soft_wrap=True)
    if report.further:
        put()
    facts = {
        "extractor": f"{protocol.extractor}, {protocol.extractor_sha256[:16]}",
        "data": f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}",
        "images": f"{_sets(protocol)}{protocol.generated_images:,} generated, {protocol.real_images:,} held out, "
        f"{protocol.floor_images:,} training for the floor",
        "seeds": protocol.seeds,
        "weights": _WEIGHTS[protocol.ema],
        "resize": protocol.resize,
        "colour": protocol.colour,
    }
    facts["protocol"] = fingerprint(protocol)
    _put_facts(facts)


def _show_numbers(report: FormulaReport) -> None:
    """The figures of numbers, and how they were found."""
    protocol, put = report.protocol, screen().print
    put(f"{report.model} against the formula of {protocol.data}", markup=False, soft_wrap=True, style="bold")
    put()
    table = _table("metric", "generated", "floor", "better")
    for result in report.results:
        figure = FIGURES[result.metric]
        values = (f"{value:.{figure.digits}f}" for value in (result.value, result.floor))
        table.add_row(figure.title, *values, result.better)
    put(table)
    put()
    facts = {
        "method": protocol.method,
        "samples": f"{protocol.generated_images:,} generated, {protocol.real_images:,} real draws for the floor",
        "seeds": protocol.seeds,
        "weights": _WEIGHTS[protocol.ema],
    }
    facts["protocol"] = fingerprint(protocol)
    _put_facts(facts)


def _show_pairs(report: PairReport) -> None:
    """How near translations come to the true images, and the simplest repair."""
    protocol, put = report.protocol, screen().print
    put(f"{report.model} against {protocol.data}, {protocol.split} split", markup=False, soft_wrap=True, style="bold")
    put()
    table = _table("dB", report.model, protocol.baseline or "baseline", "better")
    for result in report.results:
        values = ("–" if value is None else f"{value:.2f}" for value in (result.value, result.baseline))
        table.add_row(PAIRS[result.metric], *values, result.better)
    put(table)
    put()
    facts = {
        "method": protocol.method,
        "sources": protocol.source,
        "data": f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}",
        "images": f"{protocol.real_images:,}",
        "weights": _WEIGHTS[protocol.ema],
    }
    facts["protocol"] = fingerprint(protocol)
    _put_facts(facts)


def _show_cycles(report: CycleReport) -> None:
    """What a translation both ways leaves of images."""
    protocol, put = report.protocol, screen().print
    put(f"{report.model} against {protocol.data}, {protocol.split} split", markup=False, soft_wrap=True, style="bold")
    put()
    table = _table("metric", report.model, "images as they are", "better")
    for result in report.results:
        decibels = result.metric.startswith("psnr")
        value = f"{result.value:.2f} dB" if decibels else f"{100 * result.value:.2f} %"
        floor = "–" if result.floor is None else f"{100 * result.floor:.2f} %"
        table.add_row(CYCLES[result.metric], value, floor, result.better)
    put(table)
    put()
    facts = {
        "method": protocol.method,
        "sources": protocol.source,
        "extractor": f"{protocol.extractor or 'none'} {(protocol.extractor_sha256 or '')[:16]}",
        "data": f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}",
        "images": f"{protocol.real_images:,} images, {protocol.generated_images:,} sources",
        "weights": _WEIGHTS[protocol.ema],
    }
    facts["protocol"] = fingerprint(protocol)
    _put_facts(facts)


def _table(*heads: str) -> Table:
    """A plain table: names to the left, numbers to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, head in enumerate(heads):
        table.add_column(head, justify="right" if position else "left", no_wrap=True)
    return table


def _sets(protocol: Any) -> str:
    """How many sets of images were made, if several."""
    return f"{protocol.repeats} sets of " if protocol.repeats > 1 else ""


def _figures(report: Report) -> Table:
    several = report.protocol.repeats > 1
    table = _table("metric", "generated", *(["a further set"] if several else []), "floor", "baseline", "better")
    for result in report.results:
        metric = METRICS.get(result.metric)
        digits = metric.digits if metric else 3
        ends = " to ".join(f"{end:.{digits}f}" for end in result.interval or ())
        figures = result.value, result.floor, result.baseline
        value, *beside = ("–" if value is None else f"{value:.{digits}f}" for value in figures)
        title = metric.title if metric else ASKED[result.metric]
        table.add_row(title, value, *([ends] if several else []), *beside, result.better)
    return table


def _classes(report: Report) -> Table:
    """Percent of the images that are read as each class, and percent that are read with confidence."""
    table = _table("class %", *report.class_names, "confident")
    for name, read in (("generated", report.generated), ("held out", report.real)):
        table.add_row(name, *(f"{100 * share:.1f}" for share in read.classes), f"{100 * read.confident:.1f}")
    return table
