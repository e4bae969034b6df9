"""What looks unstable in a report, why it may be, and what to do about it: advice, never an error."""

from __future__ import annotations

import statistics

from benchmarks.reports.report import LatencyReport
from benchmarks.reports.statistics import summarise
from benchmarks.reports.text import ms

FEW_SAMPLES = 10

OUTLIER_MADS = 14.826
"""A sample this many MADs from the median is an outlier: a modified z-score of 10, 1.4826 being the ratio of
standard deviation to MAD of normal data (Iglewicz and Hoaglin 1993; hyperfine's threshold)."""

WIDE_INTERVAL = 0.05
"""Share of the median above which its interval is worth a word."""

DRIFT = 0.05
"""Share by which the last third of the samples may differ from the first."""


def advise(report: LatencyReport) -> list[str]:
    """One sentence for each thing seen, with the option that cures it; empty for a quiet measurement."""
    return [*_few(report), *_outliers(report), *_wide(report), *_drift(report)]


def _few(report: LatencyReport) -> list[str]:
    samples = len(report.samples_ms)
    if samples >= FEW_SAMPLES:
        return []
    return [f"{samples} samples say little about p90 and p99: raise --runs"]


def _outliers(report: LatencyReport) -> list[str]:
    summary = summarise(report.samples_ms)
    if not summary.mad_ms:  # one sample; or a clock so coarse that every other sample would be far away
        return []
    far = OUTLIER_MADS * summary.mad_ms
    outliers = sum(abs(ms - summary.p50_ms) > far for ms in report.samples_ms)
    if not outliers:
        return []
    seen = f"{outliers} of {summary.samples} samples are far from the median"
    return [f"{seen}; other programs may have run: close them, or measure on a quiet machine"]


def _wide(report: LatencyReport) -> list[str]:
    summary = summarise(report.samples_ms)
    interval = summary.median_interval_ms
    if interval is None or interval.high - interval.low <= WIDE_INTERVAL * summary.p50_ms:
        return []
    return [f"the median is only known to {ms(interval.low)} to {ms(interval.high)} ms: raise --runs"]


def _drift(report: LatencyReport) -> list[str]:
    third = len(report.samples_ms) // 3
    if third < FEW_SAMPLES // 2:
        return []
    early = statistics.median(report.samples_ms[:third])
    late = statistics.median(report.samples_ms[-third:])
    moved = f"from {ms(early)} to {ms(late)} ms while it ran"
    if late > early * (1 + DRIFT):
        return [f"it slowed down {moved}; the device may be getting hot: let it cool down"]
    if early > late * (1 + DRIFT):
        warmup = f"{report.plan.warmup_runs} runs and {report.plan.warmup_min_s:g} s"
        return [f"it sped up {moved}; clocks may still have been rising: warm up longer than {warmup}"]
    return []
