"""Plans and reports: what they refuse, and that what is written is read back, or refused with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reports import file as report
from benchmarks.reports.counts import HotBlock, Tick, parse_plugin_output, typical
from benchmarks.reports.plan import Plan, counting_plan
from benchmarks.reports.report import (
    CountedOperator,
    CountReport,
    LatencyReport,
    Modelled,
    TimedOperator,
    tool_versions,
)
from benchmarks.reports.statistics import summarise
from mocovit_deploy.errors import DeviceError, UsageError
from mocovit_deploy.targets import OutsideDelegate, Partitions

MODELLED = Modelled(
    modelled_ms=7.2,
    device="snapdragon_855",
    core="cortex-a76",
    clock_hz=2_841_600_000,
    bound_ms=5.6,
    factor=1.278,
    source="somewhere",
    error_band_percent=49.0,
)
PARTITIONS = Partitions(
    delegate="XNNPACK",
    count=2,
    operators_inside=60,
    outside=(OutsideDelegate(kind="HARD_SWISH", count=1, reason=""),),
)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"runtime": "liter"}, "did you mean 'litert'"),
        ({"cpu": "max"}, "choose from cortex-a76"),
        ({"threads": 0}, "threads is 0"),
        ({"runs": 0}, "runs is 0"),
        ({"warmup_runs": -1}, "warmup_runs -1"),
        ({"min_s": float("nan")}, "min_s is nan"),
        ({"warmup_min_s": -1.0}, "warmup_min_s is -1"),
        ({"deadline_s": 3.0}, "raise --deadline-s"),
    ],
)
def test_plan_that_cannot_be_measured(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Plan(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"samples_ms": ()},
        {"samples_ms": (1.0, float("nan"))},
        {"samples_ms": (1.0, 0.0)},
        {"warmup_ms": (float("inf"),)},
    ],
)
def test_samples_that_are_no_times(
    latency_report: Callable[..., LatencyReport], changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"sample|warmup"):
        latency_report(**changes)


def test_latency_report_survives_the_disk(
    latency_report: Callable[..., LatencyReport], tmp_path: Path
) -> None:
    operator = TimedOperator(index=3, kind="CONV_2D", where="features.0", partition=0, mean_ms=0.5)
    full = latency_report(
        partitions=PARTITIONS,
        operators=(operator,),
        operators_by_kind={"CONV_2D": 3},
        warnings=("hot",),
        tools=tool_versions(),
    )
    path = tmp_path / "report.json"
    report.write_reports(path, [full, latency_report(peak_memory_bytes=None)])
    assert report.read_reports(path) == (full, latency_report(peak_memory_bytes=None))
    written = json.loads(path.read_text())["reports"][0]
    assert written["summary"]["p50_ms"] == summarise(full.samples_ms).p50_ms


def test_count_report_survives_the_disk(count_report: Callable[..., CountReport], tmp_path: Path) -> None:
    operator = CountedOperator(index=0, kind="CONV_2D", where="stem", partition=None, instructions=9)
    full = count_report(partitions=PARTITIONS, operators=(operator,), modelled=MODELLED)
    path = tmp_path / "report.json"
    report.write_reports(path, [full])
    assert report.read_reports(path) == (full,)


def test_count_report_has_no_place_for_a_measured_time(count_report: Callable[..., CountReport]) -> None:
    text = report.reports_json([count_report(modelled=MODELLED)])
    assert "latency" not in text.lower()
    document = json.loads(text)["reports"][0]
    assert document["emulated"] is True
    assert not [name for name in document if name.endswith(("_ms", "_s"))]


def test_counts_must_be_those_of_a_run(count_report: Callable[..., CountReport]) -> None:
    with pytest.raises(ValueError, match="not those of any run"):
        count_report(1000, instructions_by_run=(999, 1001))


@pytest.mark.parametrize(
    ("plan", "repeatable"),
    [
        (counting_plan(), True),
        (counting_plan(runtime="tflite"), True),
        (counting_plan(runtime="onnxruntime"), False),
        (counting_plan(threads=2), False),
    ],
)
def test_what_repeats(count_report: Callable[..., CountReport], plan: Plan, repeatable: bool) -> None:
    assert count_report(plan=plan).repeatable is repeatable


def damaged(document: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    *path, last = place.split(".")
    target: Any = document
    for step in path:
        target = target[int(step)] if step.isdecimal() else target[step]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("schema_version", 9, "report schema 9, this version reads 3"),
        ("reports", [], "holds no reports"),
        ("reports.0.kind", "times", "neither 'latency' nor 'counts'"),
        ("reports.0.samples_ms", [], r"reports\[0\]: a latency report needs a sample"),
        ("reports.0.samples_ms", [1.0, "2"], r"reports\[0\].samples_ms\[1\]: '2' does not fit"),
        ("reports.0.samples_ms", [True], r"samples_ms\[0\]"),
        ("reports.0.load_ms", None, "missing or unknown: load_ms"),
        ("reports.0.average_ms", 1.0, "missing or unknown: average_ms"),
        ("reports.0.plan.threads", 1.5, "plan.threads"),
        ("reports.0.plan.runtime", "torch", "unknown runtime"),
        ("reports.0.peak_memory_bytes", "much", "peak_memory_bytes"),
    ],
)
def test_damaged_reports_are_refused_with_the_place(
    latency_report: Callable[..., LatencyReport], tmp_path: Path, place: str, value: Any, complaint: str
) -> None:
    document = damaged(json.loads(report.reports_json([latency_report()])), place, value)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=complaint):
        report.read_reports(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "null", '{"schema_version": NaN}', "\xff"])
def test_files_that_are_no_reports(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"report\.json"):
        report.read_reports(path)


def test_absent_files(tmp_path: Path, latency_report: Callable[..., LatencyReport]) -> None:
    with pytest.raises(UsageError, match="no such file"):
        report.read_reports(tmp_path / "absent.json")
    with pytest.raises(UsageError, match="cannot be written"):
        report.write_reports(tmp_path / "absent" / "report.json", [latency_report()])


def plugin_output(count_report: Callable[..., CountReport], **changes: Any) -> dict[str, Any]:
    from benchmarks.reports.schema import plain

    region = plain(count_report().counts)
    region["hottest"] = [plain(HotBlock(address="0x1", executions=1, instructions=1, words=("d503201f",)))]
    region["ticks"] = [plain(Tick(number=1, instructions=2, cycle_bounds_x24={"cortex-a76": 3}))]
    return {"schema_version": 1, "unbalanced_marks": 0, "regions": [region], **changes}


def test_plugin_output_is_read(count_report: Callable[..., CountReport]) -> None:
    (region,) = parse_plugin_output(plugin_output(count_report), "here").regions
    assert region.cycle_bound("cortex-a76") == 1000 / 3
    assert region.total_macs == 0
    assert (region.ticks[0].number, region.hottest[0].words) == (1, ("d503201f",))


def test_wrong_sums_are_refused(count_report: Callable[..., CountReport]) -> None:
    document = plugin_output(count_report)
    document["regions"][0]["instructions"] += 1
    with pytest.raises(UsageError, match="classes add up to 1000, not 1001"):
        parse_plugin_output(document, "here")
    del document["regions"][0]["by_class"]["branch"]
    with pytest.raises(UsageError, match="not those of this version"):
        parse_plugin_output(document, "here")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema_version": 0}, "build it again"),
        ({"unbalanced_marks": 1}, "left open"),
        ({"regions": []}, "ended before its first inference"),
    ],
)
def test_plugin_output_that_is_none(
    count_report: Callable[..., CountReport], changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DeviceError, match=complaint):
        parse_plugin_output(plugin_output(count_report, **changes), "here")


def test_typical_region_is_the_median(count_report: Callable[..., CountReport]) -> None:
    regions = tuple(count_report(n).counts for n in (5, 1, 9, 3))
    assert typical(regions).instructions == 3
