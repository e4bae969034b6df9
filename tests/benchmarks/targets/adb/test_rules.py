"""What a phone says, read with distrust; and the rules by which rounds count. No phone is needed."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

import pytest

from benchmarks.reports.rounds import PhoneReading
from benchmarks.targets.adb.bounded import run_bounded
from benchmarks.targets.adb.client import Adb, SilentError
from benchmarks.targets.adb.doctor import DoctorStep, raise_first_failure
from benchmarks.targets.adb.failures import adb_failure, clean
from benchmarks.targets.adb.probe import describe_clusters, parse_probe, select_cores
from benchmarks.targets.adb.protocol import (
    LIMITS,
    HotError,
    await_cool,
    missing_facts,
    shortened,
    slower_clock,
    too_hot,
    verdict,
    while_sampling,
)
from benchmarks.targets.adb.state import State, celsius, parse_log, parse_state, sampler
from mocovit_deploy.errors import DeviceError, StableDeviceError, TransientDeviceError, UsageError

CPU = "/sys/devices/system/cpu/cpu{}/cpufreq/cpuinfo_max_freq={}"
KHZ = (1785600,) * 4 + (2419200,) * 3 + (2841600,)
SM8150 = "\n".join(
    [*(CPU.format(n, khz) for n, khz in enumerate(KHZ)), "[ro.product.cpu.abi]: [arm64-v8a]", "uid=2000"]
)
COOL = State(
    khz={7: 2841600},
    limit_khz={7: 2841600},
    top_khz={7: 2841600},
    governors={},
    cpu_c=35.0,
    battery_c=28.0,
    battery_percent=80,
)


def at(s: float, khz: int | None = 2841600, degrees: float | None = 35.0) -> PhoneReading:
    return PhoneReading(at_s=s, khz=khz, celsius=degrees)


def test_a_step_of_the_doctor_that_failed_is_no_defect() -> None:
    """Its status is kept, and the command adds no word on a traceback."""
    steps = [
        DoctorStep("bundle", ok=True, said=""),
        DoctorStep("adb", ok=False, said="absent", exit_status=8),
    ]
    with pytest.raises(DeviceError, match="step 'adb' of 8 failed: absent") as error:
        raise_first_failure(steps)
    assert error.value.exit_status == 8


@pytest.mark.parametrize(
    ("asked", "mask"), [("prime", "80"), ("big", "f0"), ("little", "f"), ("70", "70"), ("0x81", "81")]
)
def test_cores_come_from_the_clocks_they_have(asked: str, mask: str) -> None:
    assert select_cores(parse_probe(SM8150), asked).mask == mask


def test_other_phones_have_other_cores() -> None:
    """The fast cores first, two clusters, one cluster: nothing is assumed of the order."""
    turned = "\n".join(CPU.format(n, khz) for n, khz in enumerate(reversed(KHZ)))
    assert select_cores(parse_probe(turned), "prime").mask == "1"
    assert select_cores(parse_probe(turned), "little").mask == "f0"
    alike = "\n".join(CPU.format(n, 2000000) for n in range(4))
    assert {select_cores(parse_probe(alike), word).mask for word in ("prime", "big", "little")} == {"f"}
    assert describe_clusters(parse_probe(SM8150)).endswith("3 x 2.42 GHz (cpu4-6), 1 x 2.84 GHz (cpu7)")


def test_cores_that_are_not_there() -> None:
    for asked in ("0", "zz", "-1", "100", "primes", "f" * 40, "f0; reboot"):
        with pytest.raises(UsageError):
            select_cores(parse_probe(SM8150), asked)
    with pytest.raises(StableDeviceError, match="give a mask"):
        select_cores(parse_probe(""), "prime")
    assert select_cores(parse_probe(""), "f0").mask == "f0"


@pytest.mark.parametrize(
    "text", ["", "\x00\xff", "=", "a" * 10_000, CPU.format("9" * 50, 1), CPU.format(0, "-1")]
)
def test_a_probe_of_garbage_tells_nothing(text: str) -> None:
    found = parse_probe(text)
    assert (found.max_khz, found.cpu_zones, found.is_root) == ({}, (), False)


def test_a_governor_is_one_word_or_nothing() -> None:
    path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    assert parse_probe(f"{path}=schedutil").governors == {0: "schedutil"}
    for evil in ("x; reboot", "$(reboot)", "a b", "", "x" * 40):
        assert parse_probe(f"{path}={evil}").governors == {}


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("34200", 34.2),
        ("342", 34.2),
        ("34", 34.0),
        ("-5000", -5.0),
        ("0", None),
        ("-274000", None),
        ("2147483647", None),
        ("", None),
        ("hot", None),
        ("34.2", None),
    ],
)
def test_temperatures_in_any_unit(text: str, degrees: float | None) -> None:
    assert celsius(text) == degrees


def test_what_a_phone_does_not_tell_is_not_made_up() -> None:
    nothing = parse_state("", parse_probe(SM8150))
    assert (nothing.khz, nothing.cpu_c, nothing.battery_percent) == ({}, None, None)
    assert nothing.flat() == {}
    assert len(missing_facts([at(1, khz=None)], nothing)) == 3
    assert missing_facts([at(1)], COOL) == ()


def test_the_battery_tells_its_temperature_where_no_zone_does() -> None:
    found = parse_state("  level: 87\n  temperature: 281\n", parse_probe(SM8150))
    assert (found.battery_c, found.battery_percent) == (28.1, 87)


def test_the_samplers_log() -> None:
    probe = dataclasses.replace(parse_probe(SM8150), cpu_zones=(3, 4))
    cores = select_cores(probe, "big")
    text = (
        "100.50 2419200 2419200 2419200 2841600 34000 35500\ngarbage\n"
        "101.50 2419200 - 1200000 2841600 - 36000\n99.0 1 1 1 1 1 1\n102.5\n"
    )
    assert parse_log(text, cores) == (at(0, 2419200, 35.5), at(1, 1200000, 36.0), at(2, None, None))
    assert "thermal_zone4/temp" in sampler(probe, cores)


def test_only_readings_taken_while_sampling_count() -> None:
    readings = [at(0.0, 300000), at(1.0), at(2.0), at(9.0, 300000)]
    assert while_sampling(readings, 0.5, [500.0] * 4) == readings[1:3]


@pytest.mark.parametrize(
    ("readings", "after", "cpu", "why"),
    [
        ([at(1), at(2)], COOL, 7, ""),
        ([], COOL, 7, ""),
        ([at(1), at(2, 2800000)], COOL, 7, ""),
        ([at(1), at(2, 2131200)], COOL, 7, "the clock dropped from 2.84 to 2.13 GHz"),
        ([at(1), at(2, degrees=46.0)], COOL, 7, "the temperature drifted from 35.0 to 46.0 C"),
        (
            [at(1)],
            dataclasses.replace(COOL, limit_khz={7: 2000000}),
            7,
            "cpu7 was limited to 2.00 of 2.84 GHz",
        ),
        ([at(1)], COOL, 3, "it ran on cpu3, which is not among the cores asked for (prime)"),
    ],
)
def test_which_rounds_count(readings: list[PhoneReading], after: State, cpu: int, why: str) -> None:
    cores = select_cores(parse_probe(SM8150), "prime")
    assert verdict(readings, COOL, after, cores, LIMITS, cpu=cpu) == why


def test_a_round_at_another_clock_does_not_go_with_the_others() -> None:
    assert "2.13 GHz, 2.84 GHz in the rounds before" in slower_clock([[at(1)]], [at(1, 2131200)], LIMITS)
    assert slower_clock([[at(1)]], [at(1)], LIMITS) == ""
    assert slower_clock([], [at(1)], LIMITS) == ""


def test_when_a_round_may_begin() -> None:
    assert too_hot(COOL, 35.0, LIMITS) == ""
    assert "when the first round began" in too_hot(dataclasses.replace(COOL, cpu_c=41.0), 35.0, LIMITS)
    assert too_hot(dataclasses.replace(COOL, cpu_c=None, battery_c=None), 35.0, LIMITS) == ""


def test_it_waits_until_the_phone_is_cool() -> None:
    states = iter([dataclasses.replace(COOL, cpu_c=60.0), dataclasses.replace(COOL, cpu_c=55.0), COOL])
    said: list[str] = []
    quick = dataclasses.replace(LIMITS, poll_s=0.001)
    found = await_cool(lambda: next(states), start_c=None, cooldown_s=10, limits=quick, say=said.append)
    assert found is COOL
    assert len(said) == 1
    hot = dataclasses.replace(COOL, battery_c=50.0)
    with pytest.raises(HotError, match="the battery is at 50.0 C"):
        await_cool(lambda: hot, start_c=None, cooldown_s=0, limits=quick, say=said.append)


def test_a_trial_is_called_a_trial() -> None:
    assert shortened(50, 10.0) == ()
    assert "not a result" in shortened(49, 10.0)[0]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("adb: device offline", TransientDeviceError),
        ("error: closed", TransientDeviceError),
        ("adb: device 'x' not found", TransientDeviceError),
        (
            "adb: error: failed to copy 'a' to 'b': remote couldn't create file: Read-only file system",
            StableDeviceError,
        ),
        ("adb: error: failed to copy: No space left on device", StableDeviceError),
        ("adb: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", StableDeviceError),
        ("adb: words of a later version", TransientDeviceError),
        ("", TransientDeviceError),
    ],
)
def test_adbs_words_decide_whether_to_try_again(said: str, kind: type[Exception]) -> None:
    error = adb_failure("copying", said)
    assert type(error) is kind
    assert str(error).startswith("copying: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("adb: device offline", "check the cable"),
        ("error: protocol fault: failed to read stat response", "check the cable"),
        ("error: protocol fault (couldn't read status): Connection reset by peer", "adb kill-server"),
        ("adb: failed to check server version: protocol fault (couldn't read status)", "adb kill-server"),
        (
            "* daemon not running; starting now\nADB server didn't ACK\n* failed to start daemon",
            "did not start",
        ),
        ("error: cannot connect to daemon at tcp:5037: Connection refused", "adb start-server"),
        (
            "adb server version (32) doesn't match this client (41); killing...\nerror: device offline",
            "two versions of adb",
        ),
        ("error: unknown host service", "older adb"),
        ("error: device still authorizing", "unlock it"),
    ],
)
def test_a_dead_server_and_an_old_one_are_not_the_phones_fault(said: str, advice: str) -> None:
    text = str(adb_failure("x", said))
    assert advice in text
    assert "awake" not in text


@pytest.mark.parametrize(
    ("word", "advice"), [("devices", "adb's server hangs"), ("shell", "is the phone awake?")]
)
def test_what_gives_no_answer_is_named(word: str, advice: str, tmp_path: Path) -> None:
    program = tmp_path / "adb"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with pytest.raises(SilentError, match=advice):
        Adb(program)._run([word], deadline_s=0.1, what=word)


def test_nothing_reaches_the_terminal_that_it_would_act_on() -> None:
    assert clean("\x1b[2J\x07a\r\nb\u202e") == "[2J a  b"
    assert len(clean("x" * 1000)) == 200


def test_a_program_that_says_too_much_is_stopped() -> None:
    endless = [sys.executable, "-c", "while True: print('x' * 1000)"]
    said = run_bounded(endless, deadline_s=30, most_bytes=100_000)
    assert said.too_much
    assert len(said.stdout) < 400_000


def test_a_program_that_goes_on_is_stopped() -> None:
    for program in (
        "import time; time.sleep(60)",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
    ):
        begun = time.monotonic()
        assert run_bounded([sys.executable, "-c", program], deadline_s=0.5, most_bytes=100).timed_out
        assert time.monotonic() - begun < 10


def test_a_program_that_ends_is_heard_out() -> None:
    said = run_bounded(
        [sys.executable, "-c", "import sys; print('a'); sys.exit(3)"], deadline_s=30, most_bytes=100
    )
    assert (said.status, said.stdout, said.timed_out, said.too_much) == (3, b"a\n", False, False)
