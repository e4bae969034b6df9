"""New tensors and operators in the tables of a file that is being quantized."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from exporters.tflite.quantized.tables import ABSENT, Operator, Tables
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.quantization.grid import Grid, weight_grid

_OPTIONS = {"QUANTIZE": "QuantizeOptions", "DEQUANTIZE": "DequantizeOptions"}
_VERSIONS = {"QUANTIZE": 1, "DEQUANTIZE": 2}
_WIDE_VERSIONS = {"QUANTIZE": 2, "DEQUANTIZE": 3}
"""Versions for int16 (tflite/tools/versioning/op_version.cc)."""
DEQUANTIZE_CHANNELS = 5
"""The version of DEQUANTIZE with a scale for each channel (tflite/tools/versioning/op_version.cc)."""


class Edit:
    """Appends tensors to the tables, and collects the new operators; `finish` replaces the old ones."""

    def __init__(self, tables: Tables) -> None:
        self.tables, self.model, self.graph, self.schema = tables, tables.model, tables.graph, tables.schema
        self.operators: list[Any] = []
        """The operators of the new file, in order."""

    def finish(self) -> None:
        """Replace the operators of the file, and drop all that is unused."""
        self.graph.operators = self.operators
        drop_unread(self.model)

    def convert(self, kind: str, source: int, result: int, version: int | None = None) -> int:
        """Append a QUANTIZE or DEQUANTIZE from tensor `source` to tensor `result`, and return `result`."""
        schema, made = self.schema, self.schema.OperatorT()
        builtin = getattr(schema.BuiltinOperator, kind)
        types = (self.graph.tensors[one].type for one in (source, result))
        known = _WIDE_VERSIONS if schema.TensorType.INT16 in types else _VERSIONS
        made.opcodeIndex = self._code_of(builtin, known[kind] if version is None else version)
        made.inputs, made.outputs = np.array([source], np.int32), np.array([result], np.int32)
        made.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[kind])
        made.builtinOptions = getattr(schema, f"{_OPTIONS[kind]}T")()
        self.operators.append(made)
        return result

    def tensor_like(self, tensor: int, grid: Grid) -> int:
        """Append a tensor of the same shape that holds integers on `grid`, and return its index."""
        made = copy.copy(self.graph.tensors[tensor])
        made.name = f"{self.tables.name(tensor)};{grid.dtype}".encode()
        made.type = getattr(self.schema.TensorType, grid.dtype.upper())
        made.quantization = self.parameters(grid)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(self, tensor: int, numbers: Array, grid: Grid) -> int:
        """Append a tensor of these numbers on `grid`, named as the float one, and return its index."""
        made = self.tensor_like(tensor, grid)
        self.graph.tensors[made].name = self.tables.name(tensor).encode()
        self.graph.tensors[made].buffer = self.buffer(grid.rounded(numbers))
        return made

    def parameters(self, grid: Grid) -> Any:
        """The table of scales and zero points of a grid."""
        made = self.schema.QuantizationParametersT()
        made.scale, made.zeroPoint = np.array(grid.scale, np.float32), np.array(grid.zero_point, np.int64)
        made.quantizedDimension = grid.axis or 0
        return made

    def buffer(self, numbers: Array) -> int:
        """Append a buffer with the bytes of these numbers, and return its index."""
        made = self.schema.BufferT()
        made.data = np.frombuffer(np.ascontiguousarray(numbers).tobytes(), np.uint8)
        self.model.buffers.append(made)
        return len(self.model.buffers) - 1

    def code(self, operator: Operator, version: int) -> int:
        """The index of the code of an operator's kind, in this version or the old one if that is higher."""
        old = self.model.operatorCodes[operator.table.opcodeIndex]
        return self._code_of(max(old.builtinCode, old.deprecatedBuiltinCode), max(version, old.version))

    def _code_of(self, builtin: int, version: int) -> int:
        for index, code in enumerate(self.model.operatorCodes):
            if (max(code.builtinCode, code.deprecatedBuiltinCode), code.version) == (builtin, version):
                return index
        made = self.schema.OperatorCodeT()
        made.builtinCode, made.deprecatedBuiltinCode, made.version = builtin, min(builtin, 127), version
        self.model.operatorCodes.append(made)
        return len(self.model.operatorCodes) - 1


def weights_grid(tables: Tables, tensor: int, axis: int, told: Mapping[str, Grid]) -> Grid:
    """The grid of a layer's weights along the file's `axis`.

    `told` holds the scheme's grids by the name of the parameter. Weights without a grid there get one from
    their largest numbers.
    """
    grid = told.get(tables.name(tensor).partition(";")[0])
    if grid is not None and len(grid.scale) == tables.shape(tensor)[axis]:
        return replace(grid, axis=axis)
    return weight_grid(tables.array(tensor), axis)


def drop_unread(model: Any) -> None:
    """Drop unused tensors, buffers and operator codes from the tables, and renumber the others."""
    graph = model.subgraphs[0]
    used = {*map(int, graph.inputs), *map(int, graph.outputs)}
    for operator in graph.operators:
        used |= {int(one) for one in (*operator.inputs, *operator.outputs) if one != ABSENT}
    place = {old: new for new, old in enumerate(sorted(used))} | {ABSENT: ABSENT}
    graph.tensors = [graph.tensors[index] for index in sorted(used)]
    for operator in graph.operators:
        operator.inputs = np.array([place[int(one)] for one in operator.inputs], np.int32)
        operator.outputs = np.array([place[int(one)] for one in operator.outputs], np.int32)
    graph.inputs = np.array([place[int(one)] for one in graph.inputs], np.int32)
    graph.outputs = np.array([place[int(one)] for one in graph.outputs], np.int32)
    for signature in model.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = place[int(entry.tensorIndex)]
    kept = sorted({0, *(one.buffer for one in graph.tensors), *(one.buffer for one in model.metadata or [])})
    renumbered = {old: new for new, old in enumerate(kept)}
    model.buffers = [model.buffers[index] for index in kept]
    for one in (*graph.tensors, *(model.metadata or [])):
        one.buffer = renumbered[one.buffer]
    codes = sorted({one.opcodeIndex for one in graph.operators})
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
    for operator in graph.operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
