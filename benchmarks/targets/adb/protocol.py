"""The rules of a measurement on a phone: when a round may begin, and when it is rejected.

The limits follow other harnesses: a cool-down before each run (MLPerf Mobile), rejecting runs whose clock
changed (ncnn and IREE advise to record it), a temperature near that of the start (FAI-PEP).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.reports.plan import PHONE_MIN_S, PHONE_RUNS
from benchmarks.reports.rounds import PhoneReading
from benchmarks.targets.adb.probe import Cores
from benchmarks.targets.adb.state import State
from mocovit_deploy.errors import StableDeviceError, TransientDeviceError


@dataclass(frozen=True, kw_only=True)
class PhoneLimits:
    """The limits of a steady phone."""

    hottest_c: float = 50.0
    """The highest temperature of the cores at the start of a round."""
    hottest_battery_c: float = 42.0
    """The highest temperature of the battery at the start of a round; most phones throttle soon above it."""
    above_start_c: float = 5.0
    """The most that the cores may be warmer at the start of a round than at the start of the first."""
    least_battery_percent: int = 15
    """The least charge of the battery; below it, phones save power."""
    clock_drop: float = 0.03
    """The largest drop of the clock while samples are taken, as a share of its highest value."""
    drift_c: float = 10.0
    """The largest change of temperature while samples are taken."""
    rejections: int = 3
    """The most rejected rounds; after one more, the measurement ends without a result."""
    poll_s: float = 5.0
    """The pause between two readings of a hot phone."""


LIMITS = PhoneLimits()


def too_hot(state: State, start_c: float | None, limits: PhoneLimits) -> str:
    """The reason why a round may not begin yet; empty if it may. Values that are unknown are ignored."""
    if state.cpu_c is not None:
        if state.cpu_c > limits.hottest_c:
            return f"the cores are at {state.cpu_c:.1f} C, above {limits.hottest_c:g} C"
        if start_c is not None and state.cpu_c > start_c + limits.above_start_c:
            return f"the cores are at {state.cpu_c:.1f} C, {start_c:.1f} C when the first round began"
    if state.battery_c is not None and state.battery_c > limits.hottest_battery_c:
        return f"the battery is at {state.battery_c:.1f} C, above {limits.hottest_battery_c:g} C"
    return ""


def await_cool(
    read: Callable[[], State],
    *,
    start_c: float | None,
    cooldown_s: float,
    limits: PhoneLimits,
    say: Callable[[str], None],
) -> State:
    """Wait until a round may begin, and return the state of the phone.

    `start_c` is the temperature of the cores at the first round; None before it. Raises `StableDeviceError`
    for a battery that is nearly empty, `HotError` if the phone is still too hot after `cooldown_s`.
    """
    end, said = time.monotonic() + cooldown_s, False
    while True:
        state = read()
        percent = state.battery_percent
        if percent is not None and percent < limits.least_battery_percent:
            raise StableDeviceError(
                f"the battery is at {percent} %, below {limits.least_battery_percent} %; charge the phone"
            )
        why = too_hot(state, start_c, limits)
        if not why:
            return state
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise HotError(f"{why}, after {cooldown_s:g} s of waiting; let the phone cool down")
        if not said:
            say(f"{why}; waiting up to {cooldown_s:g} s for it to cool down")
            said = True
        time.sleep(min(limits.poll_s, max(left_s, 0.01)))


class HotError(TransientDeviceError):
    """The phone did not cool down in time. The wait was the retry, so there is no other."""


def while_sampling(
    readings: Sequence[PhoneReading], from_s: float, samples_ms: Sequence[float]
) -> list[PhoneReading]:
    """The readings of a round between its first and its last sample."""
    end_s = from_s + sum(samples_ms) / 1e3
    return [reading for reading in readings if from_s <= reading.at_s <= end_s]


def verdict(
    readings: Sequence[PhoneReading],
    before: State,
    after: State,
    cores: Cores,
    limits: PhoneLimits,
    *,
    cpu: int,
) -> str:
    """The reason to reject a round; empty if it is accepted.

    `readings` are those during sampling, `cpu` is the core on which the bench ended.
    """
    if cpu not in cores.numbers:
        return f"it ran on cpu{cpu}, which is not among the cores asked for ({cores.name})"
    for state in (before, after):
        for core in cores.numbers:
            top, limit = state.top_khz.get(core), state.limit_khz.get(core)
            if top and limit and limit < (1 - limits.clock_drop) * top:
                return f"cpu{core} was limited to {limit / 1e6:.2f} of {top / 1e6:.2f} GHz"
    clocks = [reading.khz for reading in readings if reading.khz]
    if clocks and min(clocks) < (1 - limits.clock_drop) * max(clocks):
        return f"the clock dropped from {max(clocks) / 1e6:.2f} to {min(clocks) / 1e6:.2f} GHz"
    warmth = [reading.celsius for reading in readings if reading.celsius is not None]
    if warmth and max(warmth) - min(warmth) > limits.drift_c:
        return f"the temperature drifted from {min(warmth):.1f} to {max(warmth):.1f} C"
    return ""


def slower_clock(
    rounds: Sequence[Sequence[PhoneReading]], readings: Sequence[PhoneReading], limits: PhoneLimits
) -> str:
    """The reason to reject a round that ran at a lower clock than the earlier ones; empty if it did not."""
    earlier = [reading.khz for one in rounds for reading in one if reading.khz]
    clocks = [reading.khz for reading in readings if reading.khz]
    if not earlier or not clocks:
        return ""
    usual, now = statistics.median(earlier), statistics.median(clocks)
    if now < (1 - limits.clock_drop) * usual:
        return f"the clock was {now / 1e6:.2f} GHz, {usual / 1e6:.2f} GHz in the rounds before"
    return ""


def missing_facts(readings: Sequence[PhoneReading], state: State) -> tuple[str, ...]:
    """Warnings about values that the phone does not report, so that nobody takes them for steady."""
    found = []
    if not any(reading.khz for reading in readings):
        found.append("the phone does not report its clocks while it runs: a drop would go unseen")
    if state.cpu_c is None:
        found.append("the phone does not report its cores' temperature: heat would go unseen")
    if state.battery_percent is None:
        found.append("the phone does not report its battery's charge")
    return tuple(found)


def shortened(runs: int, min_s: float) -> tuple[str, ...]:
    """A warning if the user asked for shorter rounds than a reliable result needs."""
    if runs >= PHONE_RUNS and min_s >= PHONE_MIN_S:
        return ()
    shortest = f"{PHONE_RUNS} and {PHONE_MIN_S:g} s"
    return (f"rounds of {runs} runs and {min_s:g} s are below {shortest}: a trial, not a result",)


def governors_to_fix(governors: Mapping[int, str], cores: Cores) -> dict[int, str]:
    """The cores whose governor lets the clock change, with the governor to restore in the end."""
    return {
        core: governors[core] for core in cores.numbers if governors.get(core, "performance") != "performance"
    }
