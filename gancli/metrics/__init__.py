"""Metrics: pure functions of features, images or numbers, one file a family.

To add a metric of image sets, write one function of :class:`gancli.metrics.base.Sets` and one row of :data:`METRICS`.
Other packages add theirs by entry points of the group ``gancli.metrics``, each of which leads to a
:class:`gancli.metrics.base.Metric` of that name; tests and notebooks by ``registry.add("metric", name, metric)``.

KID is torch-fidelity's. Its FID takes half a minute for a thousand features, and its precision and recall computes
distances one by one: here both come from decompositions and matrix products, which give density and coverage too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from statistics import fmean

from torch import Tensor

from gancli import registry
from gancli.errors import UsageError, nearest
from gancli.metrics import classes
from gancli.metrics import images as of_images
from gancli.metrics import numbers as of_numbers
from gancli.metrics.base import SHARE, Figure, Metric, Sets
from gancli.metrics.kid import kid
from gancli.metrics.moments import diversity, fid
from gancli.metrics.neighbours import memorisation
from gancli.metrics.wasserstein import sliced
from gancli.plugins import offered


def _of_values(measure: Callable[[Tensor, Tensor], float]) -> Callable[[Sets], float]:
    """A metric of features alone."""
    return lambda sets: measure(sets.real.values, sets.generated.values)


def _manifold(name: str) -> Callable[[Sets], float]:
    return lambda sets: sets.manifolds[name]


def _class_fid(sets: Sets) -> float:
    """The mean over classes of the FID within each; not a number where no class has one."""
    found = [figure for figure in sets.class_fids if figure is not None]
    return fmean(found) if found else float("nan")


_POSITIVE = (0, inf)

METRICS = {
    metric.name: metric
    for metric in (
        Metric("fid", "FID", "lower", 4, _of_values(fid), limits=_POSITIVE),
        Metric("kid", "KID", "lower", 6, _of_values(kid)),
        Metric("precision", "precision", "higher", 3, _manifold("precision"), limits=SHARE),
        Metric("recall", "recall", "higher", 3, _manifold("recall"), limits=SHARE),
        Metric("density", "density", "higher", 3, _manifold("density"), limits=_POSITIVE),
        Metric("coverage", "coverage", "higher", 3, _manifold("coverage"), limits=SHARE, needs_held_out=True),
        Metric(
            "memorisation",
            "memorisation",
            "lower",
            3,
            lambda sets: memorisation(sets.to_training[0], sets.to_training[2]),
            floor=0.5,
            limits=SHARE,
            needs_held_out=True,
        ),
        Metric("imbalance", "imbalance", "lower", 3, classes.imbalance, limits=SHARE, needs_classes=True),
        Metric("class-fid", "class FID", "lower", 4, _class_fid, limits=_POSITIVE, within_classes=True),
        Metric("modes", "modes", "higher", 0, classes.modes, limits=_POSITIVE, needs_classes=True),
        Metric("score", "score", "higher", 3, classes.inception_score, limits=(1, inf), needs_classes=True),
        Metric("swd", "SWD", "lower", 4, _of_values(sliced), limits=_POSITIVE),
        Metric("diversity", "diversity", "higher", 3, _of_values(diversity), limits=_POSITIVE),
    )
}

_TABLES = of_numbers.FIGURES, of_images.FIGURES, of_images.ROUND_TRIPS, classes.FIGURES, METRICS.values()
FIGURES: dict[str, Figure] = {figure.name: figure for table in _TABLES for figure in table}
"""Every figure that reports may hold, but those of other packages. Numbers and images share the names of two, which are
shown alike."""


def usual() -> list[str]:
    """The metrics that are measured unless some are named: all but those of entry points."""
    return [*METRICS, *(name for name in registry.names("metric") if name not in METRICS)]


def choose(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, each once, in the order in which they are named.

    Raises:
        UsageError: an unknown name, or none at all.
        GancliError: another package offers it, and it cannot be loaded.
    """
    chosen = tuple(dict.fromkeys(names))
    known = [*usual(), *offered("metric")]
    for name in chosen:
        if name not in known:
            raise UsageError(f"unknown metric '{name}'", nearest(name, known))
    if not chosen:
        raise UsageError("no metric was named", f"one or more of: {', '.join(known)}")
    ours = usual()
    return tuple(registry.get("metric", n) if n in ours else registry.plugin("metric", n, Metric) for n in chosen)


def measure(metrics: Sequence[Metric], sets: Sets) -> dict[str, float]:
    """All figures by name."""
    return {m.name: m.measure(sets.with_held_out if m.needs_held_out else sets) for m in metrics}
