"""Metrics: pure functions of what an extractor sees in real and generated images.

FID and KID are torch-fidelity's. Its precision and recall takes distances one by one, and twice those between the sets:
here they come from matrix products, each once, and give density and coverage too, which it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, nan
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.errors import nearest as nearest_name

if TYPE_CHECKING:
    from gancli.evaluation.features import Features

DIRECTIONS = 500
"""That features are projected on for the sliced Wasserstein distance."""
KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
NEIGHBOURS = 3
"""That a ball of precision and recall reaches to."""
WIDER = 5
"""Neighbours that a ball of density and coverage reaches to, as in their paper."""
BLOCK = 250
"""Rows of a matrix of distances that are in memory at a time."""
ROUNDING = 1e-6
"""Squared distances below this share of the squared lengths are the rounding of float32: the features are the same."""
SMALLEST = WIDER + 1
"""Images a side without which a metric is not defined: a sample and its neighbours."""
SAMPLES_PER_FEATURE = 10
"""Below this, the covariance that FID takes is mostly noise."""


@dataclass(frozen=True)
class Sets:
    """What figures are taken of.

    Attributes:
        real: the held-out images.
        generated: those to be judged.
        training: gives the features (M, D) of the images that were trained on; called where a metric needs them.
        told: the classes int64 (N,) of the held-out images and those that the generated ones were asked for, where both
            are known; None leaves both to what the extractor reads.
        usual: gives the squared distance (N,) of each held-out image to its nearest training image, where somebody
            keeps them; None has them searched for.
    """

    real: Features
    generated: Features
    training: Callable[[], Tensor]
    told: tuple[Tensor, Tensor] | None = None
    usual: Callable[[], Tensor] | None = None

    @cached_property
    def to_training(self) -> tuple[Tensor, Tensor, Tensor]:
        """Squared distance of each generated image to the nearest training image, that one's number, and the squared
        distance of each held-out image to its own."""
        training = self.training()
        distances, numbers = nearest(self.generated.values, training)
        usual = self.usual() if self.usual else nearest(self.real.values, training)[0]
        return distances, numbers, usual

    def without(self, part: int, parts: int) -> Sets:
        """The same without one part of the generated images: every so many, from the one of that number on."""
        kept = torch.arange(len(self.generated.values)) % parts != part
        made, told = self.generated, None if self.told is None else (self.told[0], self.told[1][kept])
        made = replace(made, values=made.values[kept], probabilities=made.probabilities[kept])
        fewer = replace(self, generated=made, told=told)
        if "to_training" in self.__dict__:
            # The longest search of all is not made again.
            distances, numbers, held_out = self.to_training
            fewer.__dict__["to_training"] = (distances[kept], numbers[kept], held_out)
        return fewer

    @cached_property
    def class_fids(self) -> tuple[float | None, ...]:
        """FID of each class: see :func:`class_fids`."""
        classes = self.told or (self.real.classes, self.generated.classes)
        return class_fids(self.real.values, self.generated.values, *classes, self.real.probabilities.shape[1])


@dataclass(frozen=True)
class Metric:
    """A named figure.

    Attributes:
        name: how reports and ``--metrics`` call it.
        title: how the table heads it.
        better: which direction is good.
        digits: decimals in the table.
        measure: gives figures by name, this one among them: some come several in one pass.
        floor: what held-out images get by definition; None where training images in the place of generated ones tell.
        limits: the least and the greatest figure that there can be.
        by_class: whether it is measured within classes, and so depends on how these are known.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    digits: int
    measure: Callable[[Sets], dict[str, float]]
    floor: float | None = None
    limits: tuple[float, float] = (-inf, inf)
    by_class: bool = False


def fid(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Fréchet distance between the Gaussians fitted to both sets of features.

    |m - m_g|^2 + tr(C + C_g - 2 (C C_g)^(1/2)), with means m and covariances C: Heusel et al. 2017, "GANs trained by a
    two time-scale update rule converge to a local Nash equilibrium", equation 6. Biased upwards when images are few.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    # In float32 the means alone would be off in the fourth digit.
    statistics = [fid_features_to_statistics(features.double()) for features in (generated, real)]
    return {"fid": fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]}


def class_fids(
    real: Tensor, generated: Tensor, real_classes: Tensor, generated_classes: Tensor, count: int
) -> tuple[float | None, ...]:
    """FID of the generated images of each class against the real images of that class.

    The "intra FID" of Miyato & Koyama 2018, "cGANs with projection discriminator", section 5. Where fewer than two
    images of a class were generated, all generated images stand in their place: to leave a class out must not pay.

    Args:
        real: features (N, D).
        generated: features (M, D).
        real_classes: int64 (N,).
        generated_classes: int64 (M,).
        count: how many classes there are.

    Returns:
        One figure a class, None for a class with fewer than two real images.
    """
    found: list[float | None] = []
    for number in range(count):
        one, other = real[real_classes == number], generated[generated_classes == number]
        found.append(frechet(one, other if len(other) > 1 else generated) if len(one) > 1 else None)
    return tuple(found)


def frechet(real: Tensor, generated: Tensor) -> float:
    """The distance of :func:`fid`, a hundred times as fast, for many of them.

    tr((C C_g)^(1/2)) is the sum of the singular values of R^T S, where C = R R^T and C_g = S S^T: the eigenvalues of
    C C_g are the squares of these. No square root of a matrix is taken that is not symmetric.
    """
    one, other = real.double(), generated.double()
    roots, spread = [], 0.0
    for values in (one, other):
        covariance = values.T.cov()
        lengths, directions = torch.linalg.eigh(covariance)
        # Rounding leaves eigenvalues just below 0, where images are fewer than features.
        roots.append(directions * lengths.clamp_min(0).sqrt())
        spread += float(covariance.trace())
    apart = (one.mean(0) - other.mean(0)).square().sum()
    return float(apart + spread - 2 * torch.linalg.svdvals(roots[0].T @ roots[1]).sum())


def by_class(sets: Sets) -> dict[str, float]:
    """The mean over classes of the FID within each (see :func:`class_fids`); not a number where no class has any."""
    found = [figure for figure in sets.class_fids if figure is not None]
    return {"class-fid": fmean(found) if found else nan}


def kid(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, the mean over 100 random subsets of 1000.

    Bińkowski et al. 2018, "Demystifying MMD GANs", section 4; unbiased, so that small negative values are right where
    the sets are alike. A side with fewer images than a subset makes the subsets as small as itself.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    size = min(KID_SUBSET_SIZE, len(real), len(generated))
    # Every subset is the whole set where neither side has images to leave out.
    subsets = 1 if size == len(real) == len(generated) else KID_SUBSETS
    figures = kid_features_to_metric(
        # The small difference of large means: float32 would leave two or three digits of a small KID.
        generated.double(),
        real.double(),
        kid_subsets=subsets,
        kid_subset_size=size,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=0,
        verbose=False,
    )
    return {"kid": figures[KEY_METRIC_KID_MEAN]}


def manifolds(real: Tensor, generated: Tensor) -> dict[str, float]:
    """How realistic the generated set is, and how much of the real set it covers, each by two definitions.

    A set's manifold is the union of balls around its features. With balls that reach to the third nearest neighbour,
    precision is the share of generated features inside the real manifold, recall the share of real features inside the
    generated one: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models",
    equations 1 and 2. An outlier's ball is large and counts much there; less so in Naeem et al. 2020, "Reliable
    fidelity and diversity metrics for generative models", section 3, with balls that reach to the fifth neighbour:
    density is how many real balls a generated feature lies in, on average and over 5, which may exceed 1 (equation 3);
    coverage is the share of real balls with a generated feature in them (equation 4).
    """
    # Distances keep more digits when the features lie around the origin.
    centre = real.mean(0)
    real, generated = real - centre, generated - centre
    (narrow, wide), (reach, _) = _radii(real), _radii(generated)
    realistic, inside = [], 0
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    for part, radii in zip(generated.split(BLOCK), reach.split(BLOCK), strict=True):
        distances = _distances(part, real)
        realistic.append((distances <= narrow).any(1))
        recalled |= (distances <= radii[:, None]).any(0)
        within = distances <= wide
        covered |= within.any(0)
        inside += int(within.sum())
    return {
        "precision": float(torch.cat(realistic).double().mean()),
        "recall": float(recalled.double().mean()),
        "density": inside / (WIDER * len(generated)),
        "coverage": float(covered.double().mean()),
    }


def _distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Squared distances (N, M) of features (N, D) and (M, D); exactly 0 between the same ones."""
    lengths = rows.square().sum(1, keepdim=True) + columns.square().sum(1)
    squares = torch.addmm(lengths, rows, columns.T, alpha=-2)
    return squares.masked_fill_(squares < ROUNDING * lengths, 0)


def _radii(features: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances (N,) of each of the features (N, D) to its third and fifth nearest neighbour."""
    found = []
    for start, part in zip(range(0, len(features), BLOCK), features.split(BLOCK), strict=True):
        distances = _distances(part, features)
        distances.diagonal(start).fill_(torch.inf)
        found.append(distances.topk(WIDER, largest=False).values[:, [NEIGHBOURS - 1, WIDER - 1]])
    narrow, wide = torch.cat(found).unbind(1)
    return narrow, wide


def sliced(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Sliced Wasserstein distance: how far features must move along a random direction, the mean over 500 of them.

    The first Wasserstein distance of both sets' projections: Bonneel et al. 2015, "Sliced and Radon Wasserstein
    barycenters of measures", section 3, with directions of one fixed seed.
    """
    directions = torch.randn(real.shape[1], DIRECTIONS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions /= directions.norm(dim=0)
    one, other = ((values.double() @ directions).sort(0).values for values in (real, generated))
    # Where both sets' sorted values step, as shares of a whole: between two steps both quantile functions are constant.
    steps = torch.cat([torch.arange(1, len(side) + 1, dtype=torch.float64) / len(side) for side in (one, other)])
    steps = steps.unique()
    widths = steps.diff(prepend=steps.new_zeros(1))
    middle = steps - widths / 2
    rows = [(middle * len(side)).long().clamp_max(len(side) - 1) for side in (one, other)]
    return {"swd": float((widths[:, None] * (one[rows[0]] - other[rows[1]]).abs()).sum(0).mean())}


def diversity(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Mean squared distance of two generated features as a share of that of two real ones: 0 for one image repeated."""
    one, other = (values.double().var(0).sum() for values in (real, generated))
    return {"diversity": float(other / one)}


def score(sets: Sets) -> dict[str, float]:
    """How surely each image is of one class while all together are of all: exp of the mean KL(p(y|x) || p(y)).

    Salimans et al. 2016, "Improved techniques for training GANs", section 4, with the extractor's own classes in the
    place of Inception's, over the whole set (Barratt & Sharma 2018, "A note on the Inception score", on splits).
    """
    given = sets.generated.probabilities.double()
    overall = given.mean(0)
    divergence = torch.xlogy(given, given).sum(1) - torch.xlogy(given, overall).sum(1)
    return {"score": float(divergence.mean().exp())}


def imbalance(sets: Sets) -> dict[str, float]:
    """Share of the images that would have to be of another class for the classes to be as often as in real images.

    Total variation distance between the shares of the classes, as the extractor reads them; 0 to 1.
    """
    count = sets.real.probabilities.shape[1]
    one, other = (
        torch.bincount(side.classes, minlength=count) / len(side.classes) for side in (sets.real, sets.generated)
    )
    return {"imbalance": float((one.double() - other.double()).abs().sum() / 2)}


def modes(sets: Sets) -> dict[str, float]:
    """How many of the classes there are images of, as the extractor reads them; on stacked MNIST, the modes of 1,000.

    Metz et al. 2017, "Unrolled generative adversarial networks", section 3.3.1.
    """
    return {"modes": float(len(sets.generated.classes.unique()))}


def memorisation(sets: Sets) -> dict[str, float]:
    """The chance that a generated image is nearer to its nearest training image than a held-out image is to its own.

    0.5 for images like held-out ones, 1 for copies, 0 for images far from all: Meehan et al. 2020, "A non-parametric
    test to detect data-copying in generative models", section 3, the Mann-Whitney statistic of the whole space.
    """
    made, _, held_out = sets.to_training
    one, other = made.sort().values, held_out.sort().values
    below = torch.searchsorted(other, one).double()
    equal = torch.searchsorted(other, one, right=True) - below
    return {"memorisation": float(1 - ((below + equal / 2) / len(other)).mean())}


def nearest(features: Tensor, stock: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance (N,) of each of the features (N, D) to the nearest of a stock (M, D), and its number (N,)."""
    centre = stock.mean(0)
    features, stock = features - centre, stock - centre
    found = [_distances(part, stock).min(1) for part in features.split(BLOCK)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def _of_values(measure: Callable[[Tensor, Tensor], dict[str, float]]) -> Callable[[Sets], dict[str, float]]:
    """A metric of features alone."""
    return lambda sets: measure(sets.real.values, sets.generated.values)


SHARE = (0.0, 1.0)

# One function, so that what comes in one pass is measured once.
_manifolds = _of_values(manifolds)

METRICS = {
    metric.name: metric
    for metric in (
        Metric("fid", "FID", "lower", 4, _of_values(fid), limits=(0, inf)),
        Metric("kid", "KID", "lower", 6, _of_values(kid)),
        Metric("precision", "precision", "higher", 3, _manifolds, limits=SHARE),
        Metric("recall", "recall", "higher", 3, _manifolds, limits=SHARE),
        Metric("density", "density", "higher", 3, _manifolds, limits=(0, inf)),
        Metric("coverage", "coverage", "higher", 3, _manifolds, limits=SHARE),
        Metric("memorisation", "memorisation", "lower", 3, memorisation, floor=0.5, limits=SHARE),
        Metric("imbalance", "imbalance", "lower", 3, imbalance, limits=SHARE),
        Metric("class-fid", "class FID", "lower", 4, by_class, limits=(0, inf), by_class=True),
        Metric("modes", "modes", "higher", 0, modes, limits=(0, inf)),
        Metric("score", "score", "higher", 3, score, limits=(1, inf)),
        Metric("swd", "SWD", "lower", 4, _of_values(sliced), limits=(0, inf)),
        Metric("diversity", "diversity", "higher", 3, _of_values(diversity), limits=(0, inf)),
    )
}


OF_MODELS = ("path",)
"""Figures that are measured of a model, not of a set of its images: see :mod:`gancli.evaluation.smoothness`."""


def choose(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, each once, in the order in which they are named, without those of models.

    Raises:
        UsageError: an unknown name, or none at all.
    """
    chosen = tuple(dict.fromkeys(names))
    known = [*METRICS, *OF_MODELS]
    for name in chosen:
        if name not in known:
            raise UsageError(f"unknown metric '{name}'", nearest_name(name, known))
    if not chosen:
        raise UsageError("no metric was named", f"one or more of: {', '.join(known)}")
    return tuple(METRICS[name] for name in chosen if name in METRICS)


def measure(metrics: Sequence[Metric], sets: Sets) -> dict[str, float]:
    """All figures by name; what one pass gives for several metrics is computed once."""
    figures: dict[str, float] = {}
    for metric in metrics:
        if metric.name not in figures:
            figures |= metric.measure(sets)
    return {metric.name: figures[metric.name] for metric in metrics}
