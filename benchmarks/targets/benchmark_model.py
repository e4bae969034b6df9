"""Running Google's `benchmark_model`, given by the user, in place of the bench, and reading its output.

It prints averages and keeps no samples. So its result is no `LatencyReport`: there are no percentiles, and
nothing to compare with a bar. It serves to check the bench against Google's program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reports.plan import Plan
from benchmarks.reports.plausible import require_times
from mocovit_deploy.errors import StableDeviceError, TransientDeviceError, UsageError
from mocovit_deploy.untrusted.process import run_process

_NUMBER = r"[\d.]+(?:e[+-]?\d+)?"
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: (?P<init>{_NUMBER}), First inference: (?P<first>{_NUMBER}), "
    rf"Warmup \(avg\): (?P<warmup>{_NUMBER}), Inference \(avg\): (?P<mean>{_NUMBER})"
)
_COUNT = re.compile(
    rf"count=(?P<count>\d+)(?: first={_NUMBER})? curr=(?P<curr>{_NUMBER})"
    rf"(?: min=(?P<min>{_NUMBER}) max=(?P<max>{_NUMBER}))?"  # absent if there was one run
)


@dataclass(frozen=True, kw_only=True)
class Averages:
    """The output of benchmark_model for one file, in milliseconds."""

    runs: int
    init_ms: float
    first_inference_ms: float
    warmup_mean_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float

    def describe(self) -> str:
        """One line for people."""
        spread = f"{self.min_ms:.3f} to {self.max_ms:.3f} ms"
        return f"mean {self.mean_ms:.3f} ms of {self.runs} runs, {spread} (benchmark_model)"


def measure_averages(binary: Path, model: Path, plan: Plan) -> Averages:
    """Run `binary` on `model`.

    Raises `UsageError` if it fails or prints no timings, `StableDeviceError` if it cannot be started,
    `TransientDeviceError` at the deadline.
    """
    if not binary.is_file():
        raise UsageError(f"{binary}: no such file; give the path of a benchmark_model program")
    try:
        done = run_process(
            command(str(binary.resolve()), str(model.resolve()), plan), deadline_s=plan.deadline_s
        )
    except OSError as error:
        raise StableDeviceError(f"{binary} cannot be started ({error.strerror})") from None
    if done.timed_out:
        raise TransientDeviceError(f"{binary} did not end within {plan.deadline_s:g} s and was stopped")
    if not done.ok:
        raise UsageError(f"{binary} failed on {model}: {done.reason()}")
    return parse_averages(done.stdout + "\n" + done.stderr)  # versions differ in where they print


def command(binary: str, model: str, plan: Plan) -> list[str]:
    """Its command line; the paths are those on the machine that runs it."""
    return [
        binary,
        f"--graph={model}",
        f"--num_threads={plan.threads}",
        f"--warmup_runs={plan.warmup_runs}",
        f"--warmup_min_secs={plan.warmup_min_s:g}",
        f"--num_runs={plan.runs}",
        f"--min_secs={plan.min_s:g}",
        "--use_xnnpack=true",
    ]


def parse_averages(text: str) -> Averages:
    """Read benchmark_model's output. Raises `UsageError` if it has no timings."""
    timings = _TIMINGS.search(text)
    counts = list(_COUNT.finditer(text))  # the line of the warm-up, then that of the runs
    if timings is None or not counts:
        raise UsageError(
            "benchmark_model printed no timings that can be read; is it Google's, and did it run?"
        )
    try:
        found = _averages(timings, counts[-1])
        every = (found.init_ms, found.first_inference_ms, found.warmup_mean_ms, found.min_ms, found.max_ms)
        require_times("benchmark_model", (*every, found.mean_ms), zero=True)
    except ValueError as error:  # "1.2.3", a count of 5000 digits
        raise UsageError(f"benchmark_model printed impossible timings ({error})") from None
    return found


def _averages(timings: re.Match[str], last: re.Match[str]) -> Averages:
    return Averages(
        runs=int(last["count"]),
        init_ms=float(timings["init"]) / 1e3,
        first_inference_ms=float(timings["first"]) / 1e3,
        warmup_mean_ms=float(timings["warmup"]) / 1e3,
        mean_ms=float(timings["mean"]) / 1e3,
        min_ms=float(last["min"] or last["curr"]) / 1e3,
        max_ms=float(last["max"] or last["curr"]) / 1e3,
    )
