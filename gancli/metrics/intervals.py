"""Prediction intervals: where the figure of a further set of images lies in 95 of 100 cases."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

MOST_SETS = 30
_QUANTILES = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
    2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963,
    2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230,
)  # fmt: skip
"""Of Student's t at 0.975, for 1 to 29 degrees of freedom."""


def prediction(values: Sequence[float]) -> tuple[float, float]:
    """The interval in which a further independent value lies in 95 of 100 cases.

    Mean plus and minus t s sqrt(1 + 1/n) of n normal values of standard deviation s, with the 0.975 quantile of
    Student's t at n - 1 degrees of freedom (Hahn & Meeker 1991, "Statistical intervals", section 4.6).

    Args:
        values: from independent sets of images, 2 to 30.
    """
    count = len(values)
    reach = _QUANTILES[count - 2] * statistics.stdev(values) * math.sqrt(1 + 1 / count)
    middle = statistics.fmean(values)
    return middle - reach, middle + reach


def left_out(value: float, values: Sequence[float]) -> tuple[float, float]:
    """The same interval from a single set, by how much its figure changes when each of its parts is left out in turn.

    The delete-a-group jackknife: a variance of (g - 1) / g times the sum of squares around the mean of the g figures
    (Efron & Tibshirani 1993, "An introduction to the bootstrap", section 11.7, with groups in the place of single
    values), twice, for this set and for the further one. No image is drawn twice, as a bootstrap would: copies are each
    other's nearest neighbours.

    Args:
        value: of the whole set.
        values: of the set without each of its parts, 2 to 30.
    """
    count, middle = len(values), statistics.fmean(values)
    variance = (count - 1) / count * sum((each - middle) ** 2 for each in values)
    reach = _QUANTILES[count - 2] * math.sqrt(2 * variance)
    return value - reach, value + reach
