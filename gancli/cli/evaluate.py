"""``gancli evaluate``: how good a model is, with the floor beside every figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.console import say, screen
from gancli.cli.progress import progress_bar
from gancli.cli.sample import Device, ModelName
from gancli.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from gancli.evaluation.cycles import CycleReport
    from gancli.evaluation.formulas import FormulaReport
    from gancli.evaluation.pairs import PairReport
    from gancli.evaluation.report import Report

_WEIGHTS = {True: "running average", False: "as trained", None: "unknown"}


def evaluate(
    model: ModelName = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="The data set to compare with; the model's own unless given.", show_default=False
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Which figures, with commas between; all unless given.", show_default=False),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            "-n",
            metavar="N",
            help="How many images to generate; as many as are held out, at most 10,000, unless given.",
            show_default=False,
        ),
    ] = None,
    seed_start: Annotated[int, typer.Option(metavar="SEED", help="The first seed.")] = 0,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The feature extractor; the one that knows the data unless given.", show_default=False
        ),
    ] = None,
    device: Device = "auto",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data sets are looked for first.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Judge a model against images that it has not seen: FID, KID, recall, coverage and more.

    Beside each figure stands the floor: what real training images get against the same held-out images. Numbers are
    judged by the formula of their data: RMSE to the curve, modes found, and the floor of real draws. Images made from
    others are judged by the true ones: PSNR, beside that of the simplest repair; without pairs, by whether a class
    survives the way there and back. A model that is told classes is also judged by whether it makes the one asked for.

    \b
    Examples:
      gancli evaluate dcgan/mnist
      gancli evaluate dcgan/mnist --metrics fid,kid -n 2000
      gancli evaluate runs/mine --data mnist --json > report.json
      gancli evaluate sine-gan/sine
      gancli evaluate pix2pix/mnist
    """
    from gancli import model as models
    from gancli.evaluation.cycles import CycleReport
    from gancli.evaluation.formulas import FormulaReport
    from gancli.evaluation.judging import judge
    from gancli.evaluation.pairs import PairReport

    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    if metrics is not None and not names:
        raise UsageError("no metric was named", "as in --metrics fid,kid")
    subject = models.load(model, device=device)
    with progress_bar() as progress:
        found = judge(
            subject,
            data,
            names,
            images,
            extractor=extractor,
            seed_start=seed_start,
            data_dir=data_dir,
            progress=progress,
        )
    if as_json:
        print(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    elif isinstance(found, FormulaReport):
        _show_numbers(found)
    elif isinstance(found, PairReport):
        _show_pairs(found)
    elif isinstance(found, CycleReport):
        _show_cycles(found)
    else:
        _show(found)
    for warning in found.warnings:
        say(f"warning: {warning}")


def _show(report: Report) -> None:
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
        "images": f"{protocol.generated_images:,} generated, {protocol.real_images:,} held out, "
        f"{protocol.floor_images:,} training for the floor",
        "seeds": protocol.seeds,
        "weights": _WEIGHTS[protocol.ema],
        "resize": protocol.resize,
        "colour": protocol.colour,
    }
    for name, value in facts.items():
        put(f"{name:<11}{value}", markup=False, soft_wrap=True)


def _show_numbers(report: FormulaReport) -> None:
    """The figures of numbers, and how they were found."""
    from gancli.evaluation.formulas import FIGURES

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
    for name, value in facts.items():
        put(f"{name:<11}{value}", markup=False, soft_wrap=True)


def _show_pairs(report: PairReport) -> None:
    """How near translations come to the true images, and the simplest repair."""
    from gancli.evaluation.pairs import TITLES

    protocol, put = report.protocol, screen().print
    put(f"{report.model} against {protocol.data}, {protocol.split} split", markup=False, soft_wrap=True, style="bold")
    put()
    table = _table("dB", report.model, protocol.baseline or "baseline", "better")
    for result in report.results:
        values = ("–" if value is None else f"{value:.2f}" for value in (result.value, result.baseline))
        table.add_row(TITLES[result.metric], *values, result.better)
    put(table)
    put()
    facts = {
        "method": protocol.method,
        "sources": protocol.source,
        "data": f"{protocol.data}, {protocol.split} split, {protocol.data_fingerprint}",
        "images": f"{protocol.real_images:,}",
        "weights": _WEIGHTS[protocol.ema],
    }
    for name, value in facts.items():
        put(f"{name:<11}{value}", markup=False, soft_wrap=True)


def _show_cycles(report: CycleReport) -> None:
    """What a translation both ways leaves of images."""
    from gancli.evaluation.cycles import TITLES

    protocol, put = report.protocol, screen().print
    put(f"{report.model} against {protocol.data}, {protocol.split} split", markup=False, soft_wrap=True, style="bold")
    put()
    table = _table("metric", report.model, "images as they are", "better")
    for result in report.results:
        decibels = result.metric.startswith("psnr")
        value = f"{result.value:.2f} dB" if decibels else f"{100 * result.value:.2f} %"
        floor = "–" if result.floor is None else f"{100 * result.floor:.2f} %"
        table.add_row(TITLES[result.metric], value, floor, result.better)
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
    for name, value in facts.items():
        put(f"{name:<11}{value}", markup=False, soft_wrap=True)


def _table(*heads: str) -> Table:
    """A plain table: names to the left, numbers to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, head in enumerate(heads):
        table.add_column(head, justify="right" if position else "left", no_wrap=True)
    return table


def _figures(report: Report) -> Table:
    from gancli.evaluation.conditional import TITLES
    from gancli.evaluation.metrics import METRICS

    table = _table("metric", "generated", "floor", "better")
    for result in report.results:
        metric = METRICS.get(result.metric)
        digits = metric.digits if metric else 3
        values = ("–" if value is None else f"{value:.{digits}f}" for value in (result.value, result.floor))
        table.add_row(metric.title if metric else TITLES[result.metric], *values, result.better)
    return table


def _classes(report: Report) -> Table:
    """Percent of the images that are read as each class, and percent that are read with confidence."""
    table = _table("class %", *report.class_names, "confident")
    for name, read in (("generated", report.generated), ("held out", report.real)):
        table.add_row(name, *(f"{100 * share:.1f}" for share in read.classes), f"{100 * read.confident:.1f}")
    return table
