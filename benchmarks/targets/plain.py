"""Shared parts of all targets' `run_golden`, `count` and `take_times`, which take and give plain data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.operators.profile import partitions
from benchmarks.reports.plan import Plan, counting_plan
from benchmarks.reports.report import LatencyReport
from benchmarks.targets.context import Context, ProfiledRun, refuse_unsteady
from benchmarks.toolchain import bundle as bundles
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.choices import CPUS
from mocovit_deploy.errors import MissingToolError, UsageError
from mocovit_deploy.formats import format_named
from mocovit_deploy.targets import GoldenRun, InferenceTimes, RunConditions, runtime_for


def emulation_plan(artifact: Artifact, conditions: RunConditions) -> Plan:
    """The plan of one run on an emulated core."""
    return counting_plan(
        runtime=runtime_for(artifact, conditions.runtime),
        cpu=conditions.cpu or CPUS[0],
        runs=conditions.counted_runs,
        deadline_s=conditions.deadline_s,
    )


def hardware_plan(artifact: Artifact, conditions: RunConditions) -> Plan:
    """The plan of one run on real hardware."""
    runtime = runtime_for(artifact, conditions.runtime)
    return counting_plan(runtime=runtime, cpu=None, deadline_s=conditions.deadline_s)


def timing_plan(artifact: Artifact, conditions: RunConditions, **fields: Any) -> Plan:
    """The plan of a measurement on real hardware: the defaults of `Plan`, with `fields` replaced."""
    runtime = runtime_for(artifact, conditions.runtime)
    return Plan(**{"runtime": runtime, "deadline_s": conditions.deadline_s, **fields})


def unjudged(golden: Golden, bundle: Path | None = None) -> Context:
    """The surroundings of a run whose outputs the caller judges."""
    return Context(golden=golden, verify=None, say=lambda _line: None, bundle=bundle)


def present_bundle(plan: Plan, conditions: RunConditions) -> Path | None:
    """The bundle in the cache folder if nothing may be downloaded; else None, and the target makes it.

    Raises `MissingToolError` if nothing may be downloaded and there is no bundle.
    """
    if conditions.fetch:
        return None
    place = bundles.bundle_folder(plan.runtime)
    if not place.is_dir():
        raise MissingToolError(f"no bundle of {plan.runtime} is installed; run: mocovit-bench bundle")
    return place


def plain_run(
    profile: Callable[[Artifact, Plan, Context], ProfiledRun],
    artifact: Artifact,
    golden: Golden,
    plan: Plan,
    bundle: Path | None = None,
) -> GoldenRun:
    """The result of a target's `profile` as plain data. Raises the errors of `profile`."""
    ran = profile(artifact, plan, unjudged(golden, bundle))
    cut = None
    if artifact.format == "tflite":
        cut = partitions(ran.executed, format_named(artifact.format).operators(artifact))
    return GoldenRun(outputs=ran.outputs, runtime=ran.runtime, arithmetic=ran.arithmetic, partitions=cut)


def plain_times(report: LatencyReport) -> InferenceTimes:
    """A latency report as plain data. Raises `TransientDeviceError` for a phone that did not get steady."""
    refuse_unsteady([report])
    engine = report.engine
    return InferenceTimes(
        samples_ms=report.samples_ms,
        load_ms=report.load_ms,
        runtime=f"{engine.runtime} {engine.version}",
        arithmetic=engine.arithmetic,
    )


def times_not(target: str) -> UsageError:
    """The error of a counting target when it is asked for times."""
    return UsageError(f"target {target} counts and takes no times; times are taken on host and adb")


def counts_not(target: str) -> UsageError:
    """The error of a timing target when it is asked for counts."""
    return UsageError(f"target {target} takes times and counts nothing; instructions are counted on emulated")
