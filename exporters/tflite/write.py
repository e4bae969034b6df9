"""From a captured graph to a TFLite file: written directly, or by litert-torch.

direct          exporters/tflite/direct: takes a second or less, needs no converter
litert-torch    for a network with any operation that the direct writer cannot write

`--converter` forces either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.execution import execution_of
from exporters.tflite.flatbuffer import model_bytes, read_model
from exporters.tflite.fp16 import allow_half, mark_half, store_half
from exporters.tflite.reference.program import program_of
from mocovit_deploy.errors import ConversionError, MissingToolError
from mocovit_deploy.formats import ExportJob
from mocovit_deploy.spec import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, fx

DIRECT, LITERT_TORCH = "direct", "litert-torch"
_TOOLS = {
    DIRECT: ("torch", "ai-edge-litert", "flatbuffers"),
    LITERT_TORCH: ("torch", "litert-torch", "litert-converter", "ai-edge-quantizer"),
}


@dataclass(frozen=True)
class Converted:
    """The bytes of a TFLite file, and how they were made."""

    data: bytes
    tools: Mapping[str, str]
    """Versions of the packages that made the file."""
    execution: Mapping[str, Any]
    """The manifest's entry of `execution_of`."""
    notes: tuple[str, ...] = ()


def convert(
    graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob, inputs: tuple[TensorSpec, ...]
) -> Converted:
    """The file of `graph` in the recipe of `job`, with `inputs`, which may be NHWC.

    Raises `ConversionError` if the converter that was asked for cannot convert the graph, or if neither can;
    `MissingToolError` if the converter that is needed is not installed.
    """
    if job.converter == LITERT_TORCH:
        return _through_litert_torch(graph, example, job, inputs)
    try:
        return _directly(graph, job, inputs)
    except UnsupportedError as error:
        reason = f"the direct writer cannot write {error}"
        if job.converter == DIRECT:
            raise ConversionError(f"{reason}; leave out --converter direct") from error
    try:
        converted = _through_litert_torch(graph, example, job, inputs)
    except (ConversionError, MissingToolError) as error:
        raise type(error)(f"{reason}, and {error}") from error
    return replace(converted, notes=(f"written by litert-torch: {reason}",))


def _directly(graph: fx.GraphModule, job: ExportJob, inputs: tuple[TensorSpec, ...]) -> Converted:
    from exporters.tflite.direct.write import written

    half, half_weights = job.recipe != "fp32", job.recipe == "fp16_weights"
    model = written(graph, inputs, job.outputs, half=half, half_weights=half_weights)
    if half:
        mark_half(model)
    return Converted(model_bytes(model), _versions(DIRECT), execution_of(program_of(model)))


def _through_litert_torch(
    graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob, inputs: tuple[TensorSpec, ...]
) -> Converted:
    from exporters.tflite.litert_torch import convert_float as through

    data = through(graph, example, job, inputs)
    if job.recipe == "fp16_weights":
        data = store_half(data)
    if job.recipe != "fp32":
        data = allow_half(data)
    return Converted(data, _versions(LITERT_TORCH), execution_of(program_of(read_model(data))))


def _versions(converter: str) -> dict[str, str]:
    return {name: version(name) for name in _TOOLS[converter]}
