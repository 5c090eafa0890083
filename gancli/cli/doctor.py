"""``gancli doctor``: what went wrong in a training run, and what to try."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli import _options
from gancli.cli._outputs import picture_path
from gancli.cli.terminal.console import print_json

if TYPE_CHECKING:
    from gancli.runs.doctor import Examination


def doctor(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run, finished or not. Default: the newest.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE.png", help="Where to draw the plot. Default: RUN/doctor.png.")
    ] = None,
    as_json: _options.AsJson = False,
) -> None:
    """Explain a training run.

    It reads what the health monitor found in the run's files, and says what it means and what to try.

    \b
    Examples:
      gancli doctor
      gancli doctor runs/mine
      gancli doctor runs/mine --json --out mine.png
    """
    from gancli.runs.doctor import examine
    from gancli.zoo import catalogue

    picture = picture_path(out)
    seen = examine(catalogue.run_named(run) if run else catalogue.newest_run())
    plot = picture or seen.folder / "doctor.png"
    seen.plot(plot)
    if as_json:
        print_json({**seen.to_dict(), "plot": str(plot)})
    else:
        _show(seen)
        print(f"{plot}  losses, probabilities, diversity and findings")


def _show(seen: Examination) -> None:
    budget = f" of {seen.budget:,}" if seen.budget else ""
    print(f"{seen.folder}: {seen.model} on {seen.data}, {seen.rounds:,}{budget} rounds, {seen.state}\n")
    for stop in seen.stops:
        after = "resumed later"
        if seen.state == "stopped" and stop is seen.stops[-1]:
            after = f"`gancli train --resume {shlex.quote(str(seen.folder))}` continues"
        print(f"round {stop['round']:,}: stopped by {stop['because'].replace('-', ' ')}; {after}\n")
    early = seen.rounds < seen.needed and not seen.monitor.found
    if early:
        print(f"too early to tell: about {seen.needed:,} rounds show whether {seen.model} works\n")
    elif not seen.monitor.found:
        print(f"no failure found in {seen.monitor.previews} previews\n")
    if seen.evaluation is not None:
        print(textwrap.fill(_verdict(seen.evaluation), 80) + "\n")
    elif seen.state == "finished" and not early:
        print(f"`gancli evaluate {shlex.quote(str(seen.folder))}` measures how good its samples are\n")
    for finding in seen.monitor.found:
        until = f"until round {finding.until:,}" if finding.until else "to the end"
        print(f"{finding.title}, from round {finding.since:,} {until}")
        for name, words in (("seen", finding.text), ("means", finding.meaning), ("try", finding.advice)):
            print(textwrap.fill(words, 80, initial_indent=f"  {name:<7}", subsequent_indent=" " * 9))
        print()


def _verdict(result: Mapping[str, Any]) -> str:
    """An evaluation in a sentence."""
    from gancli.evaluation.scores import beaten, number, title

    name = result["metric"]
    figures = [
        f"{words} {number(name, result[key])}"
        for key, words in (("value", title(name)), ("floor", "real data"), ("baseline", "simplest baseline"))
        if result.get(key) is not None
    ]
    verdict = "; the model is no better than the simplest baseline" if beaten(result) else ""
    return f"evaluation in round {result['round']:,}: {', '.join(figures)}{verdict}"
