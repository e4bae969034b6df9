"""Run the golden inputs on a target: names put in the runtime's order, types checked, outputs named again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.operators import Operator, tensor_names
from benchmarks.plan import Plan
from benchmarks.profile import arithmetic, read_profile
from benchmarks.targets.bench_process import OUTPUT, BenchReport, Tensor, read_outputs, write_inputs
from benchmarks.targets.context import GoldenRun
from mocovit_deploy.artifact import Array, Artifact, Golden
from mocovit_deploy.errors import UsageError


class Execute(Protocol):
    """Runs the bench once in a folder, on one target."""

    def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport: ...


@dataclass(frozen=True)
class Ordered:
    """Names of a file's inputs and outputs in the order in which a runtime takes and gives them."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def order_of(artifact: Artifact, runtime: str) -> Ordered:
    """The order of one runtime: LiteRT's is the signature's, TFLite's the subgraph's, ONNX's the file's."""
    if artifact.format == "tflite":
        names = tensor_names(artifact.path)
        if runtime == "tflite":
            return Ordered(names.subgraph_inputs, names.subgraph_outputs)
        return Ordered(names.signature_inputs, names.signature_outputs)
    return Ordered(
        tuple(tensor.name for tensor in artifact.inputs), tuple(tensor.name for tensor in artifact.outputs)
    )


def run_samples(
    artifact: Artifact,
    golden: Golden | None,
    plan: Plan,
    operators: Sequence[Operator],
    execute: Execute,
    *,
    folder: Path,
    profiled: int,
    version: str,
    ticking: bool = False,
) -> GoldenRun:
    """Run every golden sample once (or made-up numbers, without golden file), then profile some inferences.

    Raises `UsageError` when the golden file's tensors are not the model's, and what `execute` raises.
    """
    order = order_of(artifact, plan.runtime)
    if golden is not None:
        _check_names(artifact, golden.inputs, order.inputs, "input")
        _check_names(artifact, golden.outputs, order.outputs, "output")
        write_inputs(folder, golden, order.inputs, samples=len(golden))
    samples = None if golden is None else len(golden)
    keep = [] if golden is None else [f"--output={OUTPUT}"]
    report = execute([f"--per-op={profiled}", *keep], samples=samples)
    outputs: dict[str, Array] = {}
    if golden is not None:
        _check_types(artifact, golden.inputs, order.inputs, report.inputs)
        _check_order(artifact, plan.runtime, order, report)
        outputs = read_outputs(folder, report.outputs, order.outputs, len(golden))
    executed = read_profile(plan.runtime, report.profile, operators, ticking=ticking)
    return GoldenRun(
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


def _check_names(artifact: Artifact, arrays: Mapping[str, Array], names: Sequence[str], side: str) -> None:
    if set(arrays) != set(names):
        raise UsageError(
            f"{artifact.path}: its {side}s are {', '.join(names)}, the golden file has {', '.join(sorted(arrays))}; "
            "export again"
        )


def _check_types(
    artifact: Artifact, arrays: Mapping[str, Array], names: Sequence[str], tensors: Sequence[Tensor]
) -> None:
    for name, tensor in zip(names, tensors, strict=True):
        array = arrays[name]
        if (array.dtype.name, array.shape[1:]) != (tensor.dtype, tensor.shape):
            raise UsageError(
                f"{artifact.path}: input {name} is {tensor.dtype} {list(tensor.shape)} in the runtime, "
                f"{array.dtype.name} {list(array.shape[1:])} in the golden file; export again"
            )


def _check_order(artifact: Artifact, runtime: str, order: Ordered, report: BenchReport) -> None:
    """The order was worked out before the run; where the runtime tells names, they must agree."""
    if runtime == "tflite":  # it tells the tensors' names, not the signature's
        return
    told = (tuple(t.name for t in report.inputs), tuple(t.name for t in report.outputs))
    if told != (order.inputs, order.outputs):
        raise UsageError(f"{artifact.path}: the runtime orders its tensors {told}, the file {order}; export again")

