"""A file measured from end to end: the unchanged target, the real adb, the real or the small adbd."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from phone.desk import QUICK, TINY, TMP, Desk, Outcome, assert_clean
from phone.documented import assert_documented
from phone.image import SM8150_KHZ, write_clocks
from phone.relay import relay

from benchmarks.reports.file import read_reports
from benchmarks.reports.report import LatencyReport

GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"


@pytest.fixture(autouse=True)
def _needs(bundle: Path) -> None:
    """Everything here runs the real bench."""


def test_a_file_is_checked_and_timed(desk: Desk, tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    done = desk.run(TINY, "--output", kept, "--per-op")
    assert done.status == 0, done.err
    (report,) = read_reports(kept)
    assert isinstance(report, LatencyReport)
    assert report.target == "adb"
    assert report.verified.startswith("pass")
    assert (report.engine.runtime, report.engine.arithmetic) == ("litert", "fp32")
    assert report.device.facts["soc"] == "SM8150"
    assert report.device.facts["clusters"].endswith("1 x 2.84 GHz (cpu7)")
    assert report.device.state_before["cpu7_khz"] == 2841600.0
    assert report.device.state_before["battery_percent"] == 87.0
    assert [entry.rejected for entry in report.rounds] == [""]
    assert report.samples_ms == report.rounds[0].samples_ms
    assert report.rounds[0].readings, "the clock was not looked at while it ran"
    assert {"stem", "depthwise"} <= {operator.where for operator in report.operators}
    assert any("a trial, not a result" in warning for warning in report.warnings)


def test_what_was_kept_is_not_pushed_again(real_desk: Desk, model_copy: Callable[[str], Path]) -> None:
    first = real_desk.run(TINY, "--keep")
    assert "12 files copied" in first.err
    assert (real_desk.phone.path(TMP) / "mocovit-deploy/bundle/bench").is_file()
    (real_desk.phone.path(TMP) / "mocovit-deploy/bundle/libm.so.6").write_bytes(b"altered")
    second = real_desk.run(TINY)
    assert second.status == 0, second.err
    assert "1 files copied" in second.err


def test_names_that_a_shell_would_act_on(real_desk: Desk, model_copy: Callable[[str], Path]) -> None:
    folder = f"{TMP}/a b'\"$(touch pwned)`touch pwned`&"
    real_desk.phone.path(folder).mkdir()
    try:
        done = real_desk.run(model_copy("t $(touch pwned) '\".tflite"), "--remote-folder", folder)
        assert done.status == 0, done.err
        assert not list(real_desk.phone.path(folder).iterdir())
        assert not list(real_desk.phone.root.rglob("pwned"))
        assert not Path("pwned").exists()
    finally:
        real_desk.phone.path(folder).rmdir()


def test_nothing_a_phone_says_is_executed(real_desk: Desk) -> None:
    desk = real_desk
    properties = desk.phone.root / "system/build.prop"
    before = properties.read_text()
    evil = "$(touch /data/local/tmp/pwned)`touch /data/local/tmp/pwned` \x1b[2J'\""
    properties.write_text(before.replace("Virtual SM8150", evil))
    governor = desk.phone.root / GOVERNOR
    governor.write_text("$(touch${IFS}/data/local/tmp/pwned)\n")
    try:
        done = desk.run(TINY)
    finally:
        properties.write_text(before)
    assert done.status == 0, done.err
    assert "\x1b" not in done.err
    assert not (desk.phone.path(TMP) / "pwned").exists()


def test_a_round_whose_clock_dropped_is_taken_again(real_desk: Desk, tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    root, lower = real_desk.phone.root, [khz * 3 // 4 for khz in SM8150_KHZ]
    with _when_it_samples(real_desk, lambda: write_clocks(root, SM8150_KHZ, now=lower)) as moved:
        words = [
            "--runs",
            "3",
            "--min-s",
            "2.5",
            "--warmup-runs",
            "1",
            "--warmup-min-s",
            "0",
            "--rounds",
            "1",
        ]
        done = real_desk.run(TINY, "--output", kept, *words, quick=False)
    assert moved, "the clock was never moved"
    assert_documented(done, "clock dropped in a round")
    (report,) = read_reports(kept)
    assert isinstance(report, LatencyReport)
    first, second = report.rounds
    assert "the clock dropped from 1.79 to 1.34 GHz" in first.rejected
    assert second.rejected == ""
    assert report.samples_ms == second.samples_ms


@contextlib.contextmanager
def _when_it_samples(desk: Desk, act: Callable[[], None]) -> Iterator[list[float]]:
    """Do something once, a little more than a second after the sampler has begun to note."""
    done: list[float] = []
    log = desk.phone.path(TMP) / "mocovit-deploy/state.log"
    end = threading.Event()

    def watch() -> None:
        while not end.wait(0.05):
            with contextlib.suppress(OSError):
                if log.stat().st_size:
                    time.sleep(1.3)
                    act()
                    done.append(time.monotonic())
                    return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield done
    finally:
        end.set()
        thread.join()


def test_a_phone_that_is_throttled_gives_no_result(real_desk: Desk, tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    limit = real_desk.phone.root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq"
    limit.write_text("1200000\n")
    done = real_desk.run(TINY, "--output", kept)
    assert_documented(done, "throttled all the time")
    (report,) = read_reports(kept)
    assert isinstance(report, LatencyReport)
    assert report.unsteady
    assert len(report.rounds) == 4
    assert report.conditions["unsteady"]


def test_the_governor_is_given_back(real_desk: Desk) -> None:
    desk = real_desk
    governor = desk.phone.root / GOVERNOR
    seen: list[str] = []
    end = threading.Event()

    def watch() -> None:
        while not end.wait(0.02):
            seen.append(governor.read_text().strip())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        done = desk.run(TINY)
    finally:
        end.set()
        thread.join()
    assert done.status == 0, done.err
    assert governor.read_text().strip() == "schedutil"
    assert "performance" in seen


@pytest.mark.slow
def test_two_files_are_compared_on_the_phone(
    real_desk: Desk, call: Callable[..., Outcome], model_copy: Callable[[str], Path]
) -> None:
    words = ["--runs", "3", "--min-s", "0", "--warmup-runs", "1", "--warmup-min-s", "0"]
    other = model_copy("other.tflite")
    done = call("ab", TINY, other, "--target", "adb", "--cores", "1", "--rounds", "2", "--json", *words)
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert document["paired"]["rounds"] == 2
    assert len(document["reports"]) == 4
    assert [line for line in done.err.splitlines() if "12 files copied" in line], done.err
    assert done.err.count("0 files copied") == 3


def test_all_devices_are_measured_at_the_same_time(real_desk: Desk, tmp_path: Path) -> None:
    """Two ways to one phone: one of them finds it taken, and the other is measured."""
    with relay(real_desk.phone.address) as second:
        assert "connected" in real_desk.server.call("connect", second.address)
        kept = tmp_path / "report.json"
        done = real_desk.run(TINY, "--all-devices", "--output", kept)
        assert_documented(done, "another command measures")
        assert len(read_reports(kept)) == 1  # one that fails does not cost the other's report
        assert f"[{second.address}]" in done.err or f"[{real_desk.relay.address}]" in done.err
        assert "p50" in done.err


def test_the_doctor_finds_nothing_wrong(desk: Desk, call: Callable[..., Outcome]) -> None:
    done = call("doctor", "--cores", "1", "--json")
    assert done.status == 0, done.err
    steps = json.loads(done.out)["doctor"]
    assert [step["ok"] for step in steps] == [True] * 8
    assert "arithmetic: pass" in steps[-1]["said"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_from_outside_it_leaves_nothing_on_the_phone(desk: Desk, number: int) -> None:
    governor = desk.phone.root / GOVERNOR
    words = ["run", str(TINY), "--target", "adb", "--cores", "1", *QUICK, "--min-s", "100"]
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; from benchmarks.cli.main import main; sys.exit(main({words!r}))",
        ],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        _until_sampling(desk)
        assert governor.read_text().strip() == "performance"
        program.send_signal(number)
        assert program.wait(timeout=20) == (143 if number == signal.SIGTERM else -number)
    finally:
        program.kill()
        program.wait()
        if number == signal.SIGKILL:  # then nobody is left to tidy up here
            for left in Path(tempfile.gettempdir()).glob("mocovit-adb-*"):
                shutil.rmtree(left)
    assert_clean(desk.phone)
    assert governor.read_text().strip() == "schedutil"


def _until_sampling(desk: Desk) -> None:
    deadline = time.monotonic() + 30
    while not any("--min-s=100" in words for words in desk.phone.left_over()):
        assert time.monotonic() < deadline, "the bench did not start"
        time.sleep(0.05)
