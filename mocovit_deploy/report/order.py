"""Confidence intervals of percentiles and shares that hold for any distribution. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

NORMAL_95 = 1.959964
"""The standard normal distribution's 97.5 % quantile."""


def percentile_bounds(samples: Sequence[float], percent: float) -> tuple[float, float] | None:
    """The 95 % interval of a percentile; None if it would end beyond the samples.

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


def share_bounds(count: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share that was observed as `count` of `total` (Wilson 1927)."""
    z2 = NORMAL_95**2
    share = count / total
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    reach = NORMAL_95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)
