"""How reports look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from gancli.cli.terminal.console import stdout
from gancli.errors import UsageError
from gancli.evaluation.comparison import shared
from gancli.evaluation.conditional import TITLES as ASKED
from gancli.evaluation.cycles import TITLES as CYCLES
from gancli.evaluation.cycles import CycleReport
from gancli.evaluation.pairs import TITLES as PAIRS
from gancli.evaluation.pairs import PairReport
from gancli.evaluation.protocol import differences, fingerprint
from gancli.evaluation.scores import number, title
from gancli.evaluation.synthetic import FIGURES, FormulaReport
from gancli.metrics import METRICS

if TYPE_CHECKING:
    from gancli.evaluation.judging import AnyReport
    from gancli.evaluation.report import Report

_DIGITS = {**dict.fromkeys(ASKED, 3), "psnr": 2, "psnr_all": 2}
COLUMNS = 12
"""Classes that a table of them has room for."""
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


def _show_group(group: Sequence[AnyReport]) -> None:
    protocol, names = group[0].protocol, shared(group)
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
    left = ", ".join(names[shown - 1 :])
    hidden = [f"not shown: {left}; --metrics chooses, --json has all"] if left else []
    facts = {
        "data": _data(protocol),
        "images": f"{protocol.generated_images:,} against {protocol.real_images:,}",
    }
    if extractor := getattr(protocol, "extractor", None):
        facts = {"extractor": f"{extractor}, {protocol.extractor_sha256[:16]}", **facts}
    _put(f"against {protocol.data}, ranked by {_title(names[0])}", [table, *hidden], facts)


def _fitting(lines: Sequence[Sequence[str]]) -> int:
    """How many columns the screen has room for, the first two always."""
    ends = list(accumulate(2 + max(map(len, column)) for column in zip(*lines, strict=True)))
    return max(2, sum(end - 2 <= stdout().width for end in ends))


def save_neighbours(subject: Any, report: AnyReport, path: Path, data_dir: Path | None) -> None:
    """Draw generated images beside the training images that they are nearest to."""
    from gancli.evaluation.report import Report, neighbours
    from gancli.rendering.images import save_grid

    if not isinstance(report, Report):
        raise UsageError(f"'{report.model}' is judged without training images", "leave out --neighbours")
    # Pairs stay together: an even number of columns.
    save_grid(neighbours(subject, report, data_dir=data_dir), path, columns=8)


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else ASKED.get(metric) or title(metric)


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    digits = METRICS[metric].digits if metric in METRICS else _DIGITS.get(metric)
    return number(metric, value) if digits is None else f"{value:.{digits}f}"


def _put(head: str, parts: Sequence[Any], facts: dict[str, Any]) -> None:
    """A headline, tables or lines below it with room between them, and what they depend on."""
    put = stdout().print
    put(head, markup=False, soft_wrap=True, style="bold")
    put()
    for part in parts:
        put(part, markup=False, soft_wrap=isinstance(part, str))
        put()
    for name, value in facts.items():
        put(f"{name:<11}{value}", markup=False, soft_wrap=True)


def _against(report: AnyReport) -> str:
    return f"{report.model} against {report.protocol.data}, {report.protocol.split} split"


def _data(protocol: Any) -> str:
    return f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}"


def _show_images(report: Report) -> None:
    """The figures, what the extractor reads in the images, and the protocol."""
    protocol = report.protocol
    digits = {"ssim": 4}
    further = "\n".join(f"{figure.title:<38}{figure.value:.{digits.get(figure.name, 2)}f}" for figure in report.further)
    facts = {
        "extractor": f"{protocol.extractor}, {protocol.extractor_sha256[:16]}",
        "data": _data(protocol),
        "images": f"{_sets(protocol)}{protocol.generated_images:,} generated, {protocol.real_images:,} held out, "
        f"{protocol.floor_images:,} training for the floor",
        "seeds": protocol.seeds,
        "weights": ", ".join(filter(None, [_WEIGHTS[protocol.ema], report.identity[:16]])),
        **({"truncation": protocol.truncation} if protocol.truncation is not None else {}),
        "resize": protocol.resize,
        "colour": protocol.colour,
        "protocol": fingerprint(protocol),
    }
    _put(_against(report), [_figures(report), *_classes(report), *([further] if further else [])], facts)


def _show_numbers(report: FormulaReport) -> None:
    """The figures of numbers, and how they were found."""
    protocol = report.protocol
    table = _table("metric", "generated", "floor", "better")
    for result in report.results:
        figure = FIGURES[result.metric]
        values = (f"{value:.{figure.digits}f}" for value in (result.value, result.floor))
        table.add_row(figure.title, *values, result.better)
    facts = {
        "method": protocol.method,
        "samples": f"{protocol.generated_images:,} generated, {protocol.real_images:,} real draws for the floor",
        "seeds": protocol.seeds,
        "weights": _WEIGHTS[protocol.ema],
        "protocol": fingerprint(protocol),
    }
    _put(f"{report.model} against the formula of {protocol.data}", [table], facts)


def _show_pairs(report: PairReport) -> None:
    """How near translations come to the true images, and the simplest repair."""
    protocol = report.protocol
    table = _table("metric", report.model, protocol.baseline or "baseline", "better")
    for result in report.results:
        values = (_number(result.metric, value) for value in (result.value, result.baseline))
        table.add_row(PAIRS[result.metric], *values, result.better)
    facts = {
        "method": protocol.method,
        "sources": protocol.source,
        "data": _data(protocol),
        "images": f"{protocol.real_images:,}",
        "weights": _WEIGHTS[protocol.ema],
        "protocol": fingerprint(protocol),
    }
    _put(_against(report), [table], facts)


def _show_cycles(report: CycleReport) -> None:
    """What a translation both ways leaves of images."""
    protocol = report.protocol
    table = _table("metric", report.model, "images as they are", "better")
    for result in report.results:
        decibels = result.metric.startswith("psnr")
        value = f"{result.value:.2f} dB" if decibels else f"{100 * result.value:.2f} %"
        floor = "–" if result.floor is None else f"{100 * result.floor:.2f} %"
        table.add_row(CYCLES[result.metric], value, floor, result.better)
    facts = {
        "method": protocol.method,
        "sources": protocol.source,
        "extractor": f"{protocol.extractor or 'none'} {(protocol.extractor_sha256 or '')[:16]}",
        "data": _data(protocol),
        "images": f"{protocol.real_images:,} images, {protocol.generated_images:,} sources",
        "weights": _WEIGHTS[protocol.ema],
        "protocol": fingerprint(protocol),
    }
    _put(_against(report), [table], facts)


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
    several = any(result.interval for result in report.results)
    table = _table("metric", "generated", *(["a further set"] if several else []), "floor", "baseline", "better")
    for result in report.results:
        value, *ends, floor, baseline = (
            _number(result.metric, figure)
            for figure in (result.value, *(result.interval or ()), result.floor, result.baseline)
        )
        further = [" to ".join(ends) or "–"] if several else []
        table.add_row(_title(result.metric), value, *further, floor, baseline, result.better)
    return table


def _classes(report: Report) -> list[Table | str]:
    """What is read in the images: a table of the classes, a line where they are too many for that, nothing of none."""
    if not report.class_names:
        return []
    # A name, "generated", and what stands between columns.
    width = sum(max(len(name), 4) + 2 for name in report.class_names) + len("generated  confident")
    if len(report.class_names) > COLUMNS or width > stdout().width:
        return [_confident(report)]
    return [_shares(report)]


def _shares(report: Report) -> Table:
    """Percent of the images that are read as each class, and percent that are read with confidence."""
    table = _table("class %", *report.class_names, "confident")
    for name, read in (("generated", report.generated), ("held out", report.real)):
        table.add_row(name, *(f"{100 * share:.1f}" for share in read.classes), f"{100 * (read.confident or 0):.1f}")
    if report.class_fids:
        table.add_row("FID", *map(_four, report.class_fids), "")
    return table


def _confident(report: Report) -> str:
    """Percent of the images that are read with confidence, where there are too many classes for a table."""
    made, real = (100 * (read.confident or 0) for read in (report.generated, report.real))
    return f"read as one of {len(report.class_names):,} classes with confidence: {made:.1f} % ({real:.1f} % held out)"


def _four(value: float | None) -> str:
    """A figure in four characters, so that ten stand in a line; the JSON has the rest."""
    if value is None:
        return "–"
    texts = [f"{value:.{decimals}f}" for decimals in (2, 1, 0)]
    return next((text for text in texts if len(text) <= 4), texts[-1])
