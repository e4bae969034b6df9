"""The state of a phone: clocks, temperatures and battery, read between runs and during them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.reports.rounds import PhoneReading
from benchmarks.targets.adb.client import Adb
from benchmarks.targets.adb.probe import Cores, Probe

INTERVAL_S = 1.0
LOG = "state.log"
RUNNING = "running"
_PLAUSIBLE_C = (-20.0, 150.0)
"""Plausible temperatures. Zones without a sensor report 0 K or the largest integer."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of a phone between two runs. None for values that it does not report."""

    khz: Mapping[int, int]
    """The present clocks, by the number of the core."""
    limit_khz: Mapping[int, int]
    """The highest clocks that the thermal governor allows now (scaling_max_freq)."""
    top_khz: Mapping[int, int]
    """The highest clocks of the cores (cpuinfo_max_freq)."""
    governors: Mapping[int, str]
    cpu_c: float | None
    battery_c: float | None
    battery_percent: int | None

    def flat(self) -> dict[str, str | float]:
        """The state as the flat mapping that a report holds."""
        found: dict[str, str | float] = {}
        for core, khz in self.khz.items():
            found[f"cpu{core}_khz"] = float(khz)
        for core, khz in self.limit_khz.items():
            found[f"cpu{core}_limit_khz"] = float(khz)
        for core, governor in self.governors.items():
            found[f"cpu{core}_governor"] = governor
        for name in ("cpu_c", "battery_c", "battery_percent"):
            if (value := getattr(self, name)) is not None:
                found[name] = float(value)
        return found


def read_state(adb: Adb, found: Probe) -> State:
    """The present clocks, temperatures and battery."""
    cores = sorted(found.max_khz)
    files = [
        *(f"cpu{core}/cpufreq/{name}" for core in cores for name in _FILES),
        *(f"zone{zone}" for zone in (*found.cpu_zones, *found.battery_zones)),
    ]
    script = "\n".join(f'v=; read v 2>/dev/null < {_path(name)}; echo "{name}=$v"' for name in files)
    return parse_state(adb.shell(f"{script}\ndumpsys battery 2>/dev/null\ntrue").text, found)


_FILES = ("scaling_cur_freq", "scaling_max_freq", "scaling_governor")


def _path(name: str) -> str:
    if name.startswith("zone"):
        return f"/sys/class/thermal/thermal_zone{name.removeprefix('zone')}/temp"
    return f"/sys/devices/system/cpu/{name}"


def parse_state(text: str, found: Probe) -> State:
    """Parse the output of `read_state`'s script; implausible numbers count as not reported."""
    values = dict(_pairs(text))
    numbers: dict[str, dict[int, int]] = {"scaling_cur_freq": {}, "scaling_max_freq": {}}
    for name, by_core in numbers.items():
        for core in found.max_khz:
            khz = _whole(values.get(f"cpu{core}/cpufreq/{name}", ""))
            if khz:
                by_core[core] = khz
    governors = {core: values.get(f"cpu{core}/cpufreq/scaling_governor", "") for core in found.max_khz}
    battery_c = hottest(values.get(f"zone{zone}", "") for zone in found.battery_zones)
    tenths = _whole(values.get("battery temperature", ""))
    if battery_c is None and tenths is not None:
        battery_c = tenths / 10
    return State(
        khz=numbers["scaling_cur_freq"],
        limit_khz=numbers["scaling_max_freq"],
        top_khz=found.max_khz,
        governors={core: name for core, name in governors.items() if re.fullmatch(r"[\w-]{1,32}", name)},
        cpu_c=hottest(values.get(f"zone{zone}", "") for zone in found.cpu_zones),
        battery_c=battery_c,
        battery_percent=_whole(values.get("battery level", "")),
    )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            yield name, value.strip()
        elif found := re.fullmatch(r"\s*(level|temperature):\s*(\d{1,4})\s*", line):
            yield f"battery {found[1]}", found[2]


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None


def hottest(values: Iterator[str]) -> float | None:
    """The highest plausible temperature among the values of zones, in degrees Celsius; None without one."""
    read = (celsius(text) for text in values)
    return max((value for value in read if value is not None), default=None)


def celsius(text: str) -> float | None:
    """The value of a zone, which kernels give in degrees, tenths or thousandths; None if implausible."""
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        return None
    value = float(text)
    size = abs(value)
    degrees = value / 1000 if size > 1500 else value / 10 if size > _PLAUSIBLE_C[1] else value
    low, high = _PLAUSIBLE_C
    return degrees if low <= degrees <= high and size > 0 else None


def sampler(found: Probe, cores: Cores) -> str:
    """A script that logs the uptime, the clocks of `cores` and the temperatures until `RUNNING` is removed.

    It uses only built-ins of the shell and `sleep`, so that it hardly disturbs the measurement.
    """
    files = " ".join(
        [
            *(_path(f"cpu{core}/cpufreq/scaling_cur_freq") for core in cores.numbers),
            *(_path(f"zone{zone}") for zone in found.cpu_zones),
        ]
    )
    return (
        f"while [ -e {RUNNING} ]; do read t x < /proc/uptime; l=$t\n"
        f'for f in {files or "/dev/null"}; do v=; read v < $f; l="$l ${{v:--}}"; done\n'
        f"echo $l; sleep {INTERVAL_S:g}; done"
    )


def parse_log(text: str, cores: Cores) -> tuple[PhoneReading, ...]:
    """The readings in a log of `sampler`: seconds since its first line, slowest core, hottest zone."""
    readings: list[PhoneReading] = []
    start: float | None = None
    for line in text.splitlines():
        uptime, *values = line.split()[:200] or [""]
        if not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", uptime):
            continue
        at_s = float(uptime)
        start = at_s if start is None else start
        clocks = [khz for value in values[: len(cores.numbers)] if (khz := _whole(value))]
        temperature = hottest(iter(values[len(cores.numbers) :]))
        if math.isfinite(at_s) and at_s >= start:
            readings.append(
                PhoneReading(at_s=round(at_s - start, 3), khz=min(clocks, default=None), celsius=temperature)
            )
    return tuple(readings)
