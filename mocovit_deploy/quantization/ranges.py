"""Choose the range of a value from its statistics; numbers outside are clipped to its ends.

minmax       the smallest and the largest observed number, so that nothing is clipped
percentile   all but one number in ten thousand, at either end
mse          the range whose rounding and clipping together have the least squared error on the histogram

No rule is the best for every network. Least squared error sacrifices the rare large values of hard-swish
networks for the common small ones, but it also clips large values that a Ghost network needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mocovit_deploy.artifacts.artifact import Array

if TYPE_CHECKING:
    from mocovit_deploy.quantization.observe import Observed

Range = tuple[float, float]

CLIPPED = 1e-4
"""The share of numbers that `percentile` clips at either end."""
LEVELS = 255
SHRINKS = np.linspace(0.3, 1.0, 29)
"""Fractions of the observed range that `mse` tries, for both ends together and for each alone."""


def minmax(observed: Observed) -> Range:
    """The smallest and the largest number."""
    return observed.low, observed.high


def percentile(observed: Observed) -> Range:
    """The range without the share `CLIPPED` of numbers at either end."""
    total = np.cumsum(observed.counts) / max(int(observed.counts.sum()), 1)
    centres = observed.centres
    low = float(centres[int(np.searchsorted(total, CLIPPED))])
    high = float(centres[min(int(np.searchsorted(total, 1 - CLIPPED)), len(centres) - 1)])
    return low, high


def mse(observed: Observed) -> Range:
    """The range [low f, high g] with the least squared error, for f and g in `SHRINKS`."""
    low, high = min(observed.low, 0.0), max(observed.high, 0.0)
    if not high > low or not np.isfinite([low, high]).all():
        return low, high
    tried = [(f, g) for f in SHRINKS for g in (f, 1.0)] + [(1.0, f) for f in SHRINKS]
    ends = np.array([(low * f, high * g) for f, g in tried])
    numbers, weights = observed.centres, observed.counts
    used = weights > 0
    errors = _squared_errors(numbers[used], weights[used], ends)
    # Of ranges with equal errors the widest, which clips least.
    best = min(range(len(ends)), key=lambda i: (errors[i], ends[i][0] - ends[i][1]))
    return float(ends[best][0]), float(ends[best][1])


def _squared_errors(numbers: Array, weights: Array, ends: Array) -> Array:
    """Mean squared error of rounding `numbers` to 256 levels in each of `ends`, (ranges,)."""
    scale = (ends[:, 1] - ends[:, 0])[:, None] / LEVELS
    offset = np.round(ends[:, :1] / scale)
    levels = np.clip(np.round(numbers[None] / scale), offset, offset + LEVELS)
    errors: Array = ((levels * scale - numbers[None]) ** 2 @ weights) / weights.sum()
    return errors


RULES: Mapping[str, Callable[[Observed], Range]] = {"minmax": minmax, "percentile": percentile, "mse": mse}
