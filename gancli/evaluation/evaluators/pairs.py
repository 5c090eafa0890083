"""Translators of pairs: how near a translation comes to the true image, compared with the simplest repair there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gancli.alpha import has_alpha
from gancli.data import Dataset
from gancli.data.builtin.names import DATASETS
from gancli.data.folder import layout
from gancli.data.folder.files import open_source
from gancli.data.hub.fetching import path_of
from gancli.data.pairs import degradations
from gancli.data.pairs.sources import SPLIT
from gancli.data.requested import load_for
from gancli.data.types import Progress, no_progress
from gancli.errors import UsageError
from gancli.evaluation.evaluators import checks
from gancli.evaluation.evaluators.checks import IMAGES, Options
from gancli.evaluation.features import BATCH
from gancli.evaluation.protocol import Protocol
from gancli.evaluation.reference import positions
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import Subject
from gancli.metrics.images import FIGURES, METHOD, PREMULTIPLIED, check_ssim, compare

if TYPE_CHECKING:
    from gancli.model import Model

NAMES = {figure.name: figure for figure in FIGURES}


def evaluate(subject: Subject, model: Model, data: str | None, options: Options) -> Report:
    """Compare translations of held-out sources with the true images.

    Args:
        subject: the model as a subject.
        model: what makes an image from its source.
        data: the data set; None is the one that the model was trained on. One that is named and has no held-out split
            is taken whole.
        options: ``images`` are all that are held out, at most 10,000, unless given.

    Raises:
        UsageError: no such data, pairs that the model's file does not tell how to make, an unknown figure, SSIM of
            images smaller than its window.
    """
    chosen = checks.figures(options, list(NAMES), "a translator of pairs")
    if "ssim" in options.metrics:
        check_ssim(model.shape, f"'{model.name}': ")
    source = model.recipe.data.source
    degradation = degradations.parse(source)
    if degradation is None and source.partition(":")[0] != SPLIT:
        raise UsageError(
            f"'{model.name}' was trained on files of two folders, which it cannot find by itself",
            f"as in `gancli translate {model.name} SOURCES --target IMAGES`",
        )
    held_out, all_sources = _held_out(model, data, options.data_dir, options.progress)
    # From anywhere in the set, which may come in the order of its classes.
    some = positions(len(held_out.images), options.images or IMAGES)
    true, sources = held_out.images[some], all_sources[some]
    parts = []
    for number, part in enumerate(sources.split(BATCH)):
        parts.append(model.translate(part))
        options.progress("translations", min((number + 1) * BATCH, len(sources)), len(sources))
    values = compare(true, torch.cat(parts))
    repaired = degradation.baseline(sources) if degradation else None
    baselines = {} if repaired is None else compare(true, repaired)
    protocol = Protocol(
        method=METHOD,
        data=held_out.name,
        data_fingerprint=held_out.fingerprint,
        split=held_out.split,
        source=str(degradation) if degradation else source,
        baseline=degradation.kind.words if degradation else "",
        real_images=len(some),
        generated_images=len(some),
        ema=subject.ema,
        alpha=PREMULTIPLIED if has_alpha(true) else None,
    )
    results = [Result(NAMES[name], values[name], None, baselines.get(name)) for name in chosen if name in values]
    return Report(model.name, protocol, tuple(results))


def examples(model: Model, data: str | None = None, count: int = 32, *, data_dir: Path | None = None) -> Tensor:
    """Held-out pairs from all over the data set: source, result and true image in turn, uint8 (3 * count, C, H, W).

    Raises:
        UsageError: see :func:`evaluate`.
    """
    held_out, sources = _held_out(model, data, data_dir, no_progress)
    # The data set may come in the order of its classes.
    chosen = torch.linspace(0, len(held_out.images) - 1, min(count, len(held_out.images))).long()
    return torch.stack([sources[chosen], model.translate(sources[chosen]), held_out.images[chosen]], 1).flatten(0, 1)


def load_like(model: Model, split: str, data_dir: Path | None, progress: Progress, **changes: Any) -> Dataset:
    """Data in the shape in which the model was trained on them, with ``changes`` to its recipe's ``data`` section."""
    section = model.recipe.data.model_copy(update={"only_class": None, **changes})
    return load_for(section, split=split, data_dir=data_dir, progress=progress)


def _held_out(model: Model, data: str | None, data_dir: Path | None, progress: Progress) -> tuple[Dataset, Tensor]:
    """Pairs that the model has not seen, in its shape; and their sources."""
    name = data or model.data_name or ""
    held_out = data is None or name in DATASETS or _has_held_out(path_of(name))
    found = load_like(model, "test" if held_out else "train", data_dir, progress, name=name)
    if not held_out:
        found = replace(found, split="all")
    assert found.sources is not None
    return found, found.sources


def _has_held_out(path: Path) -> bool:
    try:
        layout.listing(open_source(path), "test")
    except (UsageError, OSError):
        return False
    return True
