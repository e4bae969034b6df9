"""What a measurement leaves: `LatencyReport` from real hardware, `CountReport` from the emulator.

Raw samples are kept and statistics computed when asked (statistics.py), so a later reader can ask other
questions. The two kinds share no base: a count report has no field in which a measured time could be put,
because wall time under emulation says nothing about a phone (it even gets fp32 against int8 wrong).
On disk they are as report_file.py writes them.
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
        return cls(
            file=artifact.path.name,
            sha256=artifact.sha256,
            format=artifact.format,
            recipe=artifact.recipe,
            model=artifact.model,
        )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What executed it."""

    runtime: str
    version: str
    build: str
    """SHA-256 of the bench and everything it loads (the bundle): two builds are two instruments."""
    arithmetic: str
    """What this runtime really computed in: "fp32", "fp16" or "int8"."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where it was executed: what does not change while it is on, and what does."""

    facts: Mapping[str, str]
    """Model, SoC, cores, kernel...; all of them must match before two reports compare."""
    state_before: Mapping[str, str | float] = field(default_factory=dict)
    """Clocks, temperatures, battery, load; units in the names, as in `cpu7_khz`."""
    state_after: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TimedOperator:
    """One operator and its time, the mean over the profiled runs."""

    index: int
    kind: str
    where: str
    """The torch module it came from, or the file's own name for it."""
    partition: int | None
    mean_ms: float


@dataclass(frozen=True, kw_only=True)
class CountedOperator:
    """One operator and its instructions in one inference."""

    index: int
    kind: str
    where: str
    partition: int | None
    instructions: int


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """Times measured on real hardware (targets `host` and `adb`), in milliseconds, raw.

    Raises `ValueError` without a sample, or with one that is not a positive finite number.
    """

    kind: Literal["latency"] = "latency"
    subject: Subject
    target: str
    plan: Plan
    engine: Engine
    device: Device
    load_ms: float
    """Opening the file, building the interpreter, packing weights."""
    first_inference_ms: float
    """The very first inference, also the first of `warmup_ms`; never among the samples."""
    warmup_ms: tuple[float, ...]
    samples_ms: tuple[float, ...]
    """Of all rounds that count; of all rounds where none does (then `unsteady` says so)."""
    peak_memory_bytes: int | None
    verified: str
    """What the outputs were checked against before timing, and the verdict; "not run" with a reason."""
    rounds: tuple[Round, ...] = ()
    """In order, those rejected among them; empty if a measurement is one round."""
    unsteady: str = ""
    """Why the device could not be measured on; empty if it could. Such times are no result."""
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
        """What two reports must share before their samples may be pooled or compared."""
        return {
            "target": self.target,
            **({"unsteady": self.unsteady} if self.unsteady else {}),
            **{f"device {name}": value for name, value in self.device.facts.items()},
            **_engine_conditions(self.engine),
            **_plan_conditions(self.plan),
        }


@dataclass(frozen=True, kw_only=True)
class Modelled:
    """Milliseconds that a port model and a fitted factor make of exact counts: modelled, not measured."""

    modelled_ms: float
    device: str
    """Name of the device file in benchmarks/devices/."""
    core: str
    clock_hz: int
    bound_ms: float
    """The cycle bound at that clock, before the factor."""
    factor: float
    source: str
    """Where the factor comes from."""
    error_band_percent: float
    """The worst deviation from a published measurement (docs/modelled-against-published.md), either way."""


@dataclass(frozen=True, kw_only=True)
class CountReport:
    """Exact counts from target `emulated`. There is no field for a measured time, on purpose."""

    kind: Literal["counts"] = "counts"
    emulated: Literal[True] = True
    subject: Subject
    plan: Plan
    engine: Engine
    emulator: str
    """The emulator's version and the plugin's digest."""
    counts: Counts
    """One inference; where runs differ, the run with the median instruction count."""
    instructions_by_run: tuple[int, ...]
    modelled: Modelled | None
    """None for a core that no device file has."""
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
        """Whether this runtime executes the same instructions every time.

        On one thread LiteRT and TFLite do, to the last one. ONNX Runtime varies by up to 0.014 %, and
        waiting threads spin for as long as they happen to wait.
        """
        return self.plan.threads == 1 and self.plan.runtime in ("litert", "tflite")

    @property
    def conditions(self) -> dict[str, str]:
        """What two reports must share before their counts may be compared."""
        return {
            "emulator": self.emulator,
            **_engine_conditions(self.engine),
            **_plan_conditions(self.plan),
        }


Report = LatencyReport | CountReport


def _engine_conditions(engine: Engine) -> dict[str, str]:
    return {"runtime": f"{engine.runtime} {engine.version}", "build": engine.build}


def _plan_conditions(plan: Plan) -> dict[str, str]:
    # fp16_arithmetic is a choice one compares, as a recipe is, and a deadline that was met changed nothing;
    # the rest says how it was measured.
    free = ("fp16_arithmetic", "deadline_s")
    fields = schema.plain(plan).items()
    return {f"plan {name}": str(value) for name, value in fields if name not in free}


def differing_conditions(one: Report, other: Report) -> list[str]:
    """The conditions in which two reports differ, each with both values; none if they may be compared."""
    left, right = one.conditions, other.conditions
    return [
        f"{name} ({_short(left.get(name, 'absent'))} and {_short(right.get(name, 'absent'))})"
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    ]


def _short(value: str) -> str:
    """A digest by its first digits; anything else as it is."""
    return value[:12] if re.fullmatch(r"[0-9a-f]{64}", value) else value


def tool_versions() -> dict[str, str]:
    """What wrote a report: this package and the Python it ran under."""
    from importlib import metadata

    try:
        own = metadata.version("mocovit-deploy")
    except metadata.PackageNotFoundError:
        own = "not installed"
    return {"mocovit-deploy": own, "python": platform.python_version()}
