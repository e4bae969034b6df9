"""The facts of a phone: model, chip, cores and clusters. The phone is asked for them; none is assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.targets.adb.client import Adb
from benchmarks.targets.adb.failures import clean
from mocovit_deploy.errors import StableDeviceError, UsageError

_PROPERTIES = {
    "maker": "ro.product.manufacturer",
    "model": "ro.product.model",
    "soc": "ro.soc.model",
    "board": "ro.board.platform",
    "android": "ro.build.version.release",
    "build": "ro.build.fingerprint",
    "abi": "ro.product.cpu.abi",
    "serial": "ro.serialno",
}

_SCRIPT = """
getprop
echo kernel=$(uname -r)
echo uid=$(id -u)
for f in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq \\
    /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor \\
    /sys/class/thermal/thermal_zone[0-9]*/type; do
  read v 2>/dev/null < "$f" && echo "$f=$v"
done
true
"""
"""Reads all properties at once, because a getprop of one property takes as long as one of all."""

_CORE = re.compile(r"/sys/devices/system/cpu/cpu(\d{1,3})/cpufreq/cpuinfo_max_freq")
_GOVERNOR = re.compile(r"/sys/devices/system/cpu/cpu(\d{1,3})/cpufreq/scaling_governor")
_PROPERTY = re.compile(r"\[([^]]+)\]: \[(.*)\]")
_ZONE = re.compile(r"/sys/class/thermal/thermal_zone(\d{1,3})/type")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,32}")

NAMED_CORES = ("prime", "big", "little")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The facts that a phone reports. Texts are cleaned, and numbers are checked."""

    properties: Mapping[str, str]
    max_khz: Mapping[int, int]
    """The highest clock of each core, by its number; empty if the phone does not report it."""
    governors: Mapping[int, str]
    cpu_zones: tuple[int, ...]
    """The numbers of thermal zones of the cores."""
    battery_zones: tuple[int, ...]
    is_root: bool

    @property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Groups of cores with the same highest clock, the slowest group first."""
        clocks = sorted(set(self.max_khz.values()))
        return tuple(
            tuple(core for core, khz in sorted(self.max_khz.items()) if khz == clock) for clock in clocks
        )


def probe_phone(adb: Adb) -> Probe:
    """Read the facts of a phone. Raises `StableDeviceError` if it has no 64-bit ARM cores."""
    found = parse_probe(adb.shell(_SCRIPT).text)
    abi = found.properties["abi"]
    if abi != "arm64-v8a":
        raise StableDeviceError(
            f"{clean(adb.serial)} runs {abi or 'unknown'} programs; the bundle is for arm64-v8a phones"
        )
    return found


def parse_probe(text: str) -> Probe:
    """Parse the output of the probe's script; other lines are ignored."""
    properties = dict.fromkeys([*_PROPERTIES, "kernel", "uid"], "")
    max_khz: dict[int, int] = {}
    governors: dict[int, str] = {}
    zones: dict[int, str] = {}
    named = {key: name for name, key in _PROPERTIES.items()}
    for line in text.splitlines():
        if told := _PROPERTY.fullmatch(line.strip()):
            if told[1] in named:
                properties[named[told[1]]] = clean(told[2])
            continue
        name, _, value = line.partition("=")
        value = clean(value)
        if name in ("kernel", "uid"):
            properties[name] = value
        elif (core := _CORE.fullmatch(name)) and value.isascii() and value.isdecimal() and int(value) > 0:
            max_khz[int(core[1])] = int(value)
        elif (core := _GOVERNOR.fullmatch(name)) and _WORD.fullmatch(value):
            governors[int(core[1])] = value
        elif zone := _ZONE.fullmatch(name):
            zones[int(zone[1])] = value.lower()
    return Probe(
        properties=properties,
        max_khz=max_khz,
        governors=governors,
        cpu_zones=tuple(sorted(n for n, kind in zones.items() if "cpu" in kind)),
        battery_zones=tuple(sorted(n for n, kind in zones.items() if kind == "battery")),
        is_root=properties.pop("uid") == "0",
    )


@dataclass(frozen=True)
class Cores:
    """The cores that a measurement is bound to."""

    name: str
    numbers: tuple[int, ...]

    @property
    def mask(self) -> str:
        """The mask for `taskset`: hexadecimal, with the lowest bit for core 0."""
        return f"{sum(1 << core for core in self.numbers):x}"


def select_cores(found: Probe, asked: str) -> Cores:
    """The cores of "prime", "big", "little" or a hexadecimal mask on this phone.

    "prime" is the fastest cluster, "little" the slowest, and "big" all but the slowest. If there is one
    cluster, each name means that one. Raises `UsageError` for any other name and for a mask of absent cores,
    `StableDeviceError` for a name if the phone does not report its clocks.
    """
    if asked not in NAMED_CORES:
        return _by_mask(found, asked)
    clusters = found.clusters
    if not clusters:
        raise StableDeviceError(
            f"the phone does not report its clocks, so {asked} cores are unknown; give a mask: --cores f0"
        )
    numbers = {
        "prime": clusters[-1],
        "little": clusters[0],
        "big": tuple(core for cluster in clusters[1:] or clusters for core in cluster),
    }[asked]
    return Cores(asked, tuple(sorted(numbers)))


def _by_mask(found: Probe, asked: str) -> Cores:
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{1,32}", asked) or int(asked, 16) == 0:
        raise UsageError(f"--cores {asked}: give {', '.join(NAMED_CORES)}, or a hexadecimal mask such as f0")
    mask = int(asked, 16)
    numbers = tuple(core for core in range(mask.bit_length()) if mask >> core & 1)
    absent = [core for core in numbers if found.max_khz and core not in found.max_khz]
    if absent:
        raise UsageError(f"--cores {asked}: the phone has no core {absent[0]}, only {sorted(found.max_khz)}")
    return Cores(f"{mask:x}", numbers)


def describe_clusters(found: Probe) -> str:
    """The clusters, such as "4 x 1.79 GHz (cpu0-3), 3 x 2.42 GHz (cpu4-6), 1 x 2.84 GHz (cpu7)"."""
    return ", ".join(
        f"{len(cores)} x {found.max_khz[cores[0]] / 1e6:.2f} GHz ({_range(cores)})"
        for cores in found.clusters
    )


def _range(cores: tuple[int, ...]) -> str:
    whole = cores == tuple(range(cores[0], cores[-1] + 1))
    if whole:
        return f"cpu{cores[0]}" if len(cores) == 1 else f"cpu{cores[0]}-{cores[-1]}"
    return ",".join(f"cpu{core}" for core in cores)
