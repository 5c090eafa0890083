"""Numbers are compared with the formula of their data, without features in between."""

from __future__ import annotations

import torch

from gancli.data.synthetic import FORMULAS, examples, fingerprint
from gancli.errors import GancliError, UsageError
from gancli.evaluation.evaluators import checks
from gancli.evaluation.evaluators.checks import Options
from gancli.evaluation.protocol import Protocol
from gancli.evaluation.reference import DRAW
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import Subject
from gancli.metrics import numbers

SAMPLES = 2_500
"""As many as Srivastava et al. 2017, "VEEGAN", section 4, draw."""
FEWEST, MOST = 100, 1_000_000
BATCH = 256


def evaluate(subject: Subject, data: str, options: Options) -> Report:
    """Compare a model of numbers with a formula; as many real draws give the floor, normal noise the baseline.

    Args:
        subject: what makes the numbers.
        data: a name of :data:`gancli.data.synthetic.FORMULAS`.
        options: ``images`` are rows to generate, 2,500 unless given.

    Raises:
        UsageError: numbers of another width than the data's, a number of samples out of range, an unknown figure.
        GancliError: the model makes something that is not a number.
    """
    formula = FORMULAS[data]
    count = SAMPLES if options.images is None else options.images
    if not FEWEST <= count <= MOST:
        raise UsageError(f"cannot evaluate by {count:,} samples", f"from {FEWEST} to {MOST:,} can be generated")
    seeds = checks.seeds_of(options, count)
    rows = torch.cat(list(subject.images(seeds, BATCH))).flatten(1)
    if rows.shape[1] != formula.width:
        raise UsageError(
            f"'{subject.name}' makes {rows.shape[1]} numbers a sample, and {data} has {formula.width}",
            "`data=NAME` says what to compare with",
        )
    if not torch.isfinite(rows).all():
        raise GancliError(f"'{subject.name}' makes values that are no numbers", "train it anew with a smaller rate")
    values, method = numbers.measure(rows, formula)
    real = examples(formula, "test", count).flatten(1)
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(DRAW)) * real.std() + real.mean()
    (floors, _), (baselines, _) = (numbers.measure(each, formula) for each in (real, noise))
    protocol = Protocol(
        method=method,
        data=data,
        data_fingerprint=fingerprint(formula, "test"),
        split="test",
        real_images=count,
        generated_images=count,
        seeds=f"{seeds[0]}-{seeds[-1]}",
        truncation=subject.model.truncation if subject.model else None,
        ema=subject.ema,
    )
    figures = {figure.name: figure for figure in numbers.FIGURES}
    chosen = checks.figures(options, list(values), f"'{data}'")
    results = tuple(Result(figures[name], values[name], floors[name], baselines[name]) for name in chosen)
    return Report(subject.name, protocol, results)
