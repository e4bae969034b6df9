"""The rules of a measurement on a phone: when it may begin, and which rounds count. Plain functions of data.

The limits follow what careful harnesses do: cool-down before a run (MLPerf Mobile), rejection of runs whose
clock moved (ncnn's and IREE's advice to record it), temperature near that of the start (FAI-PEP).
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
    """What a phone must keep to."""

    hottest_c: float = 50.0
    """Cores above this are cooled down before a round."""
    hottest_battery_c: float = 42.0
    """Most phones throttle soon above it."""
    above_start_c: float = 5.0
    """How much warmer than at the first round the cores may be when another begins."""
    least_battery_percent: int = 15
    """Below it, phones save power."""
    clock_drop: float = 0.03
    """Share of the round's highest clock that may be missing while samples are taken."""
    drift_c: float = 10.0
    """How far the temperature may move while samples are taken."""
    rejections: int = 3
    """Rounds that may be rejected before the phone is given up."""
    poll_s: float = 5.0


LIMITS = PhoneLimits()


def too_hot(state: State, start_c: float | None, limits: PhoneLimits) -> str:
    """Why a round may not begin yet; empty if it may. What the phone does not tell stops nothing."""
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
    """Wait until a round may begin, and return the phone's state then.

    Raises `StableDeviceError` for a battery that is nearly empty, `TransientDeviceError` when the phone is
    still too hot after `cooldown_s`.
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
    """The phone did not cool down in the time it was given; the wait itself was the retry."""


def while_sampling(
    readings: Sequence[PhoneReading], from_s: float, samples_ms: Sequence[float]
) -> list[PhoneReading]:
    """Those of a round's readings that fell between its first and its last sample."""
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
    """Why a round does not count; empty if it does. `readings` are those while samples were taken."""
    if cpu not in cores.numbers:
        return f"it ran on cpu{cpu}, which is not among the cores asked for ({cores.name})"
    for state in (before, after):
        for core in cores.numbers:
            top, limit = state.khz_limit_of(core)
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
    """Why a round does not go with the earlier ones: it ran at another clock; empty if it does."""
    earlier = [reading.khz for one in rounds for reading in one if reading.khz]
    clocks = [reading.khz for reading in readings if reading.khz]
    if not earlier or not clocks:
        return ""
    usual, now = statistics.median(earlier), statistics.median(clocks)
    if now < (1 - limits.clock_drop) * usual:
        return f"the clock was {now / 1e6:.2f} GHz, {usual / 1e6:.2f} GHz in the rounds before"
    return ""


def missing_facts(readings: Sequence[PhoneReading], state: State) -> tuple[str, ...]:
    """Warnings for what the phone did not tell, so that silence is not taken for steadiness."""
    found = []
    if not any(reading.khz for reading in readings):
        found.append("the phone does not tell its clocks while it runs: a drop could not have been seen")
    if state.cpu_c is None:
        found.append("the phone does not tell its cores' temperature: heat could not have been seen")
    if state.battery_percent is None:
        found.append("the phone does not tell its battery's charge")
    return tuple(found)


def shortened(runs: int, min_s: float) -> tuple[str, ...]:
    """A warning when less was asked for than a result that one can defend takes."""
    if runs >= PHONE_RUNS and min_s >= PHONE_MIN_S:
        return ()
    shortest = f"{PHONE_RUNS} and {PHONE_MIN_S:g} s"
    return (f"rounds of {runs} runs and {min_s:g} s are below {shortest}: a trial, no result",)


def governors_to_fix(governors: Mapping[int, str], cores: Cores) -> dict[int, str]:
    """The cores whose governor lets the clock move, with the governor to give back."""
    return {
        core: governors[core] for core in cores.numbers if governors.get(core, "performance") != "performance"
    }
