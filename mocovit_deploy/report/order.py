"""Intervals from order statistics, which ask nothing of the distribution. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

NORMAL_95 = 1.959964
"""The standard normal distribution's 97.5 % quantile."""


def percentile_bounds(samples: Sequence[float], percent: float) -> tuple[float, float] | None:
    """The 95 % interval of a percentile; None where it would end beyond the samples.

    The number of samples below the percentile is binomial (David and Nagaraja, Order Statistics, 7.1), here
    by its normal approximation.
    """
    share, count = percent / 100, len(samples)
    middle, reach = count * share, NORMAL_95 * math.sqrt(count * share * (1 - share))
    first, last = math.floor(middle - reach), math.ceil(middle + reach)
    if first < 0 or last >= count:
        return None
    ordered = sorted(samples)
    return ordered[first], ordered[last]
