"""Target `host`: this machine, with the runtimes installed in this Python's environment.

The times are those of this machine. They rank files on it, and say little about a phone.
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

from benchmarks.reports.plan import Plan
from benchmarks.reports.report import Device, LatencyReport
from benchmarks.targets.bench.process import BenchReport, run_bench, timing_options
from benchmarks.targets.checked import ReadyFile, check_first, latency_report
from benchmarks.targets.context import Context, ProfiledRun
from benchmarks.targets.plain import counts_not, hardware_plan, plain_run, plain_times, timing_plan, unjudged
from benchmarks.toolchain.compile import host_bench
from benchmarks.toolchain.lock import read_lock
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import MissingToolError, UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.formats import format_named
from mocovit_deploy.targets import GoldenRun, InferenceTimes, InstructionCount, RunConditions
from mocovit_deploy.untrusted.sandbox import limits_for

COUNTS = False
_PROFILED_INFERENCES = 20
_CPU_FOLDER = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class _Installed:
    """A runtime in this Python's environment."""

    library: Path
    version: str


def measure(artifact: Artifact, plan: Plan, context: Context) -> LatencyReport:
    """Check the outputs of a file, then time it on this machine.

    Raises `ParityError` if the outputs are not those of the original network, `UsageError` for a model that
    the runtime refuses, `MissingToolError` for a runtime that is not installed, `TransientDeviceError` at the
    deadline.
    """
    before = _state()
    with _ready(artifact, plan, context) as ready:
        checked = check_first(ready, then=f"timing {plan.runs} runs or more", profiled=_PROFILED_INFERENCES)
        timed = ready.execute(timing_options(plan), samples=checked.samples)
    return latency_report(
        checked,
        timed,
        target="host",
        device=Device(facts=_facts(), state_before=before, state_after=_state()),
        samples_ms=timed.samples_ms,
        warnings=_warnings(plan),
    )


def profile_golden(artifact: Artifact, plan: Plan, context: Context) -> ProfiledRun:
    """Run the golden inputs on this machine and return the outputs, unjudged. Raises like `measure`."""
    with _ready(artifact, plan, context) as ready:
        return ready.run_golden(profiled=1)


def run_golden(artifact: Artifact, golden: Golden, conditions: RunConditions) -> GoldenRun:
    """See `mocovit_deploy.targets.Target`."""
    return plain_run(profile_golden, artifact, golden, hardware_plan(artifact, conditions))


def count(_artifact: Artifact, _golden: Golden, _conditions: RunConditions) -> InstructionCount:
    """`UsageError`: this target takes times."""
    raise counts_not("host")


def take_times(artifact: Artifact, golden: Golden, conditions: RunConditions) -> InferenceTimes:
    """See `mocovit_deploy.targets.Target`."""
    return plain_times(measure(artifact, timing_plan(artifact, conditions), unjudged(golden.first)))


@contextmanager
def _ready(artifact: Artifact, plan: Plan, context: Context) -> Iterator[ReadyFile]:
    runtime = _installed(plan.runtime)
    operators = format_named(artifact.format).operators(artifact)
    bench = host_bench(read_lock(), deadline_s=plan.deadline_s)
    with tempfile.TemporaryDirectory(prefix="mocovit-host-") as name:
        folder = Path(name)
        yield ReadyFile(
            artifact=artifact,
            plan=plan,
            context=context,
            execute=_Execute(artifact.path.resolve(), plan, bench, runtime.library, folder),
            folder=folder,
            version=runtime.version,
            build=hashlib.sha256(f"{digest(bench)} {digest(runtime.library)}".encode()).hexdigest(),
            operators=operators,
        )


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
    """The library of an installed runtime, found without importing it."""
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
    """The state of the machine: load, clocks and governors, as far as the system reports them."""
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
        found.append("the machine was busy with other work, so times are too long; repeat on a quiet machine")
    return tuple(found)
