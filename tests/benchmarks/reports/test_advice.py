"""Advice is given for what it names, and a quiet measurement gets none."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from benchmarks.reports.advice import advise
from benchmarks.reports.modes import two_modes
from benchmarks.reports.report import LatencyReport

QUIET = tuple(10 + 0.02 * (n * 7 % 11) for n in range(60))

CASES = [
    pytest.param(QUIET[:5], "raise --runs", id="few"),
    pytest.param((*QUIET[:30], 90.0, *QUIET[30:]), "1 of 61 samples are far", id="outlier"),
    pytest.param(
        tuple(10.0 + (n % 2) * 4 for n in range(31)), "the median is only known to be 10 to 14 ms", id="wide"
    ),
    pytest.param(tuple(10 * 1.01**n for n in range(60)), "let it cool down", id="heating"),
    pytest.param(tuple(20 / 1.01**n for n in range(60)), "warm up longer than 10 runs and 1 s", id="clocks"),
]


@pytest.mark.parametrize("kind", ["normal", "uniform", "lognormal", "exponential", "coarse"])
def test_one_mode_is_not_called_two(kind: str) -> None:
    source = random.Random(0)
    draw = {
        "normal": lambda: source.gauss(10, 1),
        "uniform": lambda: source.uniform(9, 11),
        "lognormal": lambda: 10 * source.lognormvariate(0, 0.3),
        "exponential": lambda: 10 + source.expovariate(1),
        "coarse": lambda: 10 + 0.001 * source.randrange(2),
    }[kind]
    assert not any(two_modes([draw() for _ in range(100)]) for _ in range(100))


@pytest.mark.parametrize("share", [0.15, 0.5, 0.8])
def test_two_modes_are_found(share: float) -> None:
    source = random.Random(1)
    samples = [source.gauss(12 if source.random() < share else 10, 0.2) for _ in range(200)]
    found = two_modes(samples)
    assert found is not None
    assert found.high_share == pytest.approx(share, abs=0.1)
    assert (found.low_ms, found.high_ms) == (pytest.approx(10, abs=0.1), pytest.approx(12, abs=0.1))


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
