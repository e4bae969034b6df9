"""The options of a command as plain data: what is measured, where and how.

Nothing heavy is imported here, so that options that do not go together are refused at once.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.devices.wanted import Wanted
from benchmarks.reports.plan import PHONE_MIN_S, PHONE_RUNS, Plan, counting_plan
from mocovit_deploy.choices import CPUS
from mocovit_deploy.errors import UsageError

_PHONE_WORDS = ("serial", "connect", "cores", "remote_folder", "keep", "no_root", "cooldown_s", "all_devices")


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """A request to measure, from `run` or `ab`."""

    files: tuple[Path, ...]
    target: str
    runtime: str | None
    """None for the first runtime that reads the format of a file."""
    plan: Plan
    """With the default runtime; `plan_for` replaces the runtime."""
    wanted: Wanted | None
    """The phone to measure on; None for other targets."""
    pairs: int = 1
    """The number of times that `ab` measures both files."""
    verify: bool = True
    """Check the outputs before measuring."""
    bundle: Path | None = None
    """A bundle of the user; None for the project's."""
    device: str | None = None
    """The device that milliseconds are modelled for; None for the target's default."""
    benchmark_binary: Path | None = None
    """Google's benchmark_model, to measure with instead of the project's bench."""
    output: Path | None = None
    """The file to write the reports to as JSON."""
    html: Path | None = None
    """The file to write the reports to as a page."""
    as_json: bool = False
    deadline_s: float | None = None
    """Seconds after which the whole command ends; None if only each run of the bench has a deadline."""

    def plan_for(self, runtime: str) -> Plan:
        """The plan for a file that runs in `runtime`."""
        return dataclasses.replace(self.plan, runtime=runtime)


@dataclass(frozen=True, kw_only=True)
class DoctorRequest:
    """A request to examine a phone, from `doctor`."""

    wanted: Wanted
    cores: str
    bundle: Path | None
    deadline_s: float
    as_json: bool


def run_request(given: argparse.Namespace) -> BenchRequest:
    """The request of `run`. Raises `UsageError` for options that do not go together."""
    if given.target != "adb":
        _refuse(given, (*_PHONE_WORDS, "rounds"), "--target adb")
    binary: Path | None = given.benchmark_binary
    if binary is not None:
        if given.target == "emulated":
            raise UsageError("--benchmark-binary goes with --target host or adb")
        words = ("fp16", "per_op", "output", "html", "runtime", "all_devices", "bundle")
        _refuse(given, words, None)
        if not binary.is_file():
            raise UsageError(f"{binary}: no such file; give the path of a benchmark_model program")
    return BenchRequest(
        files=tuple(given.files),
        benchmark_binary=binary,
        output=given.output,
        html=given.html,
        wanted=_wanted(given) if given.target == "adb" else None,
        **_measuring(given),
    )


def ab_request(given: argparse.Namespace) -> BenchRequest:
    """The request of `ab`. Raises `UsageError` for options that do not go together."""
    if given.target != "adb":
        _refuse(given, _PHONE_WORDS, "--target adb")
    if given.target == "emulated" and given.rounds is not None:
        raise UsageError("--rounds goes with --target host or adb; counts are exact, so one is enough")
    return BenchRequest(
        files=(given.a, given.b),
        pairs=given.rounds or 6,
        wanted=dataclasses.replace(_wanted(given), rounds=1) if given.target == "adb" else None,
        **_measuring(given),
    )


def doctor_request(given: argparse.Namespace) -> DoctorRequest:
    """The request of `doctor`."""
    return DoctorRequest(
        wanted=_wanted(given),
        cores=given.cores or "prime",
        bundle=given.bundle,
        deadline_s=given.deadline_s,
        as_json=given.json,
    )


def _measuring(given: argparse.Namespace) -> dict[str, Any]:
    """The fields that `run` and `ab` share."""
    return {
        "target": given.target,
        "runtime": given.runtime,
        "plan": _plan(given),
        "verify": not given.no_verify,
        "bundle": given.bundle,
        "device": given.device,
        "as_json": given.json,
        "deadline_s": given.deadline_s,
    }


def _plan(given: argparse.Namespace) -> Plan:
    asked = {
        word: value
        for word in ("runs", "min_s", "warmup_runs", "warmup_min_s", "cpu")
        if (value := getattr(given, word)) is not None
    }
    common = {
        "threads": given.threads,
        "fp16_arithmetic": given.fp16,
        "per_op": given.per_op,
        **({} if given.deadline_s is None else {"deadline_s": given.deadline_s}),
    }
    if given.target == "emulated":
        _refuse(
            given, ("min_s", "warmup_runs", "warmup_min_s"), "--target host or adb; counting has no times"
        )
        return counting_plan(**{"cpu": CPUS[0], **common, **asked})
    _refuse(given, ("cpu", "device"), "--target emulated; the others measure on real cores")
    if given.target == "adb":
        cores = given.cores or ("prime" if given.threads == 1 else "big")
        return Plan(**{"runs": PHONE_RUNS, "min_s": PHONE_MIN_S, "cores": cores, **common, **asked})
    _refuse(given, ("bundle",), "--target emulated or adb; the host uses the installed runtime")
    return Plan(**{**common, **asked})


def _wanted(given: argparse.Namespace) -> Wanted:
    words = ("serial", "connect", "remote_folder", "cooldown_s", "all_devices", "rounds", "deadline_s")
    asked = {word: value for word in words if (value := getattr(given, word, None)) is not None}
    return Wanted(**{**asked, "keep": given.keep, "use_root": not given.no_root})


def _refuse(given: argparse.Namespace, words: tuple[str, ...], goes_with: str | None) -> None:
    """Raise `UsageError` if any of the options `words` was given.

    `goes_with` completes the message; None says that they do not go with --benchmark-binary.
    """
    for word in words:
        if getattr(given, word, None) not in (None, False):
            option = f"--{word.replace('_', '-')}"
            if goes_with is None:
                raise UsageError(f"{option} does not go with --benchmark-binary, which gives only averages")
            raise UsageError(f"{option} goes with {goes_with}")
