"""What every `measure` does besides measuring: the golden inputs are run and judged first.

file, plan - `check_first` - `CheckedFile` - the target's own stopwatch or counter - report
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.operators.profile import partitions, timed
from benchmarks.reports.plan import Plan
from benchmarks.reports.report import Device, Engine, LatencyReport, Subject, tool_versions
from benchmarks.reports.rounds import Round
from benchmarks.targets.bench.golden_run import Execute, keep_first_sample, run_samples
from benchmarks.targets.bench.process import BenchReport
from benchmarks.targets.context import Context, ProfiledRun, verdict_of
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.operator import FileOperator, by_kind
from mocovit_deploy.targets import Partitions


@dataclass(frozen=True, kw_only=True)
class ReadyFile:
    """A file where a target can run it."""

    artifact: Artifact
    plan: Plan
    context: Context
    execute: Execute
    folder: Path
    """Holds the inputs and outputs of a run."""
    version: str
    """Of the runtime."""
    build: str
    """A digest of the programs that run it."""
    operators: tuple[FileOperator, ...]

    def run_golden(self, *, profiled: int, ticking: bool = False) -> ProfiledRun:
        """Run the golden inputs and profile `profiled` inferences; raises like `run_samples`."""
        return run_samples(
            self.artifact,
            self.context.golden,
            self.plan,
            self.operators,
            self.execute,
            folder=self.folder,
            profiled=profiled,
            version=self.version,
            ticking=ticking,
        )


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """A file whose outputs were judged on a target, and what all reports say of it."""

    ready: ReadyFile
    run: ProfiledRun
    verified: str
    """The verdict, in words for a report."""
    samples: int | None
    """How many samples the input file now holds, to measure on; None if numbers are made up."""

    @property
    def subject(self) -> Subject:
        return Subject.of(self.ready.artifact)

    @property
    def operators_by_kind(self) -> Mapping[str, int]:
        return by_kind(self.ready.operators)

    @property
    def partitions(self) -> Partitions | None:
        """How XNNPACK and the runtime's own kernels shared the file; None if it is not a TFLite file."""
        if self.ready.artifact.format != "tflite":
            return None
        return partitions(self.run.executed, self.ready.operators)

    @property
    def arithmetic_note(self) -> tuple[str, ...]:
        """A warning if half precision was asked for, or the file is made for it, and was not computed."""
        arithmetic = self.run.arithmetic
        if "fp16" in arithmetic:
            return ()
        if self.ready.plan.fp16_arithmetic:
            return (f"half precision was asked for, but XNNPACK computed this file in {arithmetic}",)
        if "fp16" in self.ready.artifact.recipe:
            return (f"this file is made for half precision, but was computed in {arithmetic} here",)
        return ()

    @property
    def engine(self) -> Engine:
        """The runtime that ran the file."""
        return Engine(
            runtime=self.ready.plan.runtime,
            version=self.ready.version,
            build=self.ready.build,
            arithmetic=self.run.arithmetic,
        )


def check_first(ready: ReadyFile, *, then: str, profiled: int, ticking: bool = False) -> CheckedFile:
    """Run and judge the golden inputs, and leave the first of them to measure on.

    `then` says what follows, as in "counting 2 inferences". Raises `ParityError` unless the outputs are the
    original network's, and what `run_samples` raises.
    """
    run = ready.run_golden(profiled=profiled, ticking=ticking)
    verified = verdict_of(ready.artifact, ready.context, run)
    outcome = "not checked" if verified.startswith("not run") else "checked"
    reason = verified.removeprefix("not run: ")
    ready.context.say(f"{ready.artifact.path.name}: outputs {outcome} ({reason}); {then}")
    samples = keep_first_sample(ready.artifact, ready.context.golden, run, ready.folder)
    return CheckedFile(ready=ready, run=run, verified=verified, samples=samples)


def latency_report(
    checked: CheckedFile,
    first: BenchReport,
    *,
    target: str,
    device: Device,
    samples_ms: tuple[float, ...],
    warnings: tuple[str, ...],
    rounds: tuple[Round, ...] = (),
    unsteady: str = "",
    tools: Mapping[str, str] | None = None,
) -> LatencyReport:
    """The report of a file that was timed; `first` holds its loading, its warm-up and its memory."""
    plan = checked.ready.plan
    return LatencyReport(
        subject=checked.subject,
        target=target,
        plan=plan,
        engine=checked.engine,
        device=device,
        load_ms=first.load_ms,
        first_inference_ms=first.first_inference_ms,
        warmup_ms=(first.first_inference_ms, *first.warmup_ms),
        samples_ms=samples_ms,
        peak_memory_bytes=first.peak_memory_bytes,
        verified=checked.verified,
        rounds=rounds,
        unsteady=unsteady,
        operators_by_kind=checked.operators_by_kind,
        partitions=checked.partitions,
        operators=timed(checked.run.executed) if plan.per_op else (),
        warnings=(*warnings, *checked.arithmetic_note),
        tools={**tool_versions(), **(tools or {})},
    )
