"""Statistics of raw samples, computed on demand. Plain Python."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.reports.report import LatencyReport, differing_conditions
from mocovit_deploy.errors import UsageError
from mocovit_deploy.report.order import percentile_bounds

RESAMPLES = 2000
SEED = 0
CONFIDENCE = 0.95
LEAST_FOR_P99 = 1000
"""The least number of samples for a 99th percentile: of fewer, the slowest hundredth is below 10 samples."""
LEAST_PAIRS = 6
"""The least pairs that decide. Five fall all on one side by chance in over 5 % of cases (2 * 0.5^5)."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval, from the percentiles of a bootstrap."""

    low: float
    high: float
    confidence: float = CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class SampleSummary:
    """Statistics of one report's samples, in milliseconds.

    The spread of one sample is None, because it is unknown and not zero.
    """

    samples: int
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    mad_ms: float | None
    """Median absolute deviation from the median."""
    median_interval_ms: Interval | None


def percentile(samples: Sequence[float], percent: float) -> float:
    """The `percent`-th percentile, linear between neighbours (method 7 of Hyndman and Fan 1996, numpy's).

    Raises `ValueError` without samples or for a percentage outside 0..100.
    """
    if not samples or not 0 <= percent <= 100:
        raise ValueError(f"no {percent}-th percentile of {len(samples)} samples")
    ordered = sorted(samples)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def mad(samples: Sequence[float]) -> float | None:
    """Median absolute deviation from the median; None for fewer than two samples."""
    if len(samples) < 2:
        return None
    middle = statistics.median(samples)
    return statistics.median(abs(sample - middle) for sample in samples)


def bootstrap_median(samples: Sequence[float], *, seed: int) -> Interval | None:
    """The percentile bootstrap interval of the median (Efron 1979); None for fewer than two samples.

    The same samples and seed give the same interval on every machine.
    """
    if len(samples) < 2:
        return None
    ordered, source = sorted(samples), random.Random(seed)
    return interval([resampled_median(ordered, source) for _ in range(RESAMPLES)])


def percentile_interval(samples: Sequence[float], percent: float) -> Interval | None:
    """The interval of a percentile from order statistics; None if it would end beyond the samples."""
    bounds = percentile_bounds(samples, percent)
    return None if bounds is None else Interval(low=bounds[0], high=bounds[1])


def interval(values: Sequence[float]) -> Interval:
    """The interval that holds the middle `CONFIDENCE` of resampled values."""
    tail = 100 * (1 - CONFIDENCE) / 2
    return Interval(low=percentile(values, tail), high=percentile(values, 100 - tail))


def resampled_median(ordered: Sequence[float], source: random.Random) -> float:
    """The median of n draws with replacement from n sorted samples, computed without making the draws.

    A draw is the sample at a uniform place in (0, 1). So the middle draw is the sample at the middle one of n
    uniform places, which is Beta distributed. For an even n, the next place is the least of the places above
    (David and Nagaraja, Order Statistics, 2.1 and 2.5). A fast file has a million samples; drawing each of
    them 2000 times would take an hour.
    """
    n = len(ordered)
    below = (n + 1) // 2
    place = source.betavariate(below, n + 1 - below)
    middle = ordered[min(int(place * n), n - 1)]
    if n % 2:
        return middle
    least = 1 - source.random() ** (1 / (n - below))
    return (middle + ordered[min(int((place + (1 - place) * least) * n), n - 1)]) / 2


def summarise(samples_ms: Sequence[float], *, seed: int = SEED) -> SampleSummary:
    """All statistics of samples. Raises `ValueError` without samples."""
    return SampleSummary(
        samples=len(samples_ms),
        min_ms=min(samples_ms),
        p50_ms=percentile(samples_ms, 50),
        p90_ms=percentile(samples_ms, 90),
        p95_ms=percentile(samples_ms, 95),
        p99_ms=percentile(samples_ms, 99),
        mean_ms=statistics.fmean(samples_ms),
        mad_ms=mad(samples_ms),
        median_interval_ms=bootstrap_median(samples_ms, seed=seed),
    )


def pool(reports: Sequence[LatencyReport]) -> tuple[float, ...]:
    """The samples of several reports as one list. Raises `UsageError` unless all conditions and files match.

    Samples of two devices, runtimes, builds, plans or files are two populations, and a percentile of their
    mixture describes neither.
    """
    if not reports:
        raise UsageError("no reports to merge")
    first, *others = reports
    for other in others:
        differing = differing_conditions(first, other)
        if first.subject.sha256 != other.subject.sha256:
            differing.append(f"file ({first.subject.file} and {other.subject.file})")
        if first.engine.arithmetic != other.engine.arithmetic:
            differing.append(f"arithmetic ({first.engine.arithmetic} and {other.engine.arithmetic})")
        if differing:
            raise UsageError(f"these reports differ and are not merged: {'; '.join(differing)}")
    return tuple(ms for report in reports for ms in report.samples_ms)


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The difference of B and A, from rounds that measured both in turn."""

    rounds: int
    median_difference_ms: float
    """The median of B - A: positive if B is slower."""
    interval_ms: Interval | None
    """The interval of that median; None for one round."""
    ratio: float
    """The median of B / A."""

    @property
    def decided(self) -> bool:
        """True if there are at least `LEAST_PAIRS` pairs, and the interval excludes "no difference"."""
        excluded = self.interval_ms is not None and not self.interval_ms.low <= 0 <= self.interval_ms.high
        return excluded and self.rounds >= LEAST_PAIRS


def paired(a_ms: Sequence[float], b_ms: Sequence[float], *, seed: int = SEED) -> PairedDifference:
    """Compare A and B, measured in the order A B B A, by pairs of medians.

    `a_ms[n]` and `b_ms[n]` were measured one after the other, so slow drifts (temperature, clocks) are in
    both and cancel. Swapping the order in every other pair cancels the drift within a pair.
    Raises `ValueError` for lists of different lengths, and for empty lists.
    """
    if len(a_ms) != len(b_ms) or not a_ms:
        raise ValueError(f"{len(a_ms)} and {len(b_ms)} samples make no pairs")
    differences_ms = [b - a for a, b in zip(a_ms, b_ms, strict=True)]
    return PairedDifference(
        rounds=len(a_ms),
        median_difference_ms=statistics.median(differences_ms),
        interval_ms=bootstrap_median(differences_ms, seed=seed),
        ratio=statistics.median(b / a for a, b in zip(a_ms, b_ms, strict=True)),
    )
