"""Running the golden inputs on a target, with a profile of some inferences."""

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
    """Runs the bench once, on one target."""

    def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport:
        """Run the bench with `options` on the `samples` in its input file, or on made-up numbers (None)."""
        ...


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
    """Run every golden sample once, or made-up numbers without a golden file, and profile some inferences.

    Inputs are written in the order of the file. If the runtime names its tensors in another order, they are
    written and run again in that order.

    Raises `UsageError` if the tensors of the golden file are not those of the model, and the errors of
    `execute`.
    """
    outputs: Mapping[str, Array] = {}
    taken: tuple[str, ...] = ()
    if golden is None:
        report = execute([f"--per-op={profiled}"], samples=None)
    else:
        order = order_of(artifact)
        check_names(artifact, golden, order)

        def run(order: Order) -> BenchReport:
            write_inputs(folder, golden, order.inputs, samples=len(golden))
            return execute([f"--per-op={profiled}", f"--output={OUTPUT}"], samples=len(golden))

        report = run(order)
        told = _order_told(artifact, plan.runtime, order, report)
        if told != order:
            order, report = told, run(told)
        check_types(artifact, golden, order, report.inputs)
        outputs = read_outputs(folder, golden, order, report.outputs)
        taken, _ = order.names
    executed = read_profile(plan.runtime, report.profile, operators, ticking=ticking)
    return ProfiledRun(
        outputs=outputs,
        runtime=f"{plan.runtime} {version}",
        arithmetic=arithmetic(executed),
        executed=executed,
        taken=taken,
    )


def keep_first_sample(
    artifact: Artifact, golden: Golden | None, run: ProfiledRun, folder: Path
) -> int | None:
    """Leave only the first sample in the input file, to measure on.

    Returns the number of samples in it; None without a golden file.
    """
    if golden is None:
        return None
    inputs = {tensor.name: tensor for tensor in order_of(artifact).inputs}
    write_inputs(folder, golden, [inputs[name] for name in run.taken], samples=1)
    return 1


def _order_told(artifact: Artifact, runtime: str, order: Order, report: BenchReport) -> Order:
    """The order of the names in the runtime's report. Raises `UsageError` if they are not the file's."""
    if runtime == "tflite":  # in the order of the subgraph, with other names than the signature's
        return order
    inputs, outputs = ([tensor.name for tensor in side] for side in (report.inputs, report.outputs))
    told = order.named(inputs, outputs)
    if told is None:
        raise UsageError(
            f"{artifact.path}: the runtime names its tensors {inputs} and {outputs}, the file "
            f"{' and '.join(str(list(side)) for side in order.names)}; export again"
        )
    return told
