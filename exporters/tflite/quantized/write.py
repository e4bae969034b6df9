"""The tables of a float file with some operators in int8, and QUANTIZE and DEQUANTIZE at their borders.

    before   x - CONV_2D - c - HARD_SWISH - h - CONV_2D - y
    after    x - QUANTIZE - CONV_2D - c - DEQUANTIZE - HARD_SWISH - QUANTIZE - h - CONV_2D - DEQUANTIZE - y

A tensor is converted once, however many operators read it. If an operator needs another grid than that of
its input, a QUANTIZE goes from int8 to int8. The file stays in one partition if XNNPACK takes each operator
in the arithmetic that it has.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from exporters.tflite.quantized.bias import mean_error
from exporters.tflite.quantized.decide import constant_grid
from exporters.tflite.quantized.edit import Edit, weights_grid
from exporters.tflite.quantized.support import INPUT, Support, int8_support
from exporters.tflite.quantized.tables import WEIGHTED, Operator, Tables
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.quantization.grid import Grid, symmetric_grid
from mocovit_deploy.quantization.scheme import Scheme

LARGEST_BIAS = 1 << 30
"""The largest magnitude of a bias in int32, whose unit is (scale of the input) x (scale of the weights).

It leaves the sums of products room in int32.
"""


def quantized(model: Any, grids: Mapping[int, Grid], chosen: Collection[int], scheme: Scheme) -> Any:
    """The tables (`ModelT`) of a float file with the operators `chosen`, by index, in int8.

    `grids` holds the grid of every tensor that a chosen operator reads or makes. Weights get the grids of
    `scheme`, or grids of their largest numbers; biases are corrected if `scheme` has means. `model` is not
    changed.
    """
    return _Quantizer(copy.deepcopy(model), grids, chosen, scheme).written()


class _Quantizer:
    def __init__(
        self, model: Any, grids: Mapping[int, Grid], chosen: Collection[int], scheme: Scheme
    ) -> None:
        self.tables, self.chosen, self.scheme = Tables(model), set(chosen), scheme
        self.edit = Edit(self.tables)
        self.model, self.graph, self.schema = model, self.tables.graph, self.tables.schema
        self.grids = dict(grids)
        self.support = int8_support()
        self.floats: dict[int, int] = {int(one): int(one) for one in self.graph.inputs}
        """By tensor of the float file: the float tensor with its value."""
        self.stored: dict[tuple[int, Grid], int] = {}
        """By tensor of the float file and grid: the int8 tensor with its value on that grid."""
        self.own: dict[int, Grid] = {}
        """By tensor of the float file: the grid on which an int8 operator made it."""

    def written(self) -> Any:
        """The model with the chosen operators in int8 and all others in float."""
        for operator in self.tables.operators:
            if operator.index in self.chosen:
                self._in_int8(operator, self.support[operator.kind])
            else:
                self._in_float(operator)
        outputs = {one: self._float(one) for one in self.tables.outputs()}
        self.graph.outputs = np.array([outputs[one] for one in self.tables.outputs()], np.int32)
        for signature in self.model.signatureDefs or []:
            for entry in signature.outputs:
                entry.tensorIndex = outputs[int(entry.tensorIndex)]
        self.edit.finish()
        return self.model

    # Operators

    def _in_float(self, operator: Operator) -> None:
        computed = set(self.tables.computed(operator))
        operator.table.inputs = np.array(
            [self._float(one) if one in computed else one for one in operator.inputs], np.int32
        )
        for tensor in operator.outputs:
            self.floats[tensor] = tensor
        self.edit.operators.append(operator.table)

    def _in_int8(self, operator: Operator, known: Support) -> None:
        made = self._result_grids(operator, known)
        inputs = (
            self._weighted_inputs(operator, known)
            if operator.kind in WEIGHTED
            else self._inputs(operator, known, made[0])
        )
        outputs = []
        for tensor, grid in zip(operator.outputs, made, strict=True):
            self.own[tensor] = grid
            self.stored[tensor, grid] = self.edit.tensor_like(tensor, grid)
            outputs.append(self.stored[tensor, grid])
        table = operator.table
        table.inputs, table.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        is_wide = made[0].dtype == "int16"
        if is_wide and hasattr(table.builtinOptions, "potScaleInt16"):
            table.builtinOptions.potScaleInt16 = False
        table.opcodeIndex = self.edit.code(operator, (known.wide if is_wide else None) or known.version)
        self.edit.operators.append(table)

    def _result_grids(self, operator: Operator, known: Support) -> list[Grid]:
        """The grids of an operator's outputs; one that moves data keeps that of its input."""
        if known.grid == INPUT and operator.kind != "CONCATENATION":
            (source,) = self.tables.computed(operator)
            return [self.own.get(source, self.grids[source])] * len(operator.outputs)
        return [self.grids[one] for one in operator.outputs]

    def _inputs(self, operator: Operator, known: Support, made: Grid) -> list[int]:
        inputs = []
        for place, tensor in enumerate(operator.inputs):
            if not self.tables.is_float(tensor):
                inputs.append(tensor)
            elif self.tables.is_constant(tensor):
                grid = made if known.grid == INPUT else constant_grid(self.tables, tensor, made.dtype)
                inputs.append(self._constant(tensor, self.tables.array(tensor), grid))
            else:
                inputs.append(self._int8(tensor, self._wanted(operator, place, made)))
        return inputs

    def _wanted(self, operator: Operator, place: int, made: Grid) -> Grid:
        """The grid on which an operator takes an input."""
        tensor = operator.inputs[place]
        own = self.own.get(tensor, self.grids[tensor])
        if operator.kind == "CONCATENATION":
            return made
        if operator.kind == "BATCH_MATMUL" and place == 1 and own.zero_point != (0,):
            return symmetric_grid(own.bounds)
        return own

    def _weighted_inputs(self, operator: Operator, known: Support) -> list[int]:
        """Input, weights and bias: (x, w, b) of a convolution, (shape, w, x, b) of a transposed one."""
        (source,) = self.tables.computed(operator)
        own, tensor = self.own.get(source, self.grids[source]), operator.inputs[1]
        last = max(operator.inputs.index(source), 1)
        biases = [one for one in operator.inputs[last + 1 :] if self.tables.is_float(one)]
        numbers = self.tables.array(tensor)
        assert known.weights is not None
        offsets = self.tables.array(biases[0]) if biases else np.zeros(numbers.shape[known.weights])
        grid = self._weight_grid(tensor, known.weights, offsets, own.scale[0])
        offsets = offsets - self._mean_error(operator, numbers, grid)
        name = self.tables.name(biases[0]) if biases else f"{self.tables.name(tensor)}.bias"
        changed = {source: self._int8(source, own), tensor: self._constant(tensor, numbers, grid)}
        taken = [changed.get(one, one) for one in operator.inputs[: last + 1]]
        return [*taken, self._bias(name, offsets, grid, own)]

    def _weight_grid(self, tensor: int, axis: int, offsets: Array, scale: float) -> Grid:
        """The grid of weights along the file's axis, made coarser where a channel's bias would not fit."""
        grid = weights_grid(self.tables, tensor, axis, self.scheme.weights)
        least = np.abs(offsets).astype(np.float64) / (LARGEST_BIAS * scale)
        scales = tuple(float(np.float32(max(one, low))) for one, low in zip(grid.scale, least, strict=True))
        return replace(grid, scale=scales)

    def _mean_error(self, operator: Operator, numbers: Array, grid: Grid) -> Array | float:
        """The amount to subtract from the bias of a layer, (Cout,); 0 without bias correction."""
        means = self.scheme.input_means.get(self.tables.name(operator.inputs[1]).partition(";")[0])
        if means is None:
            return 0.0
        found = mean_error(operator.kind, grid.real(grid.rounded(numbers)) - numbers, means)
        return 0.0 if found is None else found

    # Tensors

    def _int8(self, tensor: int, grid: Grid) -> int:
        """The tensor with a value on `grid`, behind a QUANTIZE if it was not made on that grid."""
        if (tensor, grid) not in self.stored:
            own = self.own.get(tensor)
            source = self.stored[tensor, own] if own is not None else self._float(tensor)
            self.stored[tensor, grid] = self.edit.convert(
                "QUANTIZE", source, self.edit.tensor_like(tensor, grid)
            )
        return self.stored[tensor, grid]

    def _float(self, tensor: int) -> int:
        if tensor not in self.floats:
            self.floats[tensor] = self.edit.convert(
                "DEQUANTIZE", self.stored[tensor, self.own[tensor]], tensor
            )
        return self.floats[tensor]

    def _constant(self, tensor: int, numbers: Array, grid: Grid) -> int:
        """The tensor of a constant on `grid`; operators share it."""
        if (tensor, grid) not in self.stored:
            self.stored[tensor, grid] = self.edit.constant(tensor, numbers, grid)
        return self.stored[tensor, grid]

    def _bias(self, name: str, offsets: Array, weights: Grid, source: Grid) -> int:
        """The tensor of a bias, in units of input scale x weight scale; int64 beside int16, else int32."""
        units = np.array(weights.scale, np.float32) * np.float32(source.scale[0])
        dtype = "int64" if source.dtype == "int16" else "int32"
        rounded = np.round(offsets.astype(np.float64) / units.astype(np.float64))
        made = self.schema.TensorT()
        made.name, made.shape, made.hasRank = name.encode(), [len(offsets)], True
        made.type = getattr(self.schema.TensorType, dtype.upper())
        grid = Grid(tuple(map(float, units)), (0,) * len(units), dtype, 0)
        made.quantization, made.buffer = (
            self.edit.parameters(grid),
            self.edit.buffer(rounded.astype(dtype)),
        )
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1
