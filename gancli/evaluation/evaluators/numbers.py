"""Numbers are compared with the formula of their data, without features in between."""

from __future__ import annotations

import torch

from gancli.data.synthetic import FORMULAS, examples, fingerprint
from gancli.errors import GancliError, UsageError, nearest
from gancli.evaluation.evaluators.checks import Options
from gancli.evaluation.protocol import Protocol
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import Subject
from gancli.latents import MAX_SEED
from gancli.metrics import numbers

SAMPLES = 2_500
"""As many as Srivastava et al. 2017, "VEEGAN", section 4, draw."""
FEWEST, MOST = 100, 1_000_000
BATCH = 256


def evaluate(subject: Subject, data: str, options: Options) -> Report:
    """Compare a model of numbers with a formula; as many real draws give the floor.

    Args:
        subject: what makes the numbers.
        data: a name of :data:`gancli.data.synthetic.FORMULAS`.
        options: ``images`` are rows to generate, 2,500 unless given.

    Raises:
        UsageError: numbers of another width than the data's, a number of samples out of range, an unknown figure.
        GancliError: the model makes something that is not a number.
    """
    formula, start = FORMULAS[data], options.seed_start
    count = SAMPLES if options.images is None else options.images
    if not FEWEST <= count <= MOST:
        raise UsageError(f"cannot evaluate by {count:,} samples", f"from {FEWEST} to {MOST:,} can be generated")
    if not 0 <= start <= MAX_SEED + 1 - count:
        raise UsageError(f"{count:,} seeds from {start} on leave the range", f"seeds go from 0 to {MAX_SEED}")
    options.progress("samples", 0, count)
    rows = torch.cat(list(subject.images(range(start, start + count), BATCH))).flatten(1)
    options.progress("samples", count, count)
    if rows.shape[1] != formula.width:
        raise UsageError(
            f"'{subject.name}' makes {rows.shape[1]} numbers a sample, and {data} has {formula.width}",
            "--data NAME says what to compare with",
        )
    if not torch.isfinite(rows).all():
        raise GancliError(f"'{subject.name}' makes values that are no numbers", "train it anew with a smaller rate")
    values, method = numbers.measure(rows, formula)
    floors, _ = numbers.measure(examples(formula, "test", count).flatten(1), formula)
    protocol = Protocol(
        method=method,
        data=data,
        data_fingerprint=fingerprint(formula, "test"),
        split="test",
        real_images=count,
        generated_images=count,
        seeds=f"{start}-{start + count - 1}",
        truncation=subject.model.truncation if subject.model else None,
        ema=subject.ema,
    )
    chosen = list(dict.fromkeys(options.metrics)) or list(values)
    if unknown := [name for name in chosen if name not in values]:
        raise UsageError(f"'{data}' has no figure '{unknown[0]}'", nearest(unknown[0], values))
    figures = {figure.name: figure for figure in numbers.FIGURES}
    results = tuple(Result(figures[name], values[name], floors[name]) for name in chosen)
    return Report(subject.name, protocol, results)
