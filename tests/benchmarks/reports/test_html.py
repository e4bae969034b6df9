"""The HTML page: well formed, self-contained, escaped, for every kind of report."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.cli.main import main
from benchmarks.reports import file as reports
from benchmarks.reports.html.document import html_page, write_page
from benchmarks.reports.html.plots import bars, samples_over_time
from benchmarks.reports.html.svg import coordinate, ticks
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

EVIL = Subject(
    file="<script>alert(1)</script>&\"'.tflite", sha256="a" * 64, format="tflite", recipe="fp32", model="<b>"
)
_VOID = {"meta"}


class _Balanced(HTMLParser):
    """Fails for an element that is not closed, or closed by another's end; keeps attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self.seen.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> _Balanced:
    parser = _Balanced()
    parser.feed(text)
    assert parser.open == []
    return parser


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
    found = parsed(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.seen)
    assert not [
        name for name, _ in found.attributes if name in ("src", "href", "srcset") or name.startswith("on")
    ]
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text
    assert "&lt;script&gt;" in text
    assert "prefers-color-scheme: dark" in text
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)  # noqa: S314 - our own output


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
    assert text.count("<h3>Distribution,") == 2


def test_no_result_is_said_first(latency_report: Callable[..., LatencyReport]) -> None:
    assert "No result." in html_page([latency_report(unsteady="it throttled")])


def test_plots_take_a_single_sample() -> None:
    ElementTree.fromstring(samples_over_time([Round(samples_ms=(3.0,), sampling_from_s=0.0)]))  # noqa: S314
    ElementTree.fromstring(bars([("a", 0.0, "0")], kind="c", label="<none> \"'"))  # noqa: S314


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.32, 0.41, 4) == pytest.approx([0.34, 0.36, 0.38, 0.4]) or len(ticks(0.32, 0.41, 4)) >= 2
    assert ticks(3, 3, 5) == [3]
    with pytest.raises(ValueError, match="no coordinate"):
        coordinate(float("nan"))


def test_reports_become_a_page(
    tmp_path: Path, latency_report: Callable[..., LatencyReport], capsys: pytest.CaptureFixture[str]
) -> None:
    kept, html = tmp_path / "r.json", tmp_path / "r.html"
    reports.write_reports(kept, [in_rounds(latency_report)])
    assert main(["page", str(kept), "--output", str(html)]) == 0
    parsed(html.read_text())
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(tmp_path / "no" / "r.html", [latency_report()])


def test_reports_of_one_file_are_told_apart(latency_report: Callable[..., LatencyReport]) -> None:
    text = html_page([latency_report(), latency_report(target="host")])
    for name in ("1. net.tflite", "2. net.tflite"):
        assert f"<h2>{name}</h2>" in text
        assert f"<td>{name}</td>" in text
        assert f"{name}: p50" in text
    assert "<h2>net.tflite</h2>" in html_page([latency_report()])


def test_the_axis_of_times_is_close_to_samples_that_lie_together() -> None:
    together = samples_over_time([Round(samples_ms=(10.0, 10.2, 10.4), sampling_from_s=1.0)])
    assert ">0<" not in together.replace(">0</text>", "", 1)  # one zero: that of the seconds
    assert ">warm-up<" in together
    apart = samples_over_time([Round(samples_ms=(1.0, 10.0), sampling_from_s=0.0)])
    assert apart.count(">0</text>") == 2
    assert "warm" not in apart
