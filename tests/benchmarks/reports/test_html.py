"""The HTML page: well formed, self-contained, escaped, for every kind of report."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pages import require_whole_page

from benchmarks.cli.main import main
from benchmarks.reports import file as reports
from benchmarks.reports.html.document import html_page, write_page
from benchmarks.reports.html.plots import samples_over_time
from benchmarks.reports.report import (
    CountedOperator,
    CountReport,
    LatencyReport,
    Modelled,
    Subject,
    TimedOperator,
)
from benchmarks.reports.rounds import PhoneReading, Round
from mocovit_deploy.errors import UsageError
from mocovit_deploy.report.svg import coordinate, ticks

EVIL = Subject(
    file="<script>alert(1)</script>&\"'.tflite", sha256="a" * 64, format="tflite", recipe="fp32", model="<b>"
)


def in_rounds(make: Callable[..., LatencyReport]) -> LatencyReport:
    readings = tuple(PhoneReading(at_s=0.1 * n, khz=2841600 - n, celsius=30.0 + n) for n in range(5))
    good = Round(samples_ms=(10.0, 10.1, 10.2), sampling_from_s=0.01, readings=readings)
    bad = Round(samples_ms=(14.0,), sampling_from_s=0.01, rejected="the clock <dropped>")
    return make(rounds=(good, bad), samples_ms=good.samples_ms)


def test_a_page_of_everything_is_whole_and_alone(
    latency_report: Callable[..., LatencyReport], count_report: Callable[..., CountReport]
) -> None:
    timed = TimedOperator(index=0, kind="CONV<2D>", where="a & b", partition=None, mean_ms=0.5)
    counted = CountedOperator(index=0, kind="CONV_2D", where="stem", partition=None, instructions=9)
    text = html_page(
        [
            latency_report(subject=EVIL, warnings=("<i>hot</i>",), operators=(timed,), target="host"),
            in_rounds(latency_report),
            latency_report(unsteady="4 rounds were rejected"),
            count_report(operators=(counted,)),
        ]
    )
    require_whole_page(text)
    assert "&lt;script&gt;" in text
    assert "prefers-color-scheme: dark" in text


def test_a_page_of_counts_does_not_speak_of_latency(count_report: Callable[..., CountReport]) -> None:
    modelled = Modelled(
        modelled_ms=7.2,
        device="snapdragon_855",
        core="cortex-a76",
        clock_hz=2_841_600_000,
        bound_ms=5.6,
        factor=1.278,
        source="somewhere",
        error_band_percent=49.0,
    )
    text = html_page([count_report(modelled=modelled)]).lower()
    assert "latency" not in text
    assert "not measured" in text
    assert "off by up to 49 %" in text


def test_rejected_rounds_are_shown_and_named(latency_report: Callable[..., LatencyReport]) -> None:
    text = html_page([in_rounds(latency_report)])
    assert 'class="void"' in text
    assert "round 2: the clock &lt;dropped&gt;" in text
    assert "GHz" in text


def test_devices_do_not_share_an_axis(latency_report: Callable[..., LatencyReport]) -> None:
    text = html_page([latency_report(), latency_report(target="host"), latency_report(target="host")])
    assert text.count("Distribution, ") == 2 * 2  # headings and links


def test_no_result_is_said_first(latency_report: Callable[..., LatencyReport]) -> None:
    assert "No result." in html_page([latency_report(unsteady="it throttled")])


def test_plots_take_a_single_sample() -> None:
    ElementTree.fromstring(samples_over_time([Round(samples_ms=(3.0,), sampling_from_s=0.0)]))  # noqa: S314


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.32, 0.41, 4) == pytest.approx([0.34, 0.36, 0.38, 0.4]) or len(ticks(0.32, 0.41, 4)) >= 2
    assert ticks(3, 3, 5) == [3]
    with pytest.raises(ValueError, match="not a coordinate"):
        coordinate(float("nan"))


def test_reports_become_a_page(
    tmp_path: Path, latency_report: Callable[..., LatencyReport], capsys: pytest.CaptureFixture[str]
) -> None:
    kept, html = tmp_path / "r.json", tmp_path / "r.html"
    reports.write_reports(kept, [in_rounds(latency_report)])
    assert main(["page", str(kept), "--output", str(html)]) == 0
    require_whole_page(html.read_text())
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(tmp_path / "no" / "r.html", [latency_report()])


def test_reports_of_one_file_are_told_apart(latency_report: Callable[..., LatencyReport]) -> None:
    text = html_page([latency_report(), latency_report(target="host")])
    for n in (1, 2):
        assert f"</a>{n}. net.<wbr>tflite</h2>" in text
        assert f'<a href="#report-{n}">{n}. net.<wbr>tflite</a>' in text
        assert f"{n}. net.tflite: 10.2 ms" in text


def test_the_title_says_what_is_shown(
    latency_report: Callable[..., LatencyReport], count_report: Callable[..., CountReport]
) -> None:
    assert "<title>net: fp32 tflite, timed on SM8150</title>" in html_page([latency_report()])
    other = dataclasses.replace(EVIL, model="net", recipe="fp16", file="b.tflite")
    text = html_page([count_report(), count_report(2000, subject=other)])
    assert '<h1 id="top">net: fp32 tflite against fp16 tflite, counted on an emulated cortex-a76</h1>' in text


def test_no_figure_is_finer_than_its_interval(latency_report: Callable[..., LatencyReport]) -> None:
    source = random.Random(3)
    samples = tuple(source.gauss(7.1234567, 0.8) for _ in range(200))
    text = html_page([latency_report(samples_ms=samples)])
    assert "<b>7.0 ms</b><span>median</span>" in text
    assert "p99" not in text
    assert "<b>6.9 to 7.1 ms</b><span>the median lies in, 95 %</span>" in text
    assert ">p99</span>" in html_page([latency_report(samples_ms=samples * 5)])


def test_warnings_stand_above_figures(latency_report: Callable[..., LatencyReport]) -> None:
    text = html_page([latency_report(warnings=("it was <hot>",))])
    assert text.index("it was &lt;hot&gt;") < text.index('class="figures"')


def test_two_modes_are_said(latency_report: Callable[..., LatencyReport]) -> None:
    assert "two modes: 67 % of the samples near 7 ms, 33 % near 9 ms" in html_page(
        [latency_report(samples_ms=(7.0, 7.01, 9.0) * 20)]
    )


def test_ten_reports_are_a_small_page(latency_report: Callable[..., LatencyReport]) -> None:
    source = random.Random(0)
    operators = tuple(
        TimedOperator(
            index=n,
            kind="Convolution (NHWC, F32) IGEMM",
            where=f"blocks.{n % 16}.conv.{n}",
            partition=0,
            mean_ms=0.1,
        )
        for n in range(300)
    )
    report = latency_report(samples_ms=tuple(source.gauss(7, 0.3) for _ in range(2000)), operators=operators)
    assert len(html_page([report] * 2)) < 400_000 / 5


def test_the_axis_of_times_is_close_to_samples_that_lie_together() -> None:
    together = samples_over_time([Round(samples_ms=(10.0, 10.2, 10.4), sampling_from_s=1.0)])
    assert ">0<" not in together.replace(">0</text>", "", 1)  # one zero: that of the seconds
    assert ">warm-up<" in together
    apart = samples_over_time([Round(samples_ms=(1.0, 10.0), sampling_from_s=0.0)])
    assert apart.count(">0</text>") == 2
    assert "warm" not in apart
