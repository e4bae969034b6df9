"""The check before every measurement: the golden inputs are run and their outputs judged.

file, plan - `check_first` - `CheckedFile` - the target measures or counts - report
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
    """A file in a place where a target can run it."""

    artifact: Artifact
    plan: Plan
    context: Context
    execute: Execute
    folder: Path
    """The folder on this machine with the inputs and outputs of a run."""
    version: str
    """The version of the runtime."""
    build: str
    """The digest of the programs that run the file."""
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
    """A file whose outputs were judged on a target, and the fields that all reports share."""

    ready: ReadyFile
    run: ProfiledRun
    verified: str
    """The verdict as text for a report."""
    samples: int | None
    """The number of samples in the input file to measure on; None if the bench makes numbers up."""

    @property
    def subject(self) -> Subject:
        """The file, as reports describe it."""
        return Subject.of(self.ready.artifact)

    @property
    def operators_by_kind(self) -> Mapping[str, int]:
        """The number of operators of each kind in the file."""
        return by_kind(self.ready.operators)

    @property
    def partitions(self) -> Partitions | None:
        """XNNPACK's partitions of the file; None if it is not a TFLite file."""
        if self.ready.artifact.format != "tflite":
            return None
        return partitions(self.run.executed, self.ready.operators)

    @property
    def arithmetic_note(self) -> tuple[str, ...]:
        """A warning if half precision was asked for, or the file is made for it, but it was not used."""
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
    """Run and judge the golden inputs, and leave the first sample in the input file to measure on.

    `then` completes the line that is printed, as in "counting 2 inferences". Raises `ParityError` unless the
    outputs are those of the original network, and the errors of `run_samples`.
    """
    run = ready.run_golden(profiled=profiled, ticking=ticking)
    verified = verdict_of(ready.artifact, ready.context, run)
    outcome = "not checked" if verified.startswith("not run") else "checked"
    reason = verified.removeprefix("not run: ")
    told = "" if ready.context.checked else f"outputs {outcome} ({reason}); "  # told in an earlier round
    ready.context.say(f"{ready.artifact.path.name}: {told}{then}")
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
    """The report of a file that was timed. `first` holds its load time, warm-up and memory."""
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
