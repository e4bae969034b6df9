"""One run of the native bench on any target: its command line, its time limit and its report.

It uses three files in one folder: `input.bin` (raw tensors, sample after sample, in the order of the
runtime's inputs), `output.bin` (the same for outputs) and `report.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reports.plan import Plan
from mocovit_deploy.errors import DeployError, StableDeviceError, TransientDeviceError, UsageError
from mocovit_deploy.untrusted.process import Finished, run_process

SCHEMA_VERSION = 1
INPUT, OUTPUT, REPORT = "input.bin", "output.bin", "report.json"

# Exit statuses of native/bench.h.
_USAGE, _LIBRARY, _MODEL, _DATA, _INFERENCE, _DEADLINE, _CRASH = 2, 3, 4, 5, 6, 7, 8

_GRACE_S = 10.0
"""The bench ends itself at its deadline. This much later its whole process group is killed."""

_LONGEST_REASON = 300
"""The most characters of a runtime's error in a message."""


@dataclass(frozen=True)
class BenchTensor:
    """An input or output as the runtime reports it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class BenchReport:
    """The report of the native bench."""

    runtime_version: str
    cpu: int
    load_ms: float
    first_inference_ms: float
    warmup_ms: tuple[float, ...]
    samples_ms: tuple[float, ...]
    peak_memory_bytes: int
    inputs: tuple[BenchTensor, ...]
    outputs: tuple[BenchTensor, ...]
    profile: tuple[Any, ...]
    """One member for each profiled inference (benchmarks/operators/profile.py reads them)."""


def timing_options(plan: Plan) -> list[str]:
    """The options of the bench for a plan. The first inference comes before the warm-up."""
    return [
        f"--warmup-runs={plan.warmup_runs}",
        f"--warmup-min-s={plan.warmup_min_s:g}",
        f"--runs={plan.runs}",
        f"--min-s={plan.min_s:g}",
    ]


def run_bench(
    command: Sequence[str],
    model: str,
    plan: Plan,
    options: Sequence[str],
    *,
    folder: Path,
    samples: int | None,
    memory_bytes: int | None = None,
) -> BenchReport:
    """Run the bench in `folder`, in at most `memory_bytes` of memory, and read its report.

    `command` starts it, with loader and emulator. `model` is the path of the file, from `folder`. `samples`
    is the number of samples in the input file; None if there is no input file, and the bench makes numbers
    up. Raises `UsageError` for a model that the runtime refuses, with its reason, `TransientDeviceError` at
    the deadline.
    """
    words = [*command, *bench_words(model, plan, options, samples=samples, folder="")]
    try:
        done = run_process(
            words, deadline_s=plan.deadline_s + _GRACE_S, cwd=folder, memory_bytes=memory_bytes
        )
    except OSError as error:
        raise StableDeviceError(f"{command[0]} cannot be started ({error.strerror})") from None
    if not done.ok:
        raise bench_failure(done, plan)
    return read_report(folder / REPORT)


def bench_words(
    model: str, plan: Plan, options: Sequence[str], *, samples: int | None, folder: str
) -> list[str]:
    """The options of the bench for one run; `folder` of its three files is "" or ends in a slash."""
    given = [f"--input={folder}{INPUT}", f"--samples={samples}"] if samples is not None else []
    return [
        f"--model={model}",
        f"--threads={plan.threads}",
        f"--fp16={int(plan.fp16_arithmetic)}",
        f"--deadline-s={plan.deadline_s:g}",
        f"--report={folder}{REPORT}",
        *given,
        *options,
    ]


def bench_failure(done: Finished, plan: Plan) -> DeployError:
    """The error for a bench that failed, by its exit status, with messages of the bench and the runtime."""
    said = _last_words(done)
    if done.timed_out or done.status == _DEADLINE:
        return TransientDeviceError(
            f"the run did not end within its deadline of {plan.deadline_s:g} s; "
            "give it more with --deadline-s"
        )
    if done.status in (_MODEL, _INFERENCE):
        return UsageError(f"{plan.runtime} cannot run the model: {said}")
    if done.status == _CRASH:
        return UsageError(f"{plan.runtime} crashed on the model: {said}; is the file damaged?")
    if done.status == _LIBRARY:
        return StableDeviceError(f"the runtime does not start: {said}")
    if done.status in (_USAGE, _DATA):
        return UsageError(f"the bench refused: {said}")
    return StableDeviceError(f"the bench died: {said}")


def _last_words(done: Finished) -> str:
    """The message of the bench, with the runtime's own error if it printed one."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    own = next((line.removeprefix("bench: ") for line in lines if line.startswith("bench: ")), done.reason())
    theirs = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return f"{own} ({theirs[0][:_LONGEST_REASON]})" if theirs else own


def read_report(path: Path) -> BenchReport:
    """Read the report of the bench. Raises `DeployError` if it is incomplete or has an impossible number."""
    try:
        document = json.loads(path.read_bytes())
        found = BenchReport(
            runtime_version=str(document["runtime_version"]),
            cpu=int(document["cpu"]),
            load_ms=float(document["load_ms"]),
            first_inference_ms=float(document["first_inference_ms"]),
            warmup_ms=tuple(map(float, document["warmup_ms"])),
            samples_ms=tuple(map(float, document["samples_ms"])),
            peak_memory_bytes=int(document["peak_memory_bytes"]),
            inputs=tuple(map(_tensor, document["inputs"])),
            outputs=tuple(map(_tensor, document["outputs"])),
            profile=tuple(document.get("profile", ())),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = "it is not JSON" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise DeployError(f"{path.name}: the bench left no readable report ({what})") from None
    if document["bench_report"] != SCHEMA_VERSION:
        raise DeployError(
            f"{path.name}: bench report of schema {document['bench_report']}, not {SCHEMA_VERSION}"
        )
    if not all(math.isfinite(ms) for ms in (*found.warmup_ms, *found.samples_ms, found.load_ms)):
        raise DeployError(f"{path.name}: a time in the bench's report is not a number")
    return found


def _tensor(document: Mapping[str, Any]) -> BenchTensor:
    shape = tuple(int(size) for size in document["shape"])
    return BenchTensor(str(document["name"]), str(document["dtype"]), shape, int(document["bytes"]))
