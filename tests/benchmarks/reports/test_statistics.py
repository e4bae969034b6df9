"""Statistics against numbers worked out by hand, and against numpy where it has the same definition."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.reports.plan import Plan
from benchmarks.reports.report import Device, Engine, LatencyReport, Subject
from benchmarks.reports.statistics import (
    bootstrap_median,
    mad,
    paired,
    percentile,
    pool,
    resampled_median,
    summarise,
)
from mocovit_deploy.errors import UsageError

samples = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=60)


def test_percentiles_by_hand() -> None:
    assert [percentile([4, 1, 3, 2], p) for p in (0, 50, 90, 100)] == pytest.approx([1, 2.5, 3.7, 4])
    assert percentile([7], 99) == 7


@given(samples, st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), rel=1e-9)


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_percentile_of_nothing_is_an_error(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_mad_by_hand() -> None:
    assert mad([1, 1, 2, 2, 4, 6, 9]) == 1  # the textbook example: median 2, deviations 0 0 1 1 2 4 7


def test_one_sample_has_no_deviation_rather_than_none_at_all() -> None:
    summary = summarise([5.0])
    assert summary.mad_ms is None
    assert summary.median_interval_ms is None
    assert (summary.samples, summary.min_ms, summary.p99_ms, summary.mean_ms) == (1, 5, 5, 5)


def test_equal_samples_do_have_a_deviation_of_zero() -> None:
    assert summarise([5.0, 5.0]).mad_ms == 0.0


def test_summary_by_hand() -> None:
    summary = summarise([float(n) for n in range(1, 102)])
    assert (summary.min_ms, summary.p50_ms, summary.p90_ms) == (1, 51, 91)
    assert (summary.p95_ms, summary.p99_ms, summary.mean_ms, summary.mad_ms) == (96, 100, 51, 25)


def test_interval_is_seeded_and_holds_the_median() -> None:
    values = np.random.default_rng(0).normal(10, 1, 40).tolist()
    one, two = bootstrap_median(values, seed=0), bootstrap_median(values, seed=0)
    assert one == two
    assert one is not None
    assert one.low <= statistics.median(values) <= one.high
    assert one != bootstrap_median(values, seed=1)


def test_interval_covers_as_often_as_it_says() -> None:
    """200 experiments of 40 normal samples: the true median is inside in about 95 % of them."""
    draw = np.random.default_rng(0)
    inside = 0
    for n in range(200):
        interval = bootstrap_median(draw.normal(10, 1, 40).tolist(), seed=n)
        assert interval is not None
        inside += interval.low <= 10 <= interval.high
    assert 180 <= inside <= 199


@pytest.mark.parametrize("size", [2, 3, 9, 10])
def test_a_resampled_median_is_that_of_real_draws(size: int) -> None:
    """Its distribution against medians of samples really drawn: each value as often, within 4 sigma."""
    values = [float(n * n) for n in range(size)]
    source, many = random.Random(1), 20_000
    short = Counter(resampled_median(values, source) for _ in range(many))
    real = Counter(statistics.median(source.choices(values, k=size)) for _ in range(many))
    for value in short | real:
        share = (short[value] + real[value]) / (2 * many)
        sigma = math.sqrt(2 * share * (1 - share) / many)
        assert abs(short[value] - real[value]) / many <= 4 * sigma + 1e-9, value


def test_a_million_samples_take_no_hour() -> None:
    values = [float(n % 1000) for n in range(1_000_000)]
    begun = time.process_time()
    found = bootstrap_median(values, seed=0)
    assert time.process_time() - begun < 10
    assert found is not None
    assert found.low <= statistics.median(values) <= found.high
    assert found.high - found.low < 5


def test_pairs_cancel_drift() -> None:
    """B is 1 ms slower on a machine that slows down by 5 ms meanwhile; the order is A B B A."""
    order = [position for n in range(10) for position in ((4 * n, 4 * n + 1), (4 * n + 3, 4 * n + 2))]
    a_ms = [10 + 0.125 * a for a, _ in order]
    b_ms = [11 + 0.125 * b for _, b in order]
    found = paired(a_ms, b_ms)
    assert found.median_difference_ms == pytest.approx(1.0)
    assert found.decided
    assert found.ratio > 1


def test_no_difference_is_not_decided() -> None:
    assert not paired([10.0, 10.2, 9.9, 10.1], [10.1, 10.1, 10.0, 9.9]).decided


def test_one_round_decides_nothing() -> None:
    found = paired([10.0], [20.0])
    assert found.interval_ms is None
    assert not found.decided


@pytest.mark.parametrize(("rounds", "decided"), [(3, False), (5, False), (6, True)])
def test_few_pairs_decide_nothing_however_they_fall(rounds: int, decided: bool) -> None:
    found = paired([10.0] * rounds, [11.0 + 0.1 * n for n in range(rounds)])
    assert found.decided == decided


def test_unequal_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        paired([1.0, 2.0], [1.0])


def test_samples_of_one_kind_are_pooled(latency_report: Callable[..., LatencyReport]) -> None:
    one = latency_report(samples_ms=(1.0, 2.0))
    assert pool([one, latency_report(samples_ms=(3.0,))]) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("target", "host", "target"),
        ("device", Device(facts={"soc": "SM8250"}), "device soc"),
        ("plan", Plan(threads=2), "plan threads"),
        ("engine", Engine(runtime="litert", version="2.2.0", build="b" * 64, arithmetic="fp32"), "runtime"),
        ("engine", Engine(runtime="litert", version="2.3.0", build="c" * 64, arithmetic="fp32"), "build"),
        (
            "engine",
            Engine(runtime="litert", version="2.3.0", build="b" * 64, arithmetic="fp16"),
            "arithmetic",
        ),
        ("subject", Subject(file="o", sha256="d" * 64, format="tflite", recipe="fp32", model="o"), "file"),
    ],
)
def test_samples_of_two_kinds_are_not(
    latency_report: Callable[..., LatencyReport], field: str, value: object, named: str
) -> None:
    other = dataclasses.replace(latency_report(), **{field: value})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"not merged: .*{named}"):
        pool([latency_report(), other])


def test_nothing_to_pool() -> None:
    with pytest.raises(UsageError, match="no reports"):
        pool([])
