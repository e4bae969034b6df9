"""Which file is faster, by what ratio, and how certain that is, from reports made in the same way.

    six or more reports of each file   rounds of `ab`, paired: the median of their ratios, resampled by rounds
    fewer                              the ratio of the medians of all samples, resampled by samples
    counts                             the ratio of instructions, exact where counting is

An interval from resampled samples does not cover differences between processes. `ab` covers them by measuring
in turn.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.reports.report import CountReport, LatencyReport, Report
from benchmarks.reports.statistics import (
    LEAST_PAIRS,
    RESAMPLES,
    SEED,
    Interval,
    bootstrap_median,
    interval,
    resampled_median,
)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The ratio of two files."""

    faster: tuple[int, ...]
    """The numbers of the faster file's reports on the page, from 1."""
    slower: tuple[int, ...]
    """The numbers of the slower file's reports."""
    times: float
    """The time, or the instructions, of the slower file divided by that of the faster."""
    interval: Interval | None
    """The interval of `times`; None for counts."""
    counted: bool
    paired: bool = False
    """True if the files were measured in turn."""

    @property
    def decided(self) -> bool:
        """True if the interval excludes "no difference"."""
        return self.interval is None or self.interval.low > 1


def ratios(reports: Sequence[Report]) -> tuple[Ratio, ...]:
    """The ratio of the fastest file to each other one, for every group of reports made in the same way.

    Reports without a result, and groups of one file, are left out.
    """
    groups: dict[object, dict[object, list[tuple[int, Report]]]] = {}
    for number, report in enumerate(reports, 1):
        if isinstance(report, LatencyReport) and report.unsteady:
            continue
        made = (report.kind, *sorted(report.conditions.items()))
        file = (report.subject.sha256, report.engine.arithmetic)
        groups.setdefault(made, {}).setdefault(file, []).append((number, report))
    return tuple(ratio for group in groups.values() for ratio in _group(list(group.values())))


def _group(files: Sequence[Sequence[tuple[int, Report]]]) -> list[Ratio]:
    ordered = sorted(files, key=lambda file: _typical([report for _, report in file]))
    return [_ratio(ordered[0], other) for other in ordered[1:]]


def _typical(reports: Sequence[Report]) -> float:
    counts = [report.counts.instructions for report in reports if isinstance(report, CountReport)]
    return statistics.median(counts or _pooled(reports))


def _pooled(reports: Sequence[Report]) -> list[float]:
    return [ms for report in reports if isinstance(report, LatencyReport) for ms in report.samples_ms]


def _ratio(faster: Sequence[tuple[int, Report]], slower: Sequence[tuple[int, Report]]) -> Ratio:
    numbers = tuple(n for n, _ in faster), tuple(n for n, _ in slower)
    quick, slow = ([report for _, report in side] for side in (faster, slower))
    counted = isinstance(quick[0], CountReport)
    paired = not counted and len(quick) == len(slower) >= LEAST_PAIRS
    if paired:
        each = [_typical([b]) / _typical([a]) for a, b in zip(quick, slow, strict=True)]
        times, sure = statistics.median(each), bootstrap_median(each, seed=SEED)
    else:
        times = _typical(slow) / _typical(quick)
        sure = None if counted else _resampled(_pooled(quick), _pooled(slow))
    return Ratio(
        faster=numbers[0], slower=numbers[1], times=times, interval=sure, counted=counted, paired=paired
    )


def _resampled(quick_ms: Sequence[float], slow_ms: Sequence[float]) -> Interval:
    """The interval of the ratio of medians; 0 to infinity if a side has one sample, which has no spread."""
    if min(len(quick_ms), len(slow_ms)) < 2:
        return Interval(low=0.0, high=float("inf"))
    source = random.Random(SEED)
    quick, slow = sorted(quick_ms), sorted(slow_ms)
    return interval(
        [resampled_median(slow, source) / resampled_median(quick, source) for _ in range(RESAMPLES)]
    )
