"""TFLite: files written directly or by litert-torch, and run by LiteRT with XNNPACK.

LiteRT was formerly called tflite-runtime, and litert-torch ai-edge-torch.

write.py        the choice between the two writers
direct/         the direct writer: one family of operators a file
quantized/      files whose weights, or weights and operators, are int8
litert_torch.py the fallback, and the independent oracle
fp16.py         the mark that lets XNNPACK compute in fp16, and weights stored in fp16
lowering/       rewrites of the graph that save counted instructions, by arithmetic and runtime
mark.py         the place of the mark, found without the schema's package
flatbuffer.py   reading and writing the file's tables
metadata.py     the description in a file: labels, preprocessing, licence
contents.py     the operators and tensors of a file, read without running it
execution.py    the operators that XNNPACK takes, and why not the rest
readiness.py    the operators that delegates leave out, by precision; gpu.py has the GPU delegate's rules
run.py          load(): a file in the installed runtime
reference/      load_half(): a file in half precision, with numpy
suppress.py     write_suppressed(): a detector with suppression in its file
taps.py         a file's marked values, and runs that return or replace them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from exporters.tflite.contents import operators
from exporters.tflite.lowering.choose import lowerings, uncertain
from exporters.tflite.metadata import describe
from exporters.tflite.readiness import readiness
from exporters.tflite.reference.run import load_half
from exporters.tflite.run import load, load_platform
from exporters.tflite.suppress import BEST_CLASS_ALONE, load_suppressed, write_suppressed, write_suppression
from exporters.tflite.taps import load_inside, values
from exporters.tflite.write import convert
from mocovit_deploy.formats import ExportJob, Written
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import ExportRequest, TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, fx

SUFFIX = ".tflite"
RECIPES: tuple[str, ...] = (
    "fp32",
    "fp16",
    "fp16_weights",
    "static_wi8_ai8",
    "static_wi8_ai8_fp16",
    "static_wi8_ai16",
    "mixed_wi8_ai8",
    "mixed_wi8_ai8_fp16",
    "dynamic_wi8_afp32",
    "weight_only_wi8_afp32",
)
FREE_BATCH = False

__all__ = [
    "BEST_CLASS_ALONE",
    "FREE_BATCH",
    "RECIPES",
    "SUFFIX",
    "describe",
    "export",
    "load",
    "load_half",
    "load_inside",
    "load_platform",
    "load_suppressed",
    "lowerings",
    "operators",
    "readiness",
    "refuse_impossible",
    "uncertain",
    "values",
    "write_suppressed",
    "write_suppression",
]


def export(graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob) -> Written:
    """Write `graph` as a TFLite file: static shapes, images in `job.layout`, float32 inputs and outputs.

    `fp16` keeps weights in fp32 and computes in half precision, which is fast on every runtime that supports
    it. `fp16_weights` halves the file, and is fast from LiteRT 2 on (docs/decisions/0005-fp16.md).
    """
    inputs = tuple(_in_file(tensor, job.layout) for tensor in job.inputs)
    written = _written(graph, example, job, inputs)
    return replace(written, instructions=_estimate(job)) if job.estimate else written


def _written(
    graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob, inputs: tuple[TensorSpec, ...]
) -> Written:
    if job.scheme is not None:
        from exporters.tflite.quantized.export import export_quantized

        return export_quantized(graph, example, job, inputs, job.scheme)
    converted = convert(graph, example, job, inputs)
    notes = converted.notes
    if job.recipe != "fp32":
        from mocovit_deploy.graph.fp16_range import warning, wide_values

        notes += warning(wide_values(graph, example))
    job.path.write_bytes(converted.data)
    return Written(
        inputs=inputs,
        outputs=job.outputs,
        tools=converted.tools,
        notes=notes,
        execution=converted.execution,
    )


def _estimate(job: ExportJob) -> float:
    from exporters.tflite.flatbuffer import read_model
    from exporters.tflite.quantized.costs import estimate
    from exporters.tflite.quantized.tables import Tables

    return estimate(Tables(read_model(job.path.read_bytes())), recipe_named(job.recipe).islands)


def refuse_impossible(_request: ExportRequest) -> None:
    """TFLite refuses nothing beyond what all formats refuse."""


def _in_file(tensor: TensorSpec, layout: str) -> TensorSpec:
    """An input as the file declares it: images in `layout`; int32 for int64, as litert-torch writes."""
    tensor = replace(tensor, dtype="int32") if tensor.dtype == "int64" else tensor
    if tensor.layout != "nchw" or layout == "nchw":
        return tensor
    n, c, h, w = tensor.shape
    return replace(tensor, shape=(n, h, w, c), layout="nhwc")
