"""Two modes in samples: times that cluster around two values, which one median cannot describe.

The sorted samples are cut where the variance between the two sides is largest (Otsu 1979). The sides are
modes if Ashman's D is large (Ashman, Bird and Zepf 1994), if neither side is only a few outliers, and if
their distance is large enough to matter:

    D = sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2)

A normal distribution cut in this way has D = 2.6, a uniform one 3.5, so both are below `LEAST_D`.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SAMPLES = 30
LEAST_D = 4.5
LEAST_SHARE = 0.1
"""The least share of the samples in the smaller mode; fewer are outliers, which have their own advice."""
LEAST_DISTANCE = 0.02
"""The least distance of the modes, as a share of the lower one."""


@dataclass(frozen=True, kw_only=True)
class TwoModes:
    """The medians of both modes, and the share of the higher one."""

    low_ms: float
    """The median of the lower mode."""
    high_ms: float
    """The median of the higher mode."""
    high_share: float
    """The share of the samples in the higher mode."""


def two_modes(samples_ms: Sequence[float]) -> TwoModes | None:
    """The two modes of samples; None if there are not two."""
    count = len(samples_ms)
    if count < LEAST_SAMPLES:
        return None
    ordered = sorted(samples_ms)
    cut = _cut(ordered)
    low, high = ordered[:cut], ordered[cut:]
    if min(len(low), len(high)) < LEAST_SHARE * count:
        return None
    apart = statistics.fmean(high) - statistics.fmean(low)
    width = math.sqrt(statistics.pvariance(low) + statistics.pvariance(high))
    if apart < LEAST_DISTANCE * statistics.fmean(low) or math.sqrt(2) * apart < LEAST_D * width:
        return None
    return TwoModes(
        low_ms=statistics.median(low), high_ms=statistics.median(high), high_share=len(high) / count
    )


def _cut(ordered: Sequence[float]) -> int:
    """The number of sorted samples on the lower side of the cut with the largest variance between sides."""
    count, total = len(ordered), math.fsum(ordered)
    between = [
        below * (count - below) * (lower / below - (total - lower) / (count - below)) ** 2
        for below, lower in enumerate(itertools.accumulate(ordered[:-1]), 1)
    ]
    return max(range(len(between)), key=between.__getitem__) + 1
