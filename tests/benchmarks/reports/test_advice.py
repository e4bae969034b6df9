"""Advice is given for what it names, and a quiet measurement gets none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.reports.advice import advise
from benchmarks.reports.report import LatencyReport

QUIET = tuple(10 + 0.02 * (n * 7 % 11) for n in range(60))

CASES = [
    pytest.param(QUIET[:5], "raise --runs", id="few"),
    pytest.param((*QUIET[:30], 90.0, *QUIET[30:]), "1 of 61 samples are far", id="outlier"),
    pytest.param(tuple(10.0 + (n % 2) * 4 for n in range(31)), "the median is only known to", id="wide"),
    pytest.param(tuple(10 * 1.01**n for n in range(60)), "let it cool down", id="heating"),
    pytest.param(tuple(20 / 1.01**n for n in range(60)), "warm up longer than 10 runs and 1 s", id="clocks"),
]


def test_quiet(latency_report: Callable[..., LatencyReport]) -> None:
    assert advise(latency_report(samples_ms=QUIET)) == []


@pytest.mark.parametrize(("samples_ms", "said"), CASES)
def test_said(latency_report: Callable[..., LatencyReport], samples_ms: tuple[float, ...], said: str) -> None:
    assert any(said in note for note in advise(latency_report(samples_ms=samples_ms)))


def test_coarse_clock_makes_no_outliers(latency_report: Callable[..., LatencyReport]) -> None:
    """Most samples equal: the MAD is 0, and the few others must not all be called outliers."""
    notes = advise(latency_report(samples_ms=(*(10.0,) * 40, 10.1, 10.1)))
    assert not any("far from the median" in note for note in notes)


def test_one_sample(latency_report: Callable[..., LatencyReport]) -> None:
    assert len(advise(latency_report(samples_ms=(10.0,)))) == 1
