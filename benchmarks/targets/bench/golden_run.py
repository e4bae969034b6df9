"""Run the golden inputs on a target, profile an inference, and say what was computed and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.operators.profile import arithmetic, read_profile
from benchmarks.reports.plan import Plan
from benchmarks.targets.bench.process import OUTPUT, BenchReport
from benchmarks.targets.bench.tensors import (
    Order,
    check_names,
    check_types,
    order_of,
    read_outputs,
    write_inputs,
)
from benchmarks.targets.context import ProfiledRun
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.artifacts.operator import FileOperator
from mocovit_deploy.errors import UsageError


class Execute(Protocol):
    """Runs the bench once in a folder, on one target."""

    def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport: ...


def run_samples(
    artifact: Artifact,
    golden: Golden | None,
    plan: Plan,
    operators: Sequence[FileOperator],
    execute: Execute,
    *,
    folder: Path,
    profiled: int,
    version: str,
    ticking: bool = False,
) -> ProfiledRun:
    """Run every golden sample once (or made-up numbers, without golden file), then profile some inferences.

    Raises `UsageError` when the golden file's tensors are not the model's, and what `execute` raises.
    """
    outputs: Mapping[str, Array] = {}
    if golden is None:
        report = execute([f"--per-op={profiled}"], samples=None)
    else:
        order = order_of(artifact, plan.runtime)
        check_names(artifact, golden, order)
        write_inputs(folder, golden, order.inputs, samples=len(golden))
        report = execute([f"--per-op={profiled}", f"--output={OUTPUT}"], samples=len(golden))
        _check_order(artifact, plan.runtime, order, report)
        check_types(artifact, golden, order, report.inputs)
        outputs = read_outputs(folder, golden, order, report.outputs)
    executed = read_profile(plan.runtime, report.profile, operators, ticking=ticking)
    return ProfiledRun(
        outputs=outputs,
        runtime=f"{plan.runtime} {version}",
        arithmetic=arithmetic(executed),
        executed=executed,
    )


def keep_first_sample(artifact: Artifact, golden: Golden | None, plan: Plan, folder: Path) -> int | None:
    """Leave only the first sample in the input file, to time or count on; returns how many it now holds."""
    if golden is None:
        return None
    write_inputs(folder, golden, order_of(artifact, plan.runtime).inputs, samples=1)
    return 1


def _check_order(artifact: Artifact, runtime: str, order: Order, report: BenchReport) -> None:
    """The order was worked out before the run; where the runtime tells names, they must agree."""
    if runtime == "tflite":  # it tells the tensors' names, not the signature's
        return
    told = [[tensor.name for tensor in side] for side in (report.inputs, report.outputs)]
    expected = [[tensor.name for tensor in side] for side in (order.inputs, order.outputs)]
    if told != expected:
        raise UsageError(
            f"{artifact.path}: the runtime orders its tensors {told}, the file {expected}; export again"
        )
