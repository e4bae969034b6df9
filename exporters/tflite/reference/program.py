"""The main graph of a TFLite file as plain data, with constants; fp16 weights are widened to float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporters.tflite.flatbuffer import metadata, read_model
from exporters.tflite.fp16 import KEY, VALUE
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import ConversionError, MissingToolError, first_line
from mocovit_deploy.extras import needs_extra

FLOATS = ("float32", "float16", "float64")

_DTYPES = {
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "FLOAT64": "float64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True)
class Tensor:
    """A value of the graph."""

    name: str
    dtype: str
    """numpy's name of the type, or the schema's for a type that numpy does not have."""
    shape: tuple[int, ...]
    constant: Array | None
    quantized: bool


@dataclass(frozen=True)
class Step:
    """One operator. Tensors are given by index; -1 is an optional input that is left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any
    """The table of options in the file, or None."""
    shape: tuple[int, ...]
    """The shape of the first output."""
    body: tuple[str, ...] = ()
    """The kinds of operators in the subgraph that it applies, for a reduction over windows."""


@dataclass(frozen=True)
class Program:
    """The tensors of a file, and its operators in order of execution."""

    tensors: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    marked: bool
    """True if the file bears the mark that lets XNNPACK compute in fp16."""

    def constant(self, index: int) -> bool:
        return index < 0 or self.tensors[index].constant is not None


def read_program(path: Path) -> Program:
    """The program of a file.

    Raises `ConversionError` for a file that is not TFLite, `MissingToolError` without ai-edge-litert.
    """
    try:
        model = read_model(path.read_bytes())
        return program_of(model)
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from None
    except MissingToolError:
        raise
    # The bindings raise any type of error for a damaged file.
    except Exception as error:
        raise ConversionError(f"{path}: not a TFLite file ({first_line(error)})") from error


def program_of(model: Any) -> Program:
    """The main graph of a file's tables (`ModelT`)."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    graph = model.subgraphs[0]
    types = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    tensors = [_tensor(tensor, model, types) for tensor in graph.tensors]
    kinds = _kinds(model, schema)
    steps = []
    for operator in graph.operators:
        kind = kinds[operator.opcodeIndex]
        inputs, outputs = (tuple(map(int, side)) for side in (operator.inputs, operator.outputs))
        weights = tensors[inputs[0]] if kind == "DEQUANTIZE" else None
        if weights is not None and weights.dtype == "float16" and weights.constant is not None:
            widened = weights.constant.astype(np.float32)
            name = tensors[outputs[0]].name
            tensors[outputs[0]] = Tensor(name, "float32", weights.shape, widened, quantized=False)
            continue
        options = operator.builtinOptions if operator.builtinOptions is not None else operator.builtinOptions2
        body = getattr(options, "bodySubgraphIndex", None)
        names = (
            () if body is None else tuple(kinds[one.opcodeIndex] for one in model.subgraphs[body].operators)
        )
        shape = tensors[outputs[0]].shape if outputs else ()
        steps.append(Step(kind, inputs, outputs, options, shape, names))
    inputs_by_name, outputs_by_name = _interface(model, graph, tensors)
    marked = metadata(model, KEY) == VALUE
    return Program(tuple(tensors), tuple(steps), inputs_by_name, outputs_by_name, marked)


def _kinds(model: Any, schema: Any) -> list[str]:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    found = []
    for code in model.operatorCodes:
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        kind = names.get(number, f"BUILTIN {number}")
        if kind == "CUSTOM":
            kind = f"CUSTOM {(code.customCode or b'').decode(errors='replace')}"
        found.append(kind)
    return found


def _tensor(tensor: Any, model: Any, types: Mapping[int, str]) -> Tensor:
    word = types.get(tensor.type, f"type {tensor.type}")
    dtype = _DTYPES.get(word, word)
    shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
    data = model.buffers[tensor.buffer].data
    constant = np.zeros(shape, dtype) if 0 in shape and word in _DTYPES else None  # the shape of a scalar
    if data is not None and len(data) and word in _DTYPES:
        constant = np.frombuffer(bytes(data), dtype).reshape(shape)
    quantization = tensor.quantization
    quantized = quantization is not None and quantization.scale is not None and len(quantization.scale) > 0
    return Tensor((tensor.name or b"").decode(errors="replace"), dtype, shape, constant, quantized)


def _interface(model: Any, graph: Any, tensors: list[Tensor]) -> tuple[dict[str, int], dict[str, int]]:
    """The indices of inputs, and of outputs, by the names of the signature, or of tensors without one."""
    sides = []
    for side in ("inputs", "outputs"):
        indices = [int(index) for index in getattr(graph, side)]
        names = {tensors[index].name: index for index in indices}
        if model.signatureDefs:
            entries = getattr(model.signatureDefs[0], side)
            names = {entry.name.decode(errors="replace"): int(entry.tensorIndex) for entry in entries}
        sides.append(names)
    return sides[0], sides[1]
