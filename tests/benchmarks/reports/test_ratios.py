"""Which is faster: said where it is known, and not where it is not."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable

import pytest

from benchmarks.reports.html.document import html_page
from benchmarks.reports.ratios import ratios
from benchmarks.reports.report import CountReport, LatencyReport, Subject
from benchmarks.reports.statistics import percentile, percentile_interval

OTHER = Subject(file="b.tflite", sha256="b" * 64, format="tflite", recipe="fp16", model="net")


def samples(middle: float, seed: int, count: int = 100) -> tuple[float, ...]:
    source = random.Random(seed)
    return tuple(source.gauss(middle, 0.05 * middle) for _ in range(count))


def test_a_difference_is_said_with_its_interval(latency_report: Callable[..., LatencyReport]) -> None:
    slow = latency_report(samples_ms=samples(13, 1))
    quick = latency_report(samples_ms=samples(10, 2), subject=OTHER)
    (found,) = ratios([slow, quick])
    assert (found.faster, found.slower) == ((2,), (1,))
    assert found.interval is not None
    assert found.interval.low < 1.3 < found.interval.high
    assert re.search(r"2 is 1\.3\d times faster than 1, 1\.29 to 1\.34\.", html_page([slow, quick]))


def test_no_difference_is_said_to_be_none(latency_report: Callable[..., LatencyReport]) -> None:
    pair = [
        latency_report(samples_ms=samples(10, 1)),
        latency_report(samples_ms=samples(10, 2), subject=OTHER),
    ]
    assert not ratios(pair)[0].decided
    assert "No difference between" in html_page(pair)


def test_one_sample_decides_nothing(latency_report: Callable[..., LatencyReport]) -> None:
    pair = [latency_report(samples_ms=(10.0,)), latency_report(samples_ms=(20.0,), subject=OTHER)]
    assert not ratios(pair)[0].decided
    assert "one sample decides nothing" in html_page(pair)


def test_what_was_measured_otherwise_is_not_compared(latency_report: Callable[..., LatencyReport]) -> None:
    pair = [latency_report(), latency_report(subject=OTHER, target="host")]
    assert ratios(pair) == ()
    assert "not measured in the same way: they differ in target (adb and host)" in html_page(pair)
    assert ratios([latency_report(), latency_report(subject=OTHER, unsteady="hot")]) == ()


def test_rounds_in_turn_are_paired(latency_report: Callable[..., LatencyReport]) -> None:
    """The device slows down fourfold while it is measured: pairs do not see it, pooled samples would."""
    slow = [latency_report(samples_ms=samples(12 * (1 + n / 2), n, 40)) for n in range(6)]
    quick = [latency_report(samples_ms=samples(10 * (1 + n / 2), 9 + n, 40), subject=OTHER) for n in range(6)]
    (found,) = ratios([*slow, *quick])
    assert found.paired
    assert found.faster == (7, 8, 9, 10, 11, 12)
    assert found.interval is not None
    assert 1.1 < found.interval.low < 1.2 < found.interval.high < 1.3
    assert "7 to 12 is" in html_page([*slow, *quick])


def test_counts_compare_exactly(count_report: Callable[..., CountReport]) -> None:
    pair = [count_report(1700), count_report(1000, subject=OTHER)]
    assert "2 executes 1.7 times fewer instructions than 1." in html_page(pair)


@pytest.mark.parametrize("percent", [50, 90])
def test_intervals_of_percentiles_hold_the_truth(percent: int) -> None:
    source, held = random.Random(5), 0
    for _ in range(400):
        drawn = [source.random() for _ in range(100)]
        sure = percentile_interval(drawn, percent)
        assert sure is not None
        assert sure.low <= percentile(drawn, percent) <= sure.high
        held += sure.low <= percent / 100 <= sure.high
    assert held / 400 >= 0.93
    assert percentile_interval(drawn, 99) is None


def test_a_file_in_two_arithmetics_is_two(latency_report: Callable[..., LatencyReport]) -> None:
    engine = dataclasses.replace(latency_report().engine, arithmetic="fp16")
    assert len(ratios([latency_report(), latency_report(engine=engine, samples_ms=samples(5, 1))])) == 1
