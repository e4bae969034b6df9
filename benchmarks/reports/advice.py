"""Advice on unstable samples: what was seen, why it may be, and what to do. It is never an error."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.reports.modes import two_modes
from benchmarks.reports.report import LatencyReport
from benchmarks.reports.statistics import SampleSummary, summarise
from mocovit_deploy.report.digits import between, rough

FEW_SAMPLES = 10

OUTLIER_MADS = 14.826
"""A sample further than this number of MADs from the median is an outlier: a modified z-score of 10, because
1.4826 is the ratio of standard deviation to MAD of normal data (Iglewicz and Hoaglin 1993; hyperfine's
threshold)."""

WIDE_INTERVAL = 0.05
"""An interval of the median wider than this share of the median is reported."""

DRIFT = 0.05
"""The share by which the median of the last third of samples may differ from that of the first third."""


def advise(report: LatencyReport) -> list[str]:
    """One sentence for each finding, with the option to change; empty for a quiet measurement."""
    summary = summarise(report.samples_ms)
    return [
        *_few(report),
        *_modes(report),
        *_outliers(summary, report.samples_ms),
        *_wide(summary),
        *_drift(report),
    ]


def _few(report: LatencyReport) -> list[str]:
    samples = len(report.samples_ms)
    if samples >= FEW_SAMPLES:
        return []
    return [f"{samples} samples say little about p90 and p99: raise --runs"]


def _modes(report: LatencyReport) -> list[str]:
    found = two_modes(report.samples_ms)
    if found is None:
        return []
    high = 100 * found.high_share
    low_said, high_said = (f"{rough(value)} ms" for value in (found.low_ms, found.high_ms))
    seen = f"two modes: {100 - high:.0f} % of the samples near {low_said}, {high:.0f} % near {high_said}"
    return [f"{seen}; the median describes neither: look at the clock, and at what else ran"]


def _outliers(summary: SampleSummary, samples_ms: Sequence[float]) -> list[str]:
    if not summary.mad_ms:  # one sample, or a clock so coarse that most samples are equal
        return []
    far = OUTLIER_MADS * summary.mad_ms
    outliers = sum(abs(ms - summary.p50_ms) > far for ms in samples_ms)
    if not outliers:
        return []
    seen = f"{outliers} of {summary.samples} samples are far from the median"
    return [f"{seen}; other programs may have run: close them, or measure on a quiet machine"]


def _wide(summary: SampleSummary) -> list[str]:
    interval = summary.median_interval_ms
    if interval is None or interval.high - interval.low <= WIDE_INTERVAL * summary.p50_ms:
        return []
    return [f"the median is only known to be {between(interval.low, interval.high)} ms: raise --runs"]


def _drift(report: LatencyReport) -> list[str]:
    third = len(report.samples_ms) // 3
    if third < FEW_SAMPLES // 2:
        return []
    early = statistics.median(report.samples_ms[:third])
    late = statistics.median(report.samples_ms[-third:])
    moved = f"from {rough(early)} to {rough(late)} ms while it ran"
    if late > early * (1 + DRIFT):
        return [f"it slowed down {moved}; the device may be getting hot: let it cool down"]
    if early > late * (1 + DRIFT):
        warmup = f"{report.plan.warmup_runs} runs and {report.plan.warmup_min_s:g} s"
        return [f"it sped up {moved}; clocks may still have been rising: warm up longer than {warmup}"]
    return []
