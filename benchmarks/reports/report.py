"""Reports of measurements: `LatencyReport` from real hardware, `CountReport` from the emulator.

A report keeps raw samples. statistics.py computes statistics from them on demand, so a later reader can
compute others. The two kinds share no base class. A count report has no field for a measured time, because
wall time under emulation says nothing about a phone: it even gets the order of fp32 and int8 wrong. file.py
reads and writes reports on disk.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.reports import schema
from benchmarks.reports.counts import Counts
from benchmarks.reports.plan import Plan
from benchmarks.reports.plausible import require_times
from benchmarks.reports.rounds import Round
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.targets import Partitions


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The file that was measured."""

    file: str
    sha256: str
    format: str
    recipe: str
    model: str

    @classmethod
    def of(cls, artifact: Artifact) -> Subject:
        """The subject that `artifact` describes."""
        return cls(
            file=artifact.path.name,
            sha256=artifact.sha256,
            format=artifact.format,
            recipe=artifact.recipe,
            model=artifact.model,
        )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The runtime that executed the file."""

    runtime: str
    version: str
    build: str
    """SHA-256 of the bench and everything it loads (the bundle). Reports of two builds do not compare."""
    arithmetic: str
    """The arithmetic that the runtime really computed in: "fp32", "fp16" or "int8"."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """The device that executed the file: its lasting facts, and its state before and after."""

    facts: Mapping[str, str]
    """Model, SoC, cores, kernel and so on; all must match before two reports are compared."""
    state_before: Mapping[str, str | float] = field(default_factory=dict)
    """Clocks, temperatures, battery, load; names carry units, as in `cpu7_khz`."""
    state_after: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TimedOperator:
    """One operator and its mean time over the profiled runs."""

    index: int
    kind: str
    where: str
    """The torch module that it came from, or its name in the file."""
    partition: int | None
    """The number of its delegate partition; None outside."""
    mean_ms: float

    @property
    def cost(self) -> float:
        """Milliseconds."""
        return self.mean_ms


@dataclass(frozen=True, kw_only=True)
class CountedOperator:
    """One operator and its instructions in one inference."""

    index: int
    kind: str
    where: str
    partition: int | None
    instructions: int

    @property
    def cost(self) -> float:
        """Instructions."""
        return float(self.instructions)


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """Raw times measured on real hardware (targets `host` and `adb`), in milliseconds.

    Raises `ValueError` without a sample, or with one that is not a positive finite number.
    """

    kind: Literal["latency"] = "latency"
    subject: Subject
    target: str
    plan: Plan
    engine: Engine
    device: Device
    load_ms: float
    """The time to open the file, build the interpreter and pack weights."""
    first_inference_ms: float
    """The first inference, which is also the first of `warmup_ms` and never among the samples."""
    warmup_ms: tuple[float, ...]
    samples_ms: tuple[float, ...]
    """The samples of all accepted rounds; of all rounds if none is accepted (see `unsteady`)."""
    peak_memory_bytes: int | None
    verified: str
    """The check of the outputs before timing, with its verdict; "not run" with a reason."""
    rounds: tuple[Round, ...] = ()
    """All rounds in order, rejected ones too; empty if the measurement is one round."""
    unsteady: str = ""
    """Why the device was too unsteady to measure on; empty if it was not. Such times are no result."""
    operators_by_kind: Mapping[str, int] = field(default_factory=dict)
    partitions: Partitions | None = None
    operators: tuple[TimedOperator, ...] = ()
    warnings: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.samples_ms:
            raise ValueError("a latency report needs a sample")
        require_times("samples_ms", self.samples_ms)
        require_times("warmup_ms", self.warmup_ms)
        require_times("load and first inference", (self.load_ms, self.first_inference_ms), zero=True)
        require_times("operators", (each.mean_ms for each in self.operators), zero=True)

    @property
    def conditions(self) -> dict[str, str]:
        """The conditions that two reports must share before their samples are pooled or compared."""
        return {
            "target": self.target,
            **({"unsteady": self.unsteady} if self.unsteady else {}),
            **{f"device {name}": value for name, value in self.device.facts.items()},
            **_engine_conditions(self.engine),
            **_plan_conditions(self.plan),
        }


@dataclass(frozen=True, kw_only=True)
class Modelled:
    """Milliseconds modelled from exact counts, by a port model and a fitted factor; not measured."""

    modelled_ms: float
    device: str
    """The name of the device file in benchmarks/devices/."""
    core: str
    clock_hz: int
    bound_ms: float
    """The cycle bound at that clock, without the factor."""
    factor: float
    source: str
    """The source of the factor."""
    error_band_percent: float
    """The worst deviation from a published measurement, up or down (docs/modelled-against-published.md)."""


@dataclass(frozen=True, kw_only=True)
class CountReport:
    """Exact counts from target `emulated`. By design there is no field for a measured time."""

    kind: Literal["counts"] = "counts"
    emulated: Literal[True] = True
    subject: Subject
    plan: Plan
    engine: Engine
    emulator: str
    """The version of the emulator, and the digest of the plugin."""
    counts: Counts
    """The counts of one inference; if runs differ, that with the median of instructions."""
    instructions_by_run: tuple[int, ...]
    modelled: Modelled | None
    """None for a core without a device file."""
    verified: str
    operators_by_kind: Mapping[str, int] = field(default_factory=dict)
    partitions: Partitions | None = None
    operators: tuple[CountedOperator, ...] = ()
    warnings: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.counts.instructions not in self.instructions_by_run or min(self.instructions_by_run) < 1:
            raise ValueError("counts are not those of any run")
        if (m := self.modelled) is not None:
            require_times("modelled", (m.modelled_ms, m.bound_ms, m.factor))

    @property
    def repeatable(self) -> bool:
        """True if this runtime executes the same instructions in every inference.

        LiteRT and TFLite do so on one thread. ONNX Runtime varies by up to 0.014 %, and waiting threads spin
        for varying times.
        """
        return self.plan.threads == 1 and self.plan.runtime in ("litert", "tflite")

    @property
    def conditions(self) -> dict[str, str]:
        """The conditions that two reports must share before their counts are compared."""
        return {
            "emulator": self.emulator,
            **_engine_conditions(self.engine),
            **_plan_conditions(self.plan),
        }


Report = LatencyReport | CountReport


def _engine_conditions(engine: Engine) -> dict[str, str]:
    return {"runtime": f"{engine.runtime} {engine.version}", "build": engine.build}


def _plan_conditions(plan: Plan) -> dict[str, str]:
    # fp16_arithmetic may differ: it is a choice to compare, as recipes are. A deadline that was met changes
    # nothing. All other fields say how the file was measured.
    free = ("fp16_arithmetic", "deadline_s")
    fields = schema.plain(plan).items()
    return {f"plan {name}": str(value) for name, value in fields if name not in free}


def differing_conditions(one: Report, other: Report) -> list[str]:
    """The conditions in which two reports differ, each with both values; empty if they may be compared."""
    left, right = one.conditions, other.conditions
    return [
        f"{name} ({_short(left.get(name, 'absent'))} and {_short(right.get(name, 'absent'))})"
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def _short(value: str) -> str:
    """The first digits of a digest; any other value unchanged."""
    return value[:12] if re.fullmatch(r"[0-9a-f]{64}", value) else value


def tool_versions() -> dict[str, str]:
    """The versions of this package and of Python, for a report."""
    from importlib import metadata

    try:
        own = metadata.version("mocovit-deploy")
    except metadata.PackageNotFoundError:
        own = "not installed"
    return {"mocovit-deploy": own, "python": platform.python_version()}
