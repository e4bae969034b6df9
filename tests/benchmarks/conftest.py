"""Reports to compare, made by hand, and the emulator where there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.reports.counts import CLASSES, MAC_WIDTHS, Counts
from benchmarks.reports.plan import Plan, counting_plan
from benchmarks.reports.report import CountReport, Device, Engine, LatencyReport, Subject
from benchmarks.toolchain import emulator
from benchmarks.toolchain.emulator import Emulator
from mocovit_deploy.errors import MissingToolError

SUBJECT = Subject(file="net.tflite", sha256="a" * 64, format="tflite", recipe="fp32", model="net")
ENGINE = Engine(runtime="litert", version="2.3.0", build="b" * 64, arithmetic="fp32")
PHONE = Device(facts={"soc": "SM8150"}, state_before={"cpu7_khz": 2841600.0}, state_after={"note": "cool"})

LATENCY = LatencyReport(
    subject=SUBJECT,
    target="adb",
    plan=Plan(),
    engine=ENGINE,
    device=PHONE,
    load_ms=30.0,
    first_inference_ms=12.0,
    warmup_ms=(12.0, 10.5),
    samples_ms=tuple(10.0 + 0.01 * n for n in range(50)),
    peak_memory_bytes=20_000_000,
    verified="pass",
)


@pytest.fixture
def latency_report() -> Callable[..., LatencyReport]:
    """A report of 50 quiet samples around 10.2 ms, with the fields given replaced."""

    def make(**changes: Any) -> LatencyReport:
        return dataclasses.replace(LATENCY, **changes)

    return make


def counts_of(instructions: int) -> Counts:
    return Counts(
        instructions=instructions,
        by_class={name: instructions if name == "integer" else 0 for name in CLASSES},
        loaded_bytes=64,
        stored_bytes=32,
        macs=dict.fromkeys(MAC_WIDTHS, 0),
        cycle_bounds_x24={"cortex-a76": 8 * instructions, "cortex-a55": 12 * instructions},
    )


@pytest.fixture
def count_report() -> Callable[..., CountReport]:
    """A report of 1000 integer instructions on one thread, or as many as given, and fields replaced."""

    def make(instructions: int = 1000, **changes: Any) -> CountReport:
        report = CountReport(
            subject=SUBJECT,
            plan=counting_plan(),
            engine=ENGINE,
            emulator="qemu 10.0.13, counting plugin 0123456789ab",
            counts=counts_of(instructions),
            instructions_by_run=(instructions, instructions),
            modelled=None,
            verified="pass",
        )
        return dataclasses.replace(report, **changes)

    return make


@pytest.fixture(scope="session")
def counting_emulator() -> Emulator:
    try:
        return emulator.find_emulator()
    except MissingToolError as missing:
        pytest.skip(f"no emulator that counts is built: {missing}")
