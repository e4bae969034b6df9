"""`compare`: exact for exact counts, by medians for times, and never between what does not compare."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.reports.compare import compare_reports, describe_comparison, parse_bar, refuse_slower
from benchmarks.reports.plan import Plan, counting_plan
from benchmarks.reports.report import CountReport, Device, Engine, LatencyReport, Subject
from mocovit_deploy.errors import SlowerError, UsageError

Latency = Callable[..., LatencyReport]
Count = Callable[..., CountReport]


def subject(file: str, sha256: str = "e") -> Subject:
    return Subject(file=file, sha256=sha256 * 64, format="tflite", recipe="fp32", model="net")


@pytest.mark.parametrize(("text", "bar"), [("3%", 3.0), ("3", 3.0), ("0.5 %", 0.5), ("0%", 0.0)])
def test_bars(text: str, bar: float) -> None:
    assert parse_bar(text) == bar


@pytest.mark.parametrize("text", ["", "fast", "-1%", "nan", "inf%", "3%%"])
def test_bars_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a percentage"):
        parse_bar(text)


def test_equal_counts_pass_a_bar_of_zero(count_report: Count) -> None:
    found = compare_reports([count_report()], [count_report()])
    refuse_slower(found, fail_above_percent=0.0)
    assert found[0].moved == ()
    assert "equal" in describe_comparison(found[0])


def test_one_instruction_more_fails_a_bar_of_zero(count_report: Count) -> None:
    found = compare_reports([count_report(1_000_000)], [count_report(1_000_001)])
    with pytest.raises(SlowerError, match=r"net\.tflite: cycle bound .* cycles on a cortex-a76") as caught:
        refuse_slower(found, fail_above_percent=0.0)
    assert caught.value.exit_status == 6
    assert [(m.what, m.old, m.new) for m in found[0].moved] == [
        ("instructions", 1_000_000, 1_000_001),
        ("class integer", 1_000_000, 1_000_001),
    ]


def test_change_at_the_bar_passes_and_above_it_fails(count_report: Count) -> None:
    refuse_slower(compare_reports([count_report(100)], [count_report(103)]), fail_above_percent=3.0 + 1e-9)
    with pytest.raises(SlowerError):
        refuse_slower(compare_reports([count_report(100)], [count_report(104)]), fail_above_percent=3.0)


def test_faster_is_never_slower(count_report: Count) -> None:
    refuse_slower(compare_reports([count_report(100)], [count_report(50)]), fail_above_percent=0.0)


def test_core_without_a_port_model_is_compared_by_instructions(count_report: Count) -> None:
    plan = counting_plan(cpu="cortex-a53")
    (found,) = compare_reports([count_report(100, plan=plan)], [count_report(101, plan=plan)])
    assert (found.what, found.old, found.new) == ("instructions", 100, 101)


@pytest.mark.parametrize(("runtime", "threads", "noise"), [("onnxruntime", 1, 0.1), ("litert", 4, 10.0)])
def test_bar_finer_than_counts_repeat_cannot_be_held(
    count_report: Count, runtime: str, threads: int, noise: float
) -> None:
    plan = counting_plan(runtime=runtime, threads=threads)
    found = compare_reports([count_report(1_000_000, plan=plan)], [count_report(1_000_001, plan=plan)])
    assert found[0].noise_percent == noise
    assert "within the noise of these counts" in describe_comparison(found[0])
    with pytest.raises(UsageError, match="below the noise of these counts"):
        refuse_slower(found, fail_above_percent=noise / 2)
    refuse_slower(found, fail_above_percent=noise)


def test_scatter_that_is_seen_counts_as_noise(count_report: Count) -> None:
    """Even of a runtime that ought to be exact: what one report shows, the other may do."""
    scattered = count_report(1000, instructions_by_run=(1000, 1200))
    for old, new in ((scattered, count_report(1100)), (count_report(1100), scattered)):
        assert compare_reports([old], [new])[0].noise_percent == pytest.approx(20)
    threads = count_report(1000, plan=counting_plan(threads=2), instructions_by_run=(1000, 2000))
    assert compare_reports([threads], [threads])[0].noise_percent == pytest.approx(100)


def test_times_are_compared_by_their_medians(latency_report: Latency) -> None:
    slow = latency_report(samples_ms=tuple(ms * 1.1 for ms in latency_report().samples_ms), load_ms=60.0)
    (found,) = compare_reports([latency_report()], [slow])
    assert found.percent == pytest.approx(10)
    assert found.interval_percent is not None
    assert 8 < found.interval_percent.low < 10 < found.interval_percent.high < 12
    assert [moved.what for moved in found.moved] == ["load, ms"]
    refuse_slower([found], fail_above_percent=10.5)
    with pytest.raises(SlowerError, match=r"slower by more than 3 %: net\.tflite: median .* between"):
        refuse_slower([found], fail_above_percent=3.0)


def test_change_that_may_be_none_says_so(latency_report: Latency) -> None:
    noisy = tuple(10.0 + (n % 3) for n in range(30))
    other = tuple(10.0 + ((n + 1) % 3) for n in range(31))
    (found,) = compare_reports([latency_report(samples_ms=noisy)], [latency_report(samples_ms=other)])
    assert "may be no change: raise --runs" in describe_comparison(found)


def test_one_sample_has_no_interval(latency_report: Latency) -> None:
    (found,) = compare_reports([latency_report(samples_ms=(10.0,))], [latency_report(samples_ms=(11.0,))])
    assert found.interval_percent is None


DEVICE = Device(facts={"soc": "SM8250"})
OTHER_BUILD = Engine(runtime="litert", version="2.3.0", build="f" * 64, arithmetic="fp32")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"device": DEVICE}, "device soc"),
        ({"target": "host"}, "target"),
        ({"engine": OTHER_BUILD}, "build"),
        ({"plan": Plan(threads=4)}, "plan threads"),
    ],
)
def test_times_made_in_two_ways(latency_report: Latency, changes: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=f"not made in the same way .*{named}.* measure OLD again"):
        compare_reports([latency_report()], [latency_report(**changes)])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"emulator": "qemu 11.0.0, counting plugin 0123456789ab"}, "emulator"),
        ({"plan": counting_plan(cpu="cortex-a55")}, "cpu"),
        ({"engine": OTHER_BUILD}, "build"),
    ],
)
def test_counts_made_in_two_ways(count_report: Count, changes: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=f"not made in the same way .*{named}"):
        compare_reports([count_report()], [count_report(**changes)])


def test_half_precision_may_be_compared_with_full(count_report: Count) -> None:
    half = counting_plan(fp16_arithmetic=True)
    (found,) = compare_reports([count_report(200)], [count_report(100, plan=half)])
    assert found.percent == -50


def test_counts_and_times_do_not_compare(latency_report: Latency, count_report: Count) -> None:
    with pytest.raises(UsageError, match="counts and measured times do not compare"):
        compare_reports([latency_report()], [count_report()])


def test_files_are_matched_by_name(count_report: Count) -> None:
    old = [count_report(10, subject=subject("a")), count_report(20, subject=subject("b"))]
    new = [count_report(21, subject=subject("b", "f")), count_report(11, subject=subject("a", "f"))]
    assert [(c.old_file, round(c.percent)) for c in compare_reports(old, new)] == [("a", 10), ("b", 5)]


def test_large_counts_are_written_in_full(count_report: Count) -> None:
    (found,) = compare_reports([count_report(363_136_539)], [count_report(363_136_542)])
    assert "cycle bound 121,045,513 to 121,045,514 cycles" in describe_comparison(found)


def test_one_file_each_is_compared_whatever_it_is_called(count_report: Count) -> None:
    (found,) = compare_reports([count_report(subject=subject("a"))], [count_report(subject=subject("b"))])
    assert (found.old_file, found.new_file) == ("a", "b")


def test_file_on_one_side_only(count_report: Count) -> None:
    old = [count_report(subject=subject("a")), count_report(subject=subject("b"))]
    with pytest.raises(UsageError, match="only one side has b"):
        compare_reports(old, [count_report(subject=subject("a"))])
    with pytest.raises(UsageError, match="OLD holds several reports of one file"):
        compare_reports([old[0], old[0]], old)
