"""Prediction intervals: where the figure of a further set of images lies in 95 of 100 cases."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

MOST_SETS = 30


def _reach(variance: float, count: int) -> float:
    """Half the width of the interval: the 0.975 quantile of Student's t times the standard deviation."""
    from scipy.stats import t

    return float(t.ppf(0.975, count - 1)) * math.sqrt(variance)


def prediction(values: Sequence[float]) -> tuple[float, float]:
    """The interval in which a further independent value lies in 95 of 100 cases.

    Mean plus and minus t s sqrt(1 + 1/n) of n normal values of standard deviation s, with the 0.975 quantile of
    Student's t at n - 1 degrees of freedom (Hahn & Meeker 1991, "Statistical intervals", section 4.6).

    Args:
        values: from independent sets of images, 2 to 30.
    """
    count, mean = len(values), statistics.fmean(values)
    reach = _reach(statistics.variance(values) * (1 + 1 / count), count)
    return mean - reach, mean + reach


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
    count = len(values)
    reach = _reach(2 * (count - 1) * statistics.pvariance(values), count)
    return value - reach, value + reach
