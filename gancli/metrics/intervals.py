"""Prediction intervals: where the figure of a further set of images lies in 95 of 100 cases."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

MOST_SETS = 30


def prediction(values: Sequence[float]) -> tuple[float, float]:
    """The interval in which a further independent value lies in 95 of 100 cases.

    Mean plus and minus t s sqrt(1 + 1/n) of n normal values of standard deviation s, with the 0.975 quantile of
    Student's t at n - 1 degrees of freedom (Hahn & Meeker 1991, "Statistical intervals", section 4.6).

    Args:
        values: from independent sets of images, 2 to 30.
    """
    from scipy.stats import t

    count, mean = len(values), statistics.fmean(values)
    reach = float(t.ppf(0.975, count - 1)) * statistics.stdev(values) * math.sqrt(1 + 1 / count)
    return mean - reach, mean + reach
