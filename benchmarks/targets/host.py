"""Target `host`: this machine, with the runtimes installed in this Python's environment.

Times are real, of this machine: they rank files on it, and say little about a phone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.operators.profile import partitions, timed
from benchmarks.reports.plan import Plan
from benchmarks.reports.report import Device, Engine, LatencyReport, Subject, tool_versions
from benchmarks.targets.bench.golden_run import keep_first_sample, run_samples
from benchmarks.targets.bench.process import BenchReport, run_bench, timing_options
from benchmarks.targets.context import Context, ProfiledRun, arithmetic_note, checked_before
from benchmarks.targets.plain import counts_not, hardware_plan, plain_run
from benchmarks.toolchain.compile import host_bench
from benchmarks.toolchain.lock import read_lock
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.artifacts.operator import by_kind
from mocovit_deploy.errors import MissingToolError, UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.formats import format_named
from mocovit_deploy.targets import GoldenRun, InstructionCount, RunConditions
from mocovit_deploy.untrusted.sandbox import limits_for

COUNTS = False
_PROFILED_INFERENCES = 20
_CPU_FOLDER = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class _Installed:
    """A runtime of this environment."""

    library: Path
    version: str


def measure(artifact: Artifact, plan: Plan, context: Context) -> LatencyReport:
    """Check the file's outputs, then time it here.

    Raises `ParityError` when the outputs are not the original network's, `UsageError` for a model the runtime
    refuses, `MissingToolError` for a runtime that is not installed, `TransientDeviceError` at the deadline.
    """
    runtime = _installed(plan.runtime)
    operators = format_named(artifact.format).operators(artifact)
    before = _state()
    with _prepared(artifact, plan, runtime) as (folder, execute, bench):
        checked = run_samples(
            artifact,
            context.golden,
            plan,
            operators,
            execute,
            folder=folder,
            profiled=_PROFILED_INFERENCES,
            version=runtime.version,
        )
        verified = checked_before(artifact, context, checked, f"timing {plan.runs} runs or more")
        samples = keep_first_sample(artifact, context.golden, checked, folder)
        report = execute(timing_options(plan), samples=samples)
    return LatencyReport(
        subject=Subject.of(artifact),
        target="host",
        plan=plan,
        engine=_engine(plan, runtime, checked, bench),
        device=Device(facts=_facts(), state_before=before, state_after=_state()),
        load_ms=report.load_ms,
        first_inference_ms=report.first_inference_ms,
        warmup_ms=(report.first_inference_ms, *report.warmup_ms),
        samples_ms=report.samples_ms,
        peak_memory_bytes=report.peak_memory_bytes,
        verified=verified,
        operators_by_kind=by_kind(operators),
        partitions=partitions(checked.executed, operators) if artifact.format == "tflite" else None,
        operators=timed(checked.executed) if plan.per_op else (),
        warnings=(
            *_warnings(plan),
            *arithmetic_note(artifact, plan, checked.arithmetic),
        ),
        tools=tool_versions(),
    )


def profile_golden(artifact: Artifact, plan: Plan, context: Context) -> ProfiledRun:
    """Run the golden inputs here and return the outputs; raises like `measure`, but judges nothing."""
    runtime = _installed(plan.runtime)
    operators = format_named(artifact.format).operators(artifact)
    with _prepared(artifact, plan, runtime) as (folder, execute, _):
        return run_samples(
            artifact,
            context.golden,
            plan,
            operators,
            execute,
            folder=folder,
            profiled=1,
            version=runtime.version,
        )


def run_golden(artifact: Artifact, golden: Golden, conditions: RunConditions) -> GoldenRun:
    """See `mocovit_deploy.targets.Target`."""
    return plain_run(profile_golden, artifact, golden, hardware_plan(artifact, conditions))


def count(_artifact: Artifact, _golden: Golden, _conditions: RunConditions) -> InstructionCount:
    """`UsageError`: this target takes times."""
    raise counts_not("host")


@contextmanager
def _prepared(artifact: Artifact, plan: Plan, runtime: _Installed) -> Iterator[tuple[Path, _Execute, Path]]:
    bench = host_bench(read_lock(), deadline_s=plan.deadline_s)
    with tempfile.TemporaryDirectory(prefix="mocovit-host-") as name:
        folder = Path(name)
        yield folder, _Execute(artifact.path.resolve(), plan, bench, runtime.library, folder), bench


@dataclass(frozen=True)
class _Execute:
    model: Path
    plan: Plan
    bench: Path
    library: Path
    folder: Path

    def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport:
        command = [str(self.bench), f"--runtime={self.plan.runtime}", f"--library={self.library}"]
        return run_bench(
            command,
            str(self.model),
            self.plan,
            options,
            folder=self.folder,
            samples=samples,
            memory_bytes=limits_for(self.model).memory_bytes,
        )


def _installed(runtime: str) -> _Installed:
    """The library of a runtime installed here, found without importing it."""
    package, distribution, pattern, extra = {
        "litert": ("ai_edge_litert", "ai-edge-litert", "libLiteRt.so", "tflite"),
        "onnxruntime": ("onnxruntime", "onnxruntime", "capi/libonnxruntime.so*", "onnx"),
    }.get(runtime, ("", "", "", ""))
    if not package:
        raise UsageError(f"runtime {runtime} exists for aarch64 only; on the host use litert or onnxruntime")
    found = importlib.util.find_spec(package)
    folder = Path(found.origin).parent if found and found.origin else None
    libraries = sorted(folder.glob(pattern)) if folder else []
    if not libraries:
        raise MissingToolError(
            f"{distribution} is not installed; in a checkout of mocovit-deploy, run: pip install '.[{extra}]'"
        )
    return _Installed(libraries[0], metadata.version(distribution))


def _engine(plan: Plan, runtime: _Installed, checked: ProfiledRun, bench: Path) -> Engine:
    build = hashlib.sha256(f"{digest(bench)} {digest(runtime.library)}".encode()).hexdigest()
    return Engine(runtime=plan.runtime, version=runtime.version, build=build, arithmetic=checked.arithmetic)


def _facts() -> dict[str, str]:
    return {
        "machine": platform.machine(),
        "processor": _cpu_model(),
        "cores": str(os.cpu_count() or 0),
        "kernel": platform.release(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _state() -> dict[str, str | float]:
    """What changes while the machine is on: load, clocks and governors, as far as it tells."""
    state: dict[str, str | float] = {"load_1min": os.getloadavg()[0]}
    for core in sorted(_CPU_FOLDER.glob("cpu[0-9]*/cpufreq")):
        for fact, key in (("scaling_cur_freq", "khz"), ("scaling_governor", "governor")):
            try:
                text = (core / fact).read_text().strip()
            except OSError:
                continue
            state[f"{core.parent.name}_{key}"] = float(text) if key == "khz" else text
    return state


def _warnings(plan: Plan) -> tuple[str, ...]:
    found = []
    cores = os.cpu_count() or 1
    if plan.threads > cores:
        found.append(
            f"{plan.threads} threads on {cores} cores wait for each other; give --threads {cores} or fewer"
        )
    if os.getloadavg()[0] > cores:
        found.append(
            "the machine was busy with other work: times are upper bounds; repeat on a quiet machine"
        )
    return tuple(found)
