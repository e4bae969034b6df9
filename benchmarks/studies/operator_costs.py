"""Instructions of XNNPACK's operators in fp32, fp16 and int8: exporters/tflite/quantized/costs.toml.

    python -m benchmarks.studies.operator_costs [--only PATTERN] [--folder DIR] [--keep]

Every network is written three times from one graph: in fp32, in fp16, and with every operator in int8 that
XNNPACK has a kernel for. Each file is counted operator by operator on the emulated Cortex-A76. The model

    instructions = mac * multiply-accumulates + read * numbers read + made * numbers made + each

is fitted to all operators of one kind and arithmetic, with no factor below 0 and the least sum of squared
relative errors. Expect 20 minutes of one core.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.studies.study import (
    begun,
    child_report,
    finished,
    parser_of,
    product_digest,
    rows_like,
    run_study,
)
from benchmarks.studies.zoo_document import Row
from exporters.tflite.quantized.costs import CONVERSION, TABLE
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.files import write_atomically

ROWS = (
    Row("mocovit_1_0"),
    Row("timm/ghostnet_100"),
    Row("timm/mobilenetv3_large_100"),
    Row("timm/efficientvit_b0"),
    Row("timm/efficientnet_b0"),
    Row("timm/mobilevit_xxs"),
)
TIMEOUT_S = 3600
LOOK_UP = "Invalid Unary Op"
"""XNNPACK's name for an int8 operator that reads its results from a table."""
FACTORS = ("mac", "read", "made", "each")

COUNTED = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
from exporters import tflite
from exporters.tflite.flatbuffer import read_model
from exporters.tflite.lowering.choose import lowerings
from exporters.tflite.quantized.costs import work_of
from exporters.tflite.quantized.tables import Tables
from mocovit_deploy.artifacts.artifact import Artifact, as_taken
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.files import digest
from mocovit_deploy.formats import ExportJob
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.models.load import load_network
from mocovit_deploy.passes.run import rewrite, run_passes
from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.observe import observe
from mocovit_deploy.quantization.scheme import scheme_of
from mocovit_deploy.spec import ModelSpec, OwnInput, TensorSpec
from mocovit_deploy.targets import RunConditions, counting_target
model, size = json.loads(sys.argv[1])
network = load_network(ModelSpec(model, input=OwnInput(size=size)))
example = network.inputs.for_capture(0, False)
names, inputs = network.inputs.for_parity(0)
graph = run_passes(capture(network.module, example), example).graph
graph = run_passes(graph, example, [rewrite(one) for one in lowerings("mixed_wi8_ai8_fp16")]).graph
images = CalibrationSet("random", dict(zip(network.input_names, inputs)), "")
scheme = scheme_of(graph, observe(graph, images), "minmax")
specs = tuple(TensorSpec(n, tuple(x.shape), "float32", "nchw") for n, x in zip(network.input_names, example))
outputs = (TensorSpec(network.output_names[0], tuple(network.module.eval()(*example).shape), "float32"),)
found = {}
with tempfile.TemporaryDirectory() as folder:
    for name, recipe, chosen in (
        ("fp32", "mixed_wi8_ai8", ArithmeticChoice(nothing=True)),
        ("fp16", "mixed_wi8_ai8_fp16", ArithmeticChoice(nothing=True)),
        ("int8", "mixed_wi8_ai8_fp16", ArithmeticChoice(everything=True)),
    ):
        path = Path(folder, name + ".tflite")
        job = ExportJob(
            path=path, recipe=recipe, inputs=specs, outputs=outputs, layout="nhwc", opset=18, simplify=False,
            dynamic_batch=False, minimum_deployment_target="iOS16", converter="direct", scheme=scheme,
            arithmetic=chosen,
        )
        written = tflite.export(graph, example, job)
        artifact = Artifact(
            path=path, format="tflite", recipe=recipe, model=model, weights="", inputs=written.inputs,
            outputs=written.outputs, preprocessing=network.input.preprocessing, sha256=digest(path),
            golden_sha256="", tools={},
        )
        given = {spec.name: as_taken(array[:1], spec) for spec, array in zip(written.inputs, inputs)}
        golden = Golden(names[:1], given, {outputs[0].name: np.zeros((1, *outputs[0].shape), np.float32)}, {})
        counted = counting_target().count(artifact, golden, RunConditions(per_operator=True, deadline_s=1800))
        tables = Tables(read_model(path.read_bytes()))
        taken = {}
        for one in counted.operators:
            if one.operator is not None:
                taken.setdefault(one.operator, []).append((one.name, one.instructions))
        def is_int8(tensor):
            return tables.graph.tensors[tensor].type == tables.schema.TensorType.INT8
        found[name] = {
            "instructions": counted.instructions, "modelled_ms": counted.modelled_ms,
            "partitions": counted.partitions.count,
            "unmatched": [(one.name, one.instructions) for one in counted.operators if one.operator is None],
            "operators": [
                {
                    "kind": one.kind, "int8": is_int8(one.outputs[0]), "executed": taken.get(one.index, []),
                    **vars(work_of(tables, one)),
                }
                for one in tables.operators
            ],
        }
print(json.dumps(found))
"""
"""Writes the three files of a network with one output, and counts their operators."""


def main() -> int:
    """Run the missing rows that the options select and write the table. Returns the exit status."""
    given = begun(parser_of("operator_costs", __doc__), ROWS)
    wanted = None if given.keep else product_digest()
    counted = {row: _counted(row, given.folder, wanted) for row in rows_like(ROWS, given.only)}
    write_atomically(TABLE, table(counted.values()).encode())
    sys.stdout.write(f"written: {TABLE}\n")
    return 0


def _counted(row: Row, folder: Path, wanted: str | None) -> dict[str, Any]:
    """The counts of one network, kept in `folder` as long as the sources are the same."""
    known = finished(folder, row, wanted)
    if known is None:
        found = child_report(["-c", COUNTED, json.dumps([row.model, row.size])], timeout_s=TIMEOUT_S)
        known = {"sources": product_digest(), "files": found}
        write_atomically(folder / f"{row.slug}.json", json.dumps(known).encode())
    files: dict[str, Any] = known["files"]
    return files


def table(networks: Iterable[Mapping[str, Any]]) -> str:
    """The text of `costs.toml`, from the counts of all networks."""
    points: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for files in networks:
        for name, file in files.items():
            for one in file["operators"]:
                looked_up = any(kernel.startswith(LOOK_UP) for kernel, _ in one["executed"])
                arithmetic = "int8" if one["int8"] or looked_up else "fp16" if name == "int8" else name
                kind = one["kind"]
                if kind in ("QUANTIZE", "DEQUANTIZE"):
                    arithmetic = kind = CONVERSION
                spent = sum(instructions for _, instructions in one["executed"])
                points.setdefault((arithmetic, kind), []).append(
                    (one["macs"], one["read"], one["made"], spent)
                )
    lines = [
        "# Instructions of a Cortex-A76 for each kind of operator in LiteRT 2.3.0's XNNPACK, one thread, for",
        "# every multiply-accumulate, number read, number made, and operator. Written by: make costs. n is",
        "# how many operators were counted, error the root of their mean squared relative error.",
    ]
    for arithmetic in ("fp32", "fp16", "int8", CONVERSION):
        lines += ["", f"[{arithmetic}]"]
        for (_, kind), some in sorted(item for item in points.items() if item[0][0] == arithmetic):
            fit = fitted(some)
            pairs = zip(FACTORS, fit.factors, strict=True)
            words = ", ".join(f"{name} = {value:.4g}" for name, value in pairs)
            lines.append(f"{kind} = {{ {words} }}  # n {len(some)}, error {fit.error:.0%}")
    return "\n".join(lines) + "\n"


class Fit(NamedTuple):
    """The model of one kind of operator in one arithmetic."""

    factors: list[float]
    """The values of `FACTORS`."""
    error: float
    """The root of the mean squared relative error."""


def fitted(points: Sequence[tuple[float, ...]]) -> Fit:
    """The factors that fit the points (macs, read, made, instructions) best.

    Operators with no instructions were fused into others, and are left out; if all of a kind were, its
    factors are 0.
    """
    rows = np.array([one for one in points if one[3]], np.float64)
    if not len(rows):
        return Fit([0.0] * len(FACTORS), 0.0)
    work = np.column_stack([rows[:, :3], np.ones(len(rows))])
    spent = np.maximum(rows[:, 3], 1.0)
    found, left = needs_extra("scipy.optimize", "export").nnls(work / spent[:, None], np.ones(len(rows)))
    return Fit([float(one) for one in found], float(left / np.sqrt(len(rows))))


if __name__ == "__main__":
    run_study("operator_costs", main)
